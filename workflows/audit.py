"""medseg audit: what is wrong with a dataset, before anything is trained on it."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import click
from medseg.workflows import options

if TYPE_CHECKING:
    from medseg.audit import Audit, Fix

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
def command(
    dataset: Path, data_root: Path | None, folder: Path | None, target: Path | None, workers: int | None
) -> None:
    """Look at every case of DATASET and write audit.json and audit.html; exit code 1 if there are errors."""
    from medseg.audit import audit_manifest, fix_dataset, load_for_audit, write_audit
    from medseg.cohort import ThreadExecutor
    from medseg.workflows.console import counting

    if target and target.exists():
        raise click.UsageError(f"--fix {target} must be a new folder; choose another name")
    source = load_for_audit(dataset, data_root=data_root)
    folder = _writable(folder or source.folder)
    threads = ThreadExecutor(options.worker_count(workers))
    with _quiet_readers(), counting(len(source.manifest.cases), "audit") as on_done:
        audit = audit_manifest(source.manifest, source.root, known=source.findings, executor=threads, on_done=on_done)
    fixes: tuple[Fix, ...] = ()
    if target:
        with counting(len(audit.cases), "fix") as on_done:
            fixes = fix_dataset(audit, source.root, target, folder=source.folder, on_done=on_done)
    page = write_audit(audit, folder, fixes=fixes)
    _print_findings(audit)
    done = [fix for fix in fixes if fix.is_done]
    for fix in done:
        click.echo(f"fixed: {fix.case_id or 'dataset'}: {fix.text}")
    if target:
        click.echo(f"{len(done)} repair(s) in {target}, {len(fixes) - len(done)} error(s) left; audit it in its turn")
    click.echo(f"page to look at: {page}")
    sys.exit(1 if audit.count("error") else 0)


@contextmanager
def _quiet_readers() -> Iterator[None]:
    """Readers keep to themselves what they warn of: it is among the findings."""
    log = logging.getLogger("medseg.scans")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _writable(folder: Path) -> Path:
    """A folder that can be written to, tried before the work is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise click.UsageError(f"{folder} cannot be written to ({error.strerror}); name a folder with --out") from error


def _print_findings(audit: Audit) -> None:
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
