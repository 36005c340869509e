"""medseg review apply: decisions of readers as the next version of a data set."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
from medseg.workflows import console, options

EPILOG = """\b
Examples:
  medseg review apply masks review.json --dataset data/dataset.json
  medseg review apply masks anna.json ben.json --dataset data/dataset.json --patients patients.csv
"""


@click.command("apply", epilog=EPILOG)
@click.argument("masks", type=options.FILE)
@click.argument("reviews", metavar="REVIEW...", type=options.FILE, nargs=-1, required=True)
@click.option("--dataset", type=options.FILE, required=True, help="Data set whose next version is made.")
@click.option("--out", type=options.FOLDER, help="File of the new version.  [default: DATASET; its old one is kept]")
@click.option("--replace", is_flag=True, help="Give cases that have a label the new one; old files stay.")
@click.option("--patients", type=options.FILE,
              help="CSV with the columns case_id and patient_id, for scans that are new in the data set.")  # fmt: skip
@click.option("--source", "sources", multiple=True, type=options.FILE,
              help="Folder in which new scans are, if they are not where predict read them; repeat.")  # fmt: skip
@click.option("--pseudonyms", type=options.FILE, help="Private table of the prediction, where it wrote one.")
@options.data_root
def command(masks: Path, reviews: tuple[Path, ...], **choices: Any) -> None:
    """Make the masks of MASKS that readers accepted or corrected labels of a data set, and queue the rejected ones.

    REVIEW is a file that the review page saved. Every decision is kept in reviews.json beside the data set, rejected
    cases are listed in to_label.json; a case on which readers disagree is reported and left as it is.
    """
    from medseg.runs.segmentation.review import OUTCOMES, ApplySettings, apply_reviews

    done = apply_reviews(masks, reviews, ApplySettings(**choices))
    for word in OUTCOMES:
        ids: tuple[str, ...] = getattr(done, word)
        if ids:
            click.echo(f"{word}: {len(ids)} ({', '.join(ids[:5])}{', …' if len(ids) > 5 else ''})")
    console.warn(done.warnings)
    click.echo(f"every decision in {done.log}" + (f"; to label: {done.queue}" if done.queue.exists() else ""))
    if done.file is not None:
        kept = f"; the version before is kept as {done.previous}" if done.previous else ""
        click.echo(f"version {done.manifest.version} in {done.file}{kept}")
        is_elsewhere = done.file.parent.resolve() != done.root.resolve()
        root = ["--data-root", str(done.root)] if is_elsewhere else []
        click.echo(f"next: {shlex.join(['medseg', 'train', str(done.file), *root, '--out', 'run'])}")
    console.report_failures(done.failures)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
