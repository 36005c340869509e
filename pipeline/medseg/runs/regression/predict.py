"""Quantities for scans, with one or several trained runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.atomic import check_writable
from medseg.errors import ConfigError
from medseg.inference.card import QUANTITY_CARD, card_digest
from medseg.inference.inputs import PassedOver, find_inputs
from medseg.inference.regression import ValueModel, check_value_folder, is_quantity_model, predict_values
from medseg.inference.regression.record import ValueCase
from medseg.records import Failure
from medseg.runs.machine import torch_device
from medseg.runs.progress import Progress, Silence
from medseg.runs.run_folder import RunFolder
from medseg.runs.segmentation.predict import PredictSettings

_OF_MASKS = ("gate", "check", "network", "cluster", "fast", "probabilities", "out_of_fold")


@dataclass(frozen=True, slots=True)
class QuantityResult:
    """Predicted quantities.

    Attributes:
        folder: Folder of the volumes and `predictions.json`.
        cases: One record per case, those that were kept among them.
        kept: Ids of the cases that an earlier prediction had finished.
        failures: Cases without values, with the reasons.
        warnings: Sentences for the person who started the prediction.
        passed_over: Files and series among the inputs that are no case.
        seconds: Wall clock of the prediction.
    """

    folder: Path
    cases: tuple[ValueCase, ...]
    kept: tuple[str, ...]
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    seconds: float = 0.0


def are_quantity_models(runs: Sequence[Path | str]) -> bool:
    """Whether the models that are given are of quantities.

    Raises:
        ConfigError: If some are and others are not.
    """
    kinds = {bool(quantity_folders(run)) for run in runs}
    if kinds == {True, False}:
        raise ConfigError(
            "models must be all of quantities or all of masks, got both", remedy="predict with each kind apart"
        )
    return kinds == {True}


def quantity_folders(run: Path | str) -> tuple[Path, ...]:
    """Folders of the models of quantities that a path means: of a run, or of each fold; empty for anything else."""
    if str(run).startswith("models:/"):
        return ()
    folder = Path(run)
    if is_quantity_model(folder):
        return (folder,)
    if not RunFolder(folder).folds.is_file():
        return ()
    folds = sorted(folder.glob("fold_*"), key=lambda path: (len(path.name), path.name))
    return tuple(path for path in folds if is_quantity_model(path) and any((path / "model").glob("*.safetensors")))


def predict_quantities(
    runs: Sequence[Path | str],
    inputs: Sequence[Path],
    settings: PredictSettings,
    *,
    progress: Progress | None = None,
) -> QuantityResult:
    """Write the quantities of every case on the scan's own grid; a bad case is listed and does not stop the others.

    Args:
        runs: Folders of trainings, their model folders, or a training of all folds; the mean of several counts.
        inputs: A manifest or its folder, or files and folders of scans, DICOM among them.
        settings: Choices; those that only masks have must be left as they are.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If a model, a choice or the inputs cannot be used, or the output folder holds something else.
    """
    progress = progress or Silence()
    _check_choices(settings)
    check_value_folder(settings.out)
    check_writable(settings.out, option="out")
    folders = [folder for run in runs for folder in quantity_folders(run)]
    model = ValueModel.load(folders, weights=settings.weights, device=torch_device(settings.device))
    found = find_inputs(inputs, channels=model.channels, choice=settings.inputs)
    start = time.monotonic()
    with progress.over_cases(len(found.cases), "predict") as on_done:
        done = predict_values(model, found, settings.out, cards=card_digest(folders, QUANTITY_CARD), on_done=on_done)
    return QuantityResult(
        folder=settings.out,
        cases=done.cases,
        kept=done.kept,
        failures=done.failures,
        passed_over=found.passed_over,
        seconds=time.monotonic() - start,
    )


def _check_choices(settings: PredictSettings) -> None:
    """Refuse choices that only masks have.

    Raises:
        ConfigError: If one is made; the error names it.
    """
    asked = [name for name in _OF_MASKS if getattr(settings, name)]
    if asked:
        raise ConfigError(
            f"{asked[0]}: must be of a model of masks, got one of quantities", remedy="leave the choice out"
        )
