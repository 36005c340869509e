"""Masks for scans, with one or several trained runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medseg.atomic import check_writable
from medseg.errors import ConfigError
from medseg.inference.card import CLASSIFIER_NAME, card_digest
from medseg.inference.case_record import CaseRecord
from medseg.inference.inputs import FoundInputs, InputChoice, PassedOver, find_inputs, is_manifest
from medseg.inference.mask_folder import MAPS
from medseg.inference.mask_folder_check import check_mask_folder
from medseg.inference.mask_settings import Choice, MaskSettings
from medseg.inference.record import load_record
from medseg.inference.segmentation import predict_cases
from medseg.inference.segmentation.card import CARD_NAME
from medseg.inference.segmentation.load_model import load_models, load_out_of_fold
from medseg.inference.segmentation.mask_model import MaskModel
from medseg.inference.segmentation.mask_work import Elsewhere
from medseg.inference.segmentation.quality import QualityChecker
from medseg.manifest import load_manifest
from medseg.records import Failure, Prediction, Split
from medseg.runs.cluster import check_folders, network_executor
from medseg.runs.machine import DeviceName, torch_device
from medseg.runs.progress import Progress, Silence
from medseg.runs.segmentation.model_paths import found_models

if TYPE_CHECKING:
    from medseg.inference.classification import SliceReviewer
    from medseg.training.segmentation.parts import BuildNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictSettings:
    """Choices of a prediction.

    Attributes:
        out: Folder of the masks: new, empty, or of an earlier prediction with the same models and choices, of which
            what is finished and unchanged is kept.
        fold: Fold of a manifest whose validation cases are wanted.
        out_of_fold: Whether each case of a manifest is drawn by the models alone that were not trained on its patient,
            as those of all folds, so that its numbers do not flatter; all models draw what none of them has seen.
        split: Split of a manifest that is wanted.
        series: DICOM series to take, as in `medseg.inference.inputs.InputChoice`.
        pseudonyms: Private table that leads from pseudonyms back to patients; ids are not pseudonyms if not given.
        weights: `last`, or `best` at any validation, which flatters that validation set.
        fast: Whether speed counts more than the last bit of accuracy.
        probabilities: Whether the probability of each structure is written, too, on the scan's own grid.
        gate: Run of a slice classifier; only the slab in which it finds something is segmented, and masks are checked.
        sensitivity: Share of the slices with a label that the gate keeps.
        check: Run of a slice classifier that flags masks which disagree with it; excludes `gate`.
        data_root: Folder that a manifest's paths are relative to; its own folder if not given.
        device: Device of the network.
        network: Builds the untrained network from the plan's settings, for a run with a network of your own.
        tracking_uri: MLflow store of a registered model; its own choice if not given.
        cluster: Cluster that draws the masks: `local`, `auto`, or host and port of its head; this process if not given.
    """

    out: Path
    fold: int | None = None
    split: Split | None = None
    out_of_fold: bool = False
    series: tuple[str, ...] = ()
    pseudonyms: Path | None = None
    weights: str = "last"
    fast: bool = False
    probabilities: bool = False
    gate: Path | None = None
    sensitivity: float = 0.99
    check: Path | None = None
    data_root: Path | None = None
    device: DeviceName = "auto"
    network: BuildNetwork | None = None
    tracking_uri: str | None = None
    cluster: str | None = None

    @property
    def inputs(self) -> InputChoice:
        """Choices among the inputs."""
        return InputChoice(
            data_root=self.data_root,
            fold=self.fold,
            split=self.split,
            series=self.series,
            pseudonyms=self.pseudonyms,
            out=self.out,
        )


@dataclass(frozen=True, slots=True)
class PredictResult:
    """Delivered masks.

    Attributes:
        folder: Folder of the masks and `predictions.json`.
        predictions: One per mask, those that were kept among them.
        failures: Cases without a mask, with the reasons.
        warnings: Sentences for the person who started the prediction.
        cases: Record of each mask; empty where `predictions.json` could not be written.
        passed_over: Files and series among the inputs that are no case.
        seconds: Wall clock of the drawing.
    """

    folder: Path
    predictions: tuple[Prediction, ...]
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    cases: tuple[CaseRecord, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    seconds: float = 0.0

    @property
    def kept(self) -> int:
        """Number of masks that an earlier prediction had finished."""
        return sum(one.is_kept for one in self.predictions)

    @property
    def edited(self) -> tuple[str, ...]:
        """Ids of kept masks that a person has changed since they were drawn."""
        return tuple(one.case_id for one in self.predictions if one.is_edited)


def predict_run(
    runs: Path | str | Sequence[Path | str],
    inputs: Sequence[Path],
    settings: PredictSettings,
    *,
    progress: Progress | None = None,
) -> PredictResult:
    """Write a mask on the scan's own grid for every case; a bad case is listed and does not stop the others.

    `index.html` in the folder shows all cases with pictures, volumes and flags.

    Args:
        runs: Folder of a training, its model folder, the folder of a training of all folds, or the address of a
            registered model such as `models:/livers@clinical`; several draw one mask together.
        inputs: A manifest or its folder, or files and folders of scans, DICOM among them.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If a model or the inputs cannot be used, or the output folder holds something else.
    """
    progress = progress or Silence()
    loaded = load_runs(runs, settings, inputs=inputs)
    model = loaded.model
    found = find_inputs(inputs, channels=model.channels, choice=settings.inputs)
    with (
        _elsewhere(settings, loaded.folders, inputs, found) as elsewhere,
        progress.over_cases(len(found.cases), "predict") as on_done,
    ):
        start = time.monotonic()
        predictions, failures = predict_cases(
            model,
            found,
            settings.out,
            reviewer=loaded.reviewer,
            choices=loaded.choices,
            on_done=on_done,
            has_page=True,
            elsewhere=elsewhere,
        )
    cases = _records(settings.out, predictions)
    _write_head(cases, inputs, settings)
    return PredictResult(
        settings.out,
        tuple(predictions),
        tuple(failures),
        loaded.warnings,
        cases=cases,
        passed_over=found.passed_over,
        seconds=time.monotonic() - start,
    )


@dataclass(frozen=True, slots=True)
class LoadedRuns:
    """What draws the masks of a folder.

    Attributes:
        model: Loaded models as one.
        reviewer: Slice classifier that gates or checks; None without one.
        choices: What decides the masks beside the models.
        warnings: Sentences for the person who started the prediction.
        folders: Folders of the models.
    """

    model: MaskModel
    reviewer: SliceReviewer | None
    choices: dict[str, Choice]
    warnings: tuple[str, ...]
    folders: tuple[Path, ...]


def load_runs(
    runs: Path | str | Sequence[Path | str], settings: PredictSettings, *, inputs: Sequence[Path] = ()
) -> LoadedRuns:
    """Load the models of a prediction, once its folder is known to fit them.

    Args:
        runs: As for `predict_run`.
        settings: Choices.
        inputs: Inputs, which masks out of fold need beforehand.

    Raises:
        PipelineError: If a model cannot be used, or the output folder holds something else.
    """
    if settings.gate and settings.check:
        raise ConfigError("gate checks masks too", remedy="leave check out")
    check_mask_folder(settings.out)
    check_writable(settings.out, option="out")
    with found_models(
        [runs] if isinstance(runs, str | Path) else runs, tracking_uri=settings.tracking_uri
    ) as found_runs:
        if settings.cluster is not None:
            check_folders(runs)
        device = settings.device if settings.cluster is None else "cpu"
        model = _load(found_runs.folders, inputs, settings, device=device)
        cards = card_digest(found_runs.folders, CARD_NAME)
    if settings.gate and model.head is not None:
        raise ConfigError(
            "gate: a model with a head must see the whole scan, which a gate does not show it",
            remedy="leave the gate out, or give the classifier as check",
        )
    reviewer, warnings = _reviewer(settings, model)
    choices = {CARD_NAME: cards, **_choices(settings, reviewer)}
    check_mask_folder(settings.out, MaskSettings.of(model.identities, model.labels, choices))  # before a long search
    warnings = (*found_runs.warnings, *warnings, *QualityChecker.of(model).warnings)
    return LoadedRuns(model, reviewer, choices, warnings, tuple(found_runs.folders))


def _load(
    folders: Sequence[Path], inputs: Sequence[Path], settings: PredictSettings, *, device: DeviceName
) -> MaskModel:
    """The models as one; those of all folds, of which each draws what it has not seen, if that is asked for."""
    choices: dict[str, Any] = {
        "weights": settings.weights,
        "device": torch_device(device),
        "build": settings.network,
        "fast": settings.fast,
    }
    if not settings.out_of_fold:
        return load_models(folders, **choices)
    if len(inputs) != 1 or not is_manifest(inputs[0]):
        raise ConfigError(
            "out of fold: the input must be a manifest, which says whose scans they are, got others",
            remedy="give the dataset of the training alone",
        )
    manifest, _ = load_manifest(inputs[0], data_root=settings.data_root)
    return load_out_of_fold(folders, {case.case_id: case.patient_id for case in manifest.cases}, **choices)


def _load_there(
    settings: PredictSettings, folders: Sequence[Path], inputs: Sequence[Path]
) -> tuple[MaskModel, SliceReviewer | None]:
    """The models and the classifier, in a worker of a cluster, which sees only the device that it was given."""
    model = _load(folders, inputs, settings, device=settings.device)
    return model, _reviewer(settings, model)[0]


@contextmanager
def _elsewhere(
    settings: PredictSettings, folders: Sequence[Path], inputs: Sequence[Path], found: FoundInputs
) -> Iterator[Elsewhere | None]:
    """The cluster that draws the masks, if one is asked for."""
    if settings.cluster is None:
        yield None
        return
    read = [*folders, *{file.parent for case in found.cases for file in case.files}]
    read += [run for run in (settings.gate, settings.check) if run is not None]
    with network_executor(settings.cluster, settings.device, out=settings.out, folders=read) as executor:
        yield Elsewhere(partial(_load_there, settings, folders, inputs), executor)


def _records(folder: Path, predictions: Sequence[Prediction]) -> tuple[CaseRecord, ...]:
    record, asked = load_record(folder), {one.case_id for one in predictions}
    return tuple(case for case in record.cases if case.case_id in asked) if record else ()


def _write_head(cases: Sequence[CaseRecord], inputs: Sequence[Path], settings: PredictSettings) -> None:
    """Write the tables of a head; a prediction of masks alone does not import what writes them."""
    if any(case.head is not None for case in cases):
        from medseg.runs.segmentation.head.tables import write_predicted_head

        write_predicted_head(cases, settings.out, patients=_patients(inputs, settings))


def _patients(inputs: Sequence[Path], settings: PredictSettings) -> dict[str, str]:
    """Patient of each case, where a manifest names them."""
    if len(inputs) != 1 or not is_manifest(inputs[0]):
        return {}
    manifest, _ = load_manifest(inputs[0], data_root=settings.data_root)
    return {case.case_id: case.patient_id for case in manifest.cases}


def _choices(settings: PredictSettings, reviewer: SliceReviewer | None) -> dict[str, Choice]:
    """What decides the masks and their reviews beside the models."""
    choices: dict[str, Choice] = {"fast": True} if settings.fast else {}
    choices |= {MAPS: True} if settings.probabilities else {}
    choices |= {"out_of_fold": True} if settings.out_of_fold else {}
    run = settings.gate or settings.check
    if run is not None and reviewer is not None:
        choices["gate" if reviewer.gate else "check"] = reviewer.classifier.weights_digest
        choices[CLASSIFIER_NAME] = card_digest([run], CLASSIFIER_NAME)
    if reviewer is not None and reviewer.gate is not None:
        choices["sensitivity"] = settings.sensitivity
    return choices


def _reviewer(settings: PredictSettings, model: MaskModel) -> tuple[SliceReviewer | None, tuple[str, ...]]:
    """The classifier that gates or checks, if one is given, and what it cannot do."""
    run = settings.gate or settings.check
    if run is None:
        return None, ()
    from medseg.inference.classification import Gate, SlicePredictor, SliceReviewer

    warnings = []
    classifier = SlicePredictor.load(run, device=model.device)
    if classifier.card.calibration.disagreement_limit is None:
        message = (
            "the classifier has no limit of disagreement, so that no mask can be flagged: train it with a validation "
            "fold"
        )
        if settings.check:
            raise ConfigError(f"check: {message}")
        warnings.append(message)
    names = model.target.structures
    unchecked = [name for name in names if name not in classifier.card.targets.classes]
    if unchecked:
        warnings.append(f"the classifier does not know {', '.join(unchecked)}; masks are not checked for them")
    gate = Gate.of(classifier.card, sensitivity=settings.sensitivity, labels=names) if settings.gate else None
    return SliceReviewer(classifier, target=model.target, gate=gate), tuple(warnings)
