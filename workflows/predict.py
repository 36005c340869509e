"""medseg predict: masks on the scans' own grids."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from workflows import options

if TYPE_CHECKING:
    from pipeline.records import Split

EPILOG = """\b
Examples:
  medseg predict run data/dataset.json --fold 0 --out masks
  medseg predict run scan.nii.gz more_scans/ --out masks
"""


@click.command("predict", epilog=EPILOG)
@click.argument("run", type=options.FILE)
@click.argument("inputs", type=options.FOLDER, nargs=-1, required=True)
@click.option("--out", "folder", type=options.FOLDER, required=True, help="Folder of the masks; new or empty.")
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
    """Draw masks with the model of RUN for INPUTS: a manifest, image files, or folders of image files."""
    from pipeline.inference import Predictor, find_inputs, predict_cases
    from workflows.console import counting, empty_folder, report_failures

    empty_folder(folder)
    model = run / "model" if (run / "model").is_dir() else run
    predictor = Predictor.load(model, weights=weights, device=options.torch_device(device))
    cases = find_inputs(inputs, channels=len(predictor.card.channels), data_root=data_root, fold=fold, split=split)
    with counting(len(cases), "predict") as on_done:
        delivered, failures = predict_cases(predictor, cases, folder, on_done=on_done)
    seconds = sum(item.seconds for item in delivered)
    click.echo(f"{len(delivered)} mask(s) in {folder}, {seconds:.1f} s; details in {folder / 'predictions.json'}")
    report_failures(failures)


if __name__ == "__main__":
    from workflows.cli import run_command

    run_command(command)
