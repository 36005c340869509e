"""Masks for scans, with a trained run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import ConfigError
from medseg.inference import find_inputs
from medseg.inference.classification import Gate, SlicePredictor, SliceReviewer
from medseg.inference.classification.card import CLASSIFIER_NAME
from medseg.inference.segmentation import Predictor, predict_cases
from medseg.records import Failure, Prediction, Split
from medseg.runs.machine import torch_device
from medseg.runs.progress import Progress, Silence
from medseg.runs.run_folder import check_empty
from medseg.runs.settings import DeviceName
from medseg.training.segmentation.parts import BuildNetwork

_REGISTERED = "models:/"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictSettings:
    """Choices of a prediction.

    Attributes:
        out: Folder of the masks, new or empty.
        fold: Fold of a manifest whose validation cases are wanted.
        split: Split of a manifest that is wanted.
        weights: `last`, or `best` at any validation, which flatters that validation set.
        gate: Run of a slice classifier; only the slab in which it finds something is segmented, and masks are checked.
        sensitivity: Share of the slices with a label that the gate keeps.
        check: Run of a slice classifier that flags masks which disagree with it; excludes `gate`.
        data_root: Folder that a manifest's paths are relative to; its own folder if not given.
        device: Device of the network.
        network: Builds the untrained network from the plan's settings, for a run with a network of your own.
        tracking_uri: MLflow store of a registered model; its own choice if not given.
    """

    out: Path
    fold: int | None = None
    split: Split | None = None
    weights: str = "last"
    gate: Path | None = None
    sensitivity: float = 0.99
    check: Path | None = None
    data_root: Path | None = None
    device: DeviceName = "auto"
    network: BuildNetwork | None = None
    tracking_uri: str | None = None


@dataclass(frozen=True, slots=True)
class PredictResult:
    """Delivered masks.

    Attributes:
        folder: Folder of the masks and `predictions.json`.
        predictions: One per mask.
        failures: Cases without a mask, with the reasons.
        warnings: Sentences for the person who started the prediction.
    """

    folder: Path
    predictions: tuple[Prediction, ...]
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]


def predict_run(
    run: Path | str, inputs: Sequence[Path], settings: PredictSettings, *, progress: Progress | None = None
) -> PredictResult:
    """Write a mask on the scan's own grid for every case; a bad case is listed and does not stop the others.

    Args:
        run: Folder of a training, its model folder, or the address of a registered model such as
            `models:/livers@clinical`.
        inputs: A manifest or its folder, image files, or folders of image files.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the model or the inputs cannot be used, or the output folder holds something.
    """
    progress = progress or Silence()
    if settings.gate and settings.check:
        raise ConfigError("gate checks masks too", remedy="leave check out")
    check_empty(settings.out)
    with _folder_of(run, settings) as folder:
        predictor = Predictor.load(
            folder, weights=settings.weights, device=torch_device(settings.device), build=settings.network
        )
    cases = find_inputs(
        inputs,
        channels=len(predictor.card.channels),
        data_root=settings.data_root,
        fold=settings.fold,
        split=settings.split,
    )
    reviewer, warnings = _reviewer(settings, predictor)
    with progress.over_cases(len(cases), "predict") as on_done:
        predictions, failures = predict_cases(predictor, cases, settings.out, reviewer=reviewer, on_done=on_done)
    return PredictResult(settings.out, tuple(predictions), tuple(failures), warnings)


@contextmanager
def _folder_of(run: Path | str, settings: PredictSettings) -> Iterator[Path]:
    """The folder of a model; that of a registered one is a copy, which is gone afterwards."""
    if not str(run).startswith(_REGISTERED):
        yield Path(run)
        return
    from medseg.tracking import fetch_model

    with tempfile.TemporaryDirectory() as scratch:
        folder = fetch_model(str(run), Path(scratch), tracking_uri=settings.tracking_uri)
        if (folder / CLASSIFIER_NAME).is_file():
            raise ConfigError(
                f"{run}: must be a segmentation model, got a slice classifier",
                remedy="give the address of a model of medseg train",
            )
        yield folder


def _reviewer(settings: PredictSettings, predictor: Predictor) -> tuple[SliceReviewer | None, tuple[str, ...]]:
    """The classifier that gates or checks, if one is given, and what it cannot do."""
    run = settings.gate or settings.check
    if run is None:
        return None, ()
    warnings = []
    classifier = SlicePredictor.load(run, device=predictor.device)
    if classifier.card.calibration.disagreement_limit is None:
        message = (
            "the classifier has no limit of disagreement, so that no mask can be flagged: train it with a validation "
            "fold"
        )
        if settings.check:
            raise ConfigError(f"check: {message}")
        warnings.append(message)
    names = predictor.target.structures
    unchecked = [name for name in names if name not in classifier.card.targets.classes]
    if unchecked:
        warnings.append(f"the classifier does not know {', '.join(unchecked)}; masks are not checked for them")
    gate = Gate.of(classifier.card, sensitivity=settings.sensitivity, labels=names) if settings.gate else None
    return SliceReviewer(classifier, target=predictor.target, gate=gate), tuple(warnings)
