"""medseg predict: masks on the scans' own grids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from medseg.workflows import bars, console, options

if TYPE_CHECKING:
    from medseg.records import Prediction

EPILOG = """\b
Examples:
  medseg predict run data/dataset.json --fold 0 --out masks
  medseg predict run scan.nii.gz more_scans/ --out masks
  medseg predict run scans/ --gate classifier --out masks
  medseg predict models:/livers@clinical scans/ --out masks
"""


@click.command("predict", epilog=EPILOG)
@click.argument("run", type=options.MODEL)
@click.argument("inputs", type=options.FOLDER, nargs=-1, required=True)
@click.option("--out", "folder", type=options.FOLDER, required=True, help="Folder of the masks; new or empty.")
@click.option("--fold", type=click.IntRange(0), help="Only this fold's validation cases of a manifest.")
@click.option("--split", type=click.Choice(["training", "test"]), help="Only this split of a manifest.")
@click.option("--weights", type=click.Choice(["last", "best"]), default="last", show_default=True,
              help="Weights at the end, or at the best validation (which flatters that validation set).")  # fmt: skip
@click.option(
    "--gate",
    "gate",
    type=options.FILE,
    help="A run of `medseg classify train`: segment only the slab in which it finds a structure, and "
    "check masks there; slices outside the slab are not checked.",
)
@click.option(
    "--sensitivity",
    type=click.FloatRange(0.5, 1),
    default=0.99,
    show_default=True,
    help="Share of the slices with a label that the gate is to keep.",
)
@click.option(
    "--check",
    "check",
    type=options.FILE,
    help="A run of `medseg classify train`: flag masks that disagree with it, but segment everything.",
)
@options.data_root
@options.device
@click.option("--tracking-uri", help="MLflow store of a registered model.  [default: MLFLOW_TRACKING_URI, else here]")
def command(run: Path | str, inputs: tuple[Path, ...], folder: Path, **choices: Any) -> None:
    """Draw masks with the model of RUN for INPUTS: a manifest, image files, or folders of image files.

    RUN is the folder of a training, or a registered model such as models:/livers@clinical.
    """
    from medseg.runs.segmentation.predict import PredictSettings, predict_run

    result = predict_run(run, inputs, PredictSettings(out=folder, **choices), progress=bars.Bars())
    console.warn(result.warnings)
    seconds = sum(item.seconds for item in result.predictions)
    click.echo(
        f"{len(result.predictions)} mask(s) in {folder}, {seconds:.1f} s; details in {folder / 'predictions.json'}"
    )
    _echo_review(result.predictions)
    console.report_failures(result.failures)


def _echo_review(predictions: Sequence[Prediction]) -> None:
    """Print how much a gate left out, and which masks a classifier flags."""
    seen = [(item, item.review) for item in predictions if item.review is not None]
    gates = [review.gate for _, review in seen if review.gate is not None]
    if gates:
        kept = sum(gate.stop - gate.start for gate in gates) / max(sum(gate.slices for gate in gates), 1)
        empty = sum(gate.start == gate.stop for gate in gates)
        seconds = sum(gate.seconds for gate in gates)
        click.echo(
            f"gate: {kept:.0%} of the slices segmented, none in {empty} case(s); the classifier took {seconds:.1f} s"
        )
    empty_cases = [item.case_id for item, review in seen if review.gate and review.slab.is_empty]
    lines = [f"{case_id}: no slice reached the threshold; nothing was segmented" for case_id in empty_cases]
    console.echo_first(lines, "gate", "predictions.json")
    flagged = [(item, review.quality) for item, review in seen if review.quality.is_flagged]
    console.echo_first(
        [f"{item.case_id}: {quality.reason}" for item, quality in flagged], "flagged", "predictions.json"
    )
    if seen:
        click.echo(f"{len(flagged)} of {len(seen)} mask(s) flagged for disagreeing with the classifier")


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
