"""medseg classify predict: a list of studies, the most probable first, with their key slices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from medseg.workflows import options

if TYPE_CHECKING:
    from medseg.records import Split

EPILOG = """\b
Examples:
  medseg classify predict classifier dataset.json --split test --out triage
  medseg classify predict classifier scan.nii.gz more_scans/ --out triage
"""


@click.command("predict", epilog=EPILOG)
@click.argument("run", type=options.FILE)
@click.argument("inputs", type=options.FOLDER, nargs=-1, required=True)
@click.option("--out", "folder", type=options.FOLDER, required=True, help="Folder of the list; new or empty.")
@click.option("--fold", type=click.IntRange(0), help="Only this fold's validation cases of a manifest.")
@click.option("--split", type=click.Choice(["training", "test"]), help="Only this split of a manifest.")
@click.option("--weights", type=click.Choice(["last", "best"]), default="last", show_default=True,
              help="Weights at the end, or at the best validation (which flatters that validation set).")  # fmt: skip
@options.data_root
@options.device
def command(
    run: Path,
    inputs: tuple[Path, ...],
    folder: Path,
    fold: int | None,
    split: Split | None,
    weights: str,
    data_root: Path | None,
    device: str,
) -> None:
    """Classify the slices of INPUTS with RUN: a manifest, image files, or folders of image files."""
    from medseg.inference import find_inputs
    from medseg.inference.classification import SlicePredictor
    from medseg.workflows.console import counting, empty_folder, report_failures
    from medseg.workflows.slice_triage import triage

    empty_folder(folder)
    predictor = SlicePredictor.load(run, weights=weights, device=options.torch_device(device))
    cases = find_inputs(inputs, channels=len(predictor.card.channels), data_root=data_root, fold=fold, split=split)
    with counting(len(cases), "classify") as on_done:
        studies, failures = triage(predictor, cases, folder, on_done=on_done)
    click.echo(f"{len(studies)} studies ranked in {folder / 'triage.html'}, tables beside it")
    report_failures(failures)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
