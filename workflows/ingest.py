"""medseg ingest: from a folder of hospital scans to a dataset."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from medseg.workflows import bars, console, options

if TYPE_CHECKING:
    from medseg.ingest import IngestReport

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
    "--out", "folder", type=options.FOLDER, required=True, help="The dataset; an interrupted ingest is continued."
)
@click.option("--mapping", type=options.FILE, help="Labels by structure.  [default: proposed, and written]")
@click.option("--repair", callback=_repairs, default="", metavar="LIST",
              help="Repair instead of refusing: tilt, gaps, grids (of labels), orientations (apart).")  # fmt: skip
@click.option("--min-slices", type=click.IntRange(1), default=3, show_default=True, help="Fewest slices of a volume.")
@click.option("--suv", is_flag=True, help="PET as SUV by body weight, in channels named for it.")
@click.option("--kind", type=click.Choice(["volumes", "pictures"]), help="Kind of scans.  [default: volumes, if any]")
@click.option("--modality", help="Take only series of this modality, such as CT.  [default: all]")
@click.option("--patients-from", type=click.Choice(["id", "folder", "study", "file"]), default="id",
              show_default=True,
              help="What makes a patient, where one id is that of all: folders, studies or file names.")  # fmt: skip
@click.option("--key", type=options.FOLDER, help="Key of the pseudonyms.  [default: OUT.key, created if missing]")
@click.option("--keep-ids", is_flag=True, help="Keep patient ids and UIDs, which are pseudonyms already.")
@click.option("--shift-dates", is_flag=True, help="Keep study dates, moved by 1 to 365 days per patient.")
@click.option("--name", help="Name of the dataset.  [default: that of the folder]")
@options.workers
@options.cluster
def command(source: Path, folder: Path, **choices: Any) -> None:
    """Find every scan below SOURCE, DICOM or not, and write a dataset with pseudonyms, labels and a manifest."""
    from medseg.runs.ingest import IngestSettings, ingest_source

    settings = IngestSettings(out=folder, **choices)
    with bars.over_files() as progress:
        report = ingest_source(source, settings, progress=progress)
    _echo_report(report, folder)
    click.echo(f"the key of the pseudonyms is {settings.key_file}: keep it, and do not pass it on with the dataset")
    click.echo(f"what became of every series and file, with their names: {settings.sources_file}; keep it like the key")
    console.report_failures(report.failures)
    if not report.is_clean:
        sys.exit(1)


def _echo_report(report: IngestReport, folder: Path) -> None:
    """Print what was found, what became of it, and what to review."""
    found = ", ".join(f"{count} {kind}" for kind, count in report.files.items() if count)
    click.echo(f"found: {found or 'nothing'}")
    rows = report.by_modality()
    width = max([len(modality) for modality in rows] + [len("modality")])
    click.echo(f"{'modality':<{width}} {'cases':>8} {'labelled':>8} {'refused':>8}")
    for modality, row in rows.items():
        click.echo(f"{modality:<{width}} {row.cases:>8} {row.labelled:>8} {row.refused:>8}")
    for reason, count in report.aside.items():
        click.echo(f"set aside {count}: {reason}")
    for reason, count in report.passed_over.items():
        click.echo(f"passed over {count}: {reason}")
    endings = ", ".join(f"{count} {ending}" for ending, count in report.endings.items())
    if endings:
        click.echo(f"no scans: {endings}")
    for reason, count in report.unreadable.items():
        click.echo(f"unreadable {count} file(s): {reason}", err=True)
    details = "ingest.json"
    structures = report.structures.items()
    lines = [f"{name!r} -> label {entry.label} in {entry.cases} case(s)" for name, entry in structures]
    console.echo_first(lines, "structure", details)
    for how, count in Counter(how for case in report.cases for how in case.labels).items():
        click.echo(f"labels: {count} {how}")
    notes = [f"{case.case_id}: {note}" for case in report.cases for note in case.notes]
    console.echo_first(notes, "note", details)
    console.echo_first(list(report.lost_labels), "in no case", details)
    console.warn([warning.message for warning in report.warnings])
    for risk, count in report.count_risks().items():
        click.echo(f"risk: {count} case(s) with {risk.replace('_', ' ')}; see ingest.json", err=True)
    click.echo(f"{len(report.cases)} case(s) in {folder}; details in {folder / details}")


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
