"""medseg review build: pages with scans and masks that open by double click."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from medseg.workflows import bars, console, options

EPILOG = """\b
Examples:
  medseg review build masks --out review.html
  medseg review build masks --source data --cases p1,p2 --image-mb 20 --out review.html
"""


def _ids(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


@click.command("build", epilog=EPILOG)
@click.argument("masks", type=options.FILE)
@click.option("--out", type=options.FOLDER, required=True, help="File of the page; more pages are numbered.")
@click.option("--cases", callback=_ids, default="", help="Ids to review, with commas between them.  [default: all]")
@click.option("--cases-per-page", type=click.IntRange(1), default=20, show_default=True, help="Most cases of a page.")
@click.option("--page-mb", type=click.FloatRange(1), default=200.0, show_default=True,
              help="Most megabytes of scans and masks in a page.")  # fmt: skip
@click.option("--image-mb", type=click.FloatRange(0.1), default=8.0, show_default=True,
              help="About the most megabytes of a scan; larger scans are shown with averaged voxels.")  # fmt: skip
@click.option("--source", "sources", multiple=True, type=options.FILE,
              help="Folder in which the scans are, if they are not where predict read them; repeat.")  # fmt: skip
@click.option("--pseudonyms", type=options.FILE, help="Private table of the prediction, where it wrote one.")
def command(masks: Path, out: Path, **choices: Any) -> None:
    """Write pages with the masks of MASKS and the scans that they were drawn on, flagged masks first.

    A page holds scans and masks themselves and needs no network: keep it where the scans may be kept.
    """
    from medseg.delivery.review import PageLimits
    from medseg.runs.segmentation.review import BuildSettings, build_review

    limits = PageLimits(cases=choices["cases_per_page"], page_mb=choices["page_mb"], image_mb=choices["image_mb"])
    settings = BuildSettings(
        out=out,
        sources=choices["sources"],
        pseudonyms=choices["pseudonyms"],
        cases=choices["cases"],
        limits=limits,
    )
    built = build_review(masks, settings, progress=bars.Bars())
    console.warn(built.warnings)
    for file in built.files:
        click.echo(f"{file} ({file.stat().st_size / 1e6:.0f} MB)")
    click.echo(f"{len(built.cases)} case(s); open the page in a browser, decide, save, then: medseg review apply")
    console.report_failures(built.failures)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
