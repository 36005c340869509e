"""medseg predict: masks on the scans' own grids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from medseg.workflows import bars, options
from medseg.workflows.mask_summary import echo_masks
from medseg.workflows.quantity_summary import echo_quantities

EPILOG = """\b
Examples:
  medseg predict run data/dataset.json --fold 0 --out masks
  medseg predict run scan.nii.gz more_scans/ --out masks
  medseg predict run_a run_b study/ --series 3 --out masks
  medseg predict run scans/ --gate classifier --out masks
  medseg predict models:/livers@clinical scans/ --out masks
  medseg predict folds data/dataset.json --out-of-fold --out masks

The same command again continues where it was stopped: masks that are finished and unchanged are kept.
"""


@click.command("predict", epilog=EPILOG)
@click.argument("places", metavar="RUN... INPUT...", type=options.PLACE, nargs=-1, required=True)
@click.option(
    "--out",
    "folder",
    type=options.FOLDER,
    required=True,
    help="Folder of the masks: new, empty, or of this very command, which is continued.",
)
@click.option("--fold", type=click.IntRange(0), help="Only this fold's validation cases of a manifest.")
@click.option("--split", type=click.Choice(["training", "test"]), help="Only this split of a manifest.")
@click.option("--out-of-fold", is_flag=True,
              help="Draw each case of a manifest with the models alone that have not seen its patient.")  # fmt: skip
@options.studies
@click.option("--weights", type=click.Choice(["last", "best"]), default="last", show_default=True,
              help="Weights at the end, or at the best validation (which flatters that validation set).")  # fmt: skip
@click.option("--fast", is_flag=True, help="Draw faster, at a small loss of accuracy.")
@click.option("--probabilities", is_flag=True,
              help="Write each structure's probability, too, into OUT/probabilities/CASE.")  # fmt: skip
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
@options.cluster
@click.option("--tracking-uri", help="MLflow store of a registered model.  [default: MLFLOW_TRACKING_URI, else here]")
def command(places: tuple[Path | str, ...], folder: Path, **choices: Any) -> None:
    """Draw masks with the models of RUN... for INPUT...: a manifest, or files and folders of scans, DICOM among them.

    Models of quantities write a volume of each in its unit, OUT/QUANTITY/CASE.nii.gz; of several the mean.

    RUN is the folder of a training, that of a training of all folds, or a registered model such as
    models:/livers@clinical. Several models draw one mask together. Inputs begin with the first place that is no model.
    """
    runs, inputs = options.runs_and_inputs(places)

    from medseg.runs.predict_inputs import predict_inputs
    from medseg.runs.segmentation.predict import PredictResult, PredictSettings

    result = predict_inputs(runs, inputs, PredictSettings(out=folder, **choices), progress=bars.Bars())
    if isinstance(result, PredictResult):
        echo_masks(result)
    else:
        echo_quantities(result)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
