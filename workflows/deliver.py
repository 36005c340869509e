"""medseg deliver: what clinicians and archives get of masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from medseg.workflows import bars, console, options

if TYPE_CHECKING:
    from medseg.runs.regression.deliver import QuantityDelivery
    from medseg.runs.segmentation.deliver import DeliverResult

EPILOG = """\b
Examples:
  medseg deliver masks --out delivery
  medseg deliver masks --formats seg,sr,pdf --out delivery
  medseg deliver masks --source scans/ --case patient_7 --out delivery

\b
Formats:
  nifti         mask on the scan's grid, with label files for ITK-SNAP and 3D Slicer
  seg-nrrd      segmentation of 3D Slicer
  structures    a NIfTI mask of each structure
  probabilities a map of each structure, if predicted with --probabilities
  seg           DICOM SEG as a labelmap       (of masks that were drawn on DICOM series)
  seg-binary    DICOM SEG for older viewers   (the same)
  rtstruct      DICOM RTSTRUCT                (the same)
  csv           volumes, diameters, intensities
  sr            the same as DICOM SR, with seg or seg-binary
  pdf           a page with pictures, volumes and doubts

Without --formats: nifti, seg-nrrd, csv, pdf, and seg of DICOM series. The same command again continues.
Of predicted quantities: nifti and, for doses of DICOM series, rtdose, which is DICOM RT Dose.
"""


@click.command("deliver", epilog=EPILOG)
@click.argument("masks", type=options.FILE)
@click.option("--out", type=options.FOLDER, required=True, help="Folder of the delivery; a folder for each case.")
@click.option("--formats", help="Formats, separated by commas.  [default: see below]")
@click.option("--source", "sources", type=options.FILE, multiple=True,
              help="Folder of the scans, if they are not where they were predicted from; may be repeated.")  # fmt: skip
@click.option("--pseudonyms", type=options.FILE,
              help="Private table of the prediction, if ids are pseudonyms; DICOM files name the patient.")  # fmt: skip
@click.option("--case", "cases", multiple=True, help="Only this case; may be repeated.")
def command(
    masks: Path,
    out: Path,
    formats: str | None,
    sources: tuple[Path, ...],
    pseudonyms: Path | None,
    cases: tuple[str, ...],
) -> None:
    """Deliver MASKS, a folder that `medseg predict` wrote: files for viewers, archives and people.

    Every file is read back by independent libraries and compared with the mask, voxel by voxel and in millimetres. A
    case whose files pass gets a certificate.json; one with a file that fails is set apart under a name that says so.
    """
    from medseg.inference.regression.record import is_quantity_folder
    from medseg.runs.segmentation.deliver import DeliverSettings, deliver_masks

    forms = tuple(dict.fromkeys(name.strip() for name in formats.split(","))) if formats is not None else None
    settings = DeliverSettings(out=out, forms=forms, sources=sources, pseudonyms=pseudonyms, cases=cases)
    if is_quantity_folder(masks):
        from medseg.runs.regression.deliver import deliver_quantities

        _echo_quantities(deliver_quantities(masks, settings, progress=bars.Bars()))
    else:
        _echo(deliver_masks(masks, settings, progress=bars.Bars()), has_pseudonyms=pseudonyms is not None)


def _echo(result: DeliverResult, *, has_pseudonyms: bool) -> None:
    """Print what was delivered, doubts, and what was not; exit 1 if a case failed."""
    from medseg.runs.segmentation.deliver import DELIVERY_NAME

    kept = f", {result.kept} of them finished before" if result.kept else ""
    click.echo(f"{len(result.delivered)} case(s) delivered and certified in {result.folder}{kept}")
    doubts = [f"{one.certificate.case_id}: {'; '.join(one.certificate.doubts)}" for one in result.delivered
              if one.certificate.doubts]  # fmt: skip
    console.echo_first(doubts, "please look", DELIVERY_NAME)
    if has_pseudonyms and result.with_identity:
        count = len(result.with_identity)
        click.echo(f"DICOM files hold the patient's name and id, as archives need them: {count} case(s)")
    if result.uncoded:
        click.echo(f"without a code of a terminology, named by their label alone: {', '.join(result.uncoded)}")
    if result.without_mask:
        click.echo(f"without a mask, since the prediction failed: {', '.join(result.without_mask)}")
    if result.left:
        click.echo(f"left by an earlier delivery, of other masks than these: {', '.join(result.left)}")
    console.report_failures(result.failures, where=result.folder / DELIVERY_NAME)


def _echo_quantities(result: QuantityDelivery) -> None:
    """Print what was delivered of quantities, what was changed, and what was not delivered; exit 1 if a case failed."""
    from medseg.runs.segmentation.deliver import DELIVERY_NAME

    click.echo(f"{len(result.delivered)} case(s) delivered in {result.folder}")
    notes = [f"{case.case_id}: {note}" for case in result.delivered for file in case.files for note in file.notes]
    console.echo_first(notes, "changed", DELIVERY_NAME)
    count = sum(case.with_identity for case in result.delivered)
    if count:
        click.echo(f"RT Dose files hold the patient's name and id, and are not for treatment: {count} case(s)")
    if result.without_values:
        click.echo(f"without values, since the prediction failed: {', '.join(result.without_values)}")
    console.report_failures(result.failures, where=result.folder / DELIVERY_NAME)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
