"""medseg audit: find what is wrong with a dataset before training on it."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from medseg.workflows import bars, options

if TYPE_CHECKING:
    from medseg.audit import Audit

EPILOG = """\b
Examples:
  medseg audit data/dataset.json --out audit
  medseg audit data --fix data_v2; medseg audit data_v2
"""


@click.command("audit", epilog=EPILOG)
@click.argument("dataset", type=options.FILE)
@options.data_root
@click.option("--out", "folder", type=options.FOLDER, help="Folder of audit.json and audit.html.  [default: DATASET's]")
@click.option("--fix", "target", type=options.FOLDER, help="New folder for a version with the safe repairs applied.")
@options.workers
@options.cluster
def command(dataset: Path, folder: Path | None, target: Path | None, **choices: Any) -> None:
    """Examine every case of DATASET and write audit.json and audit.html; exit code 1 if there are errors."""
    from medseg.runs.audit import audit_dataset

    result = audit_dataset(dataset, out=folder, fix=target, progress=bars.Bars(), **choices)
    _echo_findings(result.audit)
    done = [fix for fix in result.fixes if fix.is_done]
    for fix in done:
        click.echo(f"fixed: {fix.case_id or 'dataset'}: {fix.text}")
    if target:
        left = len(result.fixes) - len(done)
        click.echo(f"{len(done)} repair(s) in {target}, {left} error(s) left; audit the new version too")
    if result.raters is not None:
        click.echo(result.raters)
    click.echo(f"page to review: {result.page}")
    sys.exit(1 if result.audit.count("error") else 0)


def _echo_findings(audit: Audit) -> None:
    """Counts by check, then the first errors."""
    counts = Counter((found.severity, found.check) for found in audit.findings)
    for (severity, check), count in counts.items():
        click.echo(f"{severity:>8} {count:>6}  {check.replace('_', ' ')}")
    errors = [found for found in audit.findings if found.severity == "error"]
    for found in errors[:20]:
        click.echo(f"error: {found.message}")
    if len(errors) > 20:
        click.echo(f"and {len(errors) - 20} more errors")
    click.echo(", ".join(f"{audit.count(name)} {name}(s)" for name in ("error", "warning", "note")))


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
