"""medseg sync: send to MLflow what runs kept while its store was silent."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from medseg.workflows import options

EPILOG = """\b
Example:
  medseg sync run
"""


@click.command("sync", epilog=EPILOG)
@click.argument("folder", type=options.FILE)
@click.option("--tracking-uri", help="MLflow store.  [default: that of the run]")
def command(folder: Path, tracking_uri: str | None) -> None:
    """Send what the runs in FOLDER, or in folders inside it, logged while the MLflow store did not answer."""
    from medseg.runs.sync import sync_folder

    done = sync_folder(folder, tracking_uri=tracking_uri)
    if not done:
        click.echo(f"no kept entries found in {folder}")
    for one in done:
        if one.error is not None:
            click.echo(f"error: {one.path.parent}: {one.error}", err=True)
            continue
        click.echo(f"{one.sent} of {one.sent + one.left} kept entries sent to {one.store}, run {one.run_id}")
        for note in one.notes:
            click.echo(f"note: {one.path.parent}: {note}", err=True)
        if one.left:
            click.echo(f"warning: {one.left} stay in {one.path.parent}: {one.reason}", err=True)
    sys.exit(1 if any(one.left or one.error for one in done) else 0)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
