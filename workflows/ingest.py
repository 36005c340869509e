"""medseg ingest: from a folder of hospital scans to a dataset."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click
from medseg.workflows import options

REPAIRS = ("tilt", "gaps", "grids", "orientations")
EPILOG = """\b
Example; the key stays with you, and mapping.yaml is for you to review:
  medseg ingest /data/export --out dataset
  medseg ingest /data/export --out dataset --mapping dataset/mapping.yaml
"""


def _repairs(context: click.Context, parameter: click.Parameter, value: str) -> frozenset[str]:
    """A comma-separated list of repairs."""
    asked = frozenset(part.strip() for part in value.split(",") if part.strip())
    unknown = sorted(asked - set(REPAIRS))
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is no repair; choose among {', '.join(REPAIRS)}")
    return asked


@click.command("ingest", epilog=EPILOG)
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--out", "folder", type=options.FOLDER, required=True, help="The dataset; an ingest that stopped goes on."
)
@click.option("--mapping", type=options.FILE, help="Which structure is which label.  [default: proposed, and written]")
@click.option("--repair", callback=_repairs, default="", metavar="LIST",
              help="Repair instead of refuse: tilt, gaps, grids (of labels), orientations (apart).")  # fmt: skip
@click.option("--min-slices", type=click.IntRange(2), default=3, show_default=True, help="Fewest slices of a volume.")
@click.option("--suv", is_flag=True, help="PET as SUV by body weight.")
@click.option("--kind", type=click.Choice(["volumes", "pictures"]), help="What to take.  [default: volumes, if any]")
@click.option("--key", type=options.FOLDER, help="Key of the pseudonyms.  [default: OUT.key, made where there is none]")
@click.option("--keep-ids", is_flag=True, help="Patient ids and UIDs are pseudonyms already; keep them.")
@click.option("--shift-dates", is_flag=True, help="Keep study dates, moved by 1 to 365 days per patient.")
@click.option("--name", help="Name of the dataset.  [default: that of the folder]")
@options.workers
def command(
    source: Path,
    folder: Path,
    mapping: Path | None,
    repair: frozenset[str],
    min_slices: int,
    suv: bool,
    kind: Literal["volumes", "pictures"] | None,
    key: Path | None,
    keep_ids: bool,
    shift_dates: bool,
    name: str | None,
    workers: int | None,
) -> None:
    """Find every scan below SOURCE, DICOM or not, and write a dataset with pseudonyms, labels and a manifest."""
    from medseg.ingest import IngestOptions, Pseudonyms, ingest, load_key
    from medseg.workflows.console import finding, print_ingest, report_failures

    key_file = key or folder.absolute().with_name(folder.absolute().name + ".key")
    if folder.resolve() in key_file.resolve().parents:
        raise click.UsageError(f"--key {key_file} must not lie in the dataset, with which it would be passed on")
    names = Pseudonyms(load_key(key_file), keep_ids=keep_ids)
    asked = IngestOptions(repair, min_slices, suv, shift_dates, kind, options.worker_count(workers), name)
    with finding() as progress:
        report = ingest(source, folder, names=names, mapping_file=mapping, options=asked, progress=progress)
    print_ingest(report, folder, key_file)
    report_failures(report.failures)
    if not report.is_clean:
        sys.exit(1)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
