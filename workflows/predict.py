"""medseg predict: masks on the scans' own grids."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from medseg.workflows import options

if TYPE_CHECKING:
    from medseg.inference.classification import SliceReviewer
    from medseg.inference.segmentation import Predictor
    from medseg.records import Split

EPILOG = """\b
Examples:
  medseg predict run data/dataset.json --fold 0 --out masks
  medseg predict run scan.nii.gz more_scans/ --out masks
  medseg predict run scans/ --gate classifier --out masks
"""


@click.command("predict", epilog=EPILOG)
@click.argument("run", type=options.FILE)
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
    help="A run of `medseg classify train`: segment only the slab in which it finds something, and "
    "check masks there; what it leaves out is not checked.",
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
def command(
    run: Path,
    inputs: tuple[Path, ...],
    folder: Path,
    fold: int | None,
    split: Split | None,
    weights: str,
    gate: Path | None,
    sensitivity: float,
    check: Path | None,
    data_root: Path | None,
    device: str,
) -> None:
    """Draw masks with the model of RUN for INPUTS: a manifest, image files, or folders of image files."""
    from medseg.inference import find_inputs
    from medseg.inference.segmentation import Predictor, predict_cases
    from medseg.workflows.console import counting, empty_folder, print_review, report_failures

    empty_folder(folder)
    model = run / "model" if (run / "model").is_dir() else run
    predictor = Predictor.load(model, weights=weights, device=options.torch_device(device))
    cases = find_inputs(inputs, channels=len(predictor.card.channels), data_root=data_root, fold=fold, split=split)
    reviewer = _reviewer(gate, check, sensitivity, predictor)
    with counting(len(cases), "predict") as on_done:
        delivered, failures = predict_cases(predictor, cases, folder, reviewer=reviewer, on_done=on_done)
    seconds = sum(item.seconds for item in delivered)
    click.echo(f"{len(delivered)} mask(s) in {folder}, {seconds:.1f} s; details in {folder / 'predictions.json'}")
    print_review(delivered)
    report_failures(failures)


def _reviewer(gate: Path | None, check: Path | None, sensitivity: float, predictor: Predictor) -> SliceReviewer | None:
    """The classifier that gates or checks, if one is given."""
    from medseg.errors import ConfigError
    from medseg.inference.classification import Gate, SlicePredictor, SliceReviewer

    if gate and check:
        raise click.UsageError("--gate checks masks too; leave --check out")
    run = gate or check
    if run is None:
        return None
    classifier = SlicePredictor.load(run, device=predictor.device)
    if classifier.card.calibration.disagreement_limit is None:
        message = "the classifier has no limit of disagreement, so that no mask can be flagged: train it with --fold K"
        if check:
            raise ConfigError(f"--check: {message}")
        click.echo(f"warning: {message}", err=True)
    names = predictor.target.structures
    unchecked = [name for name in names if name not in classifier.card.targets.classes]
    if unchecked:
        click.echo(
            f"warning: the classifier does not know {', '.join(unchecked)}; masks are not checked for them", err=True
        )
    chosen = Gate.of(classifier.card, sensitivity=sensitivity, labels=names) if gate else None
    return SliceReviewer(classifier, target=predictor.target, gate=chosen)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
