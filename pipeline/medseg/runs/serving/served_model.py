"""A loaded model as a server has it: what it is, and what it makes of a scan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock
from typing import Any, Literal, Protocol

from pydantic import Field

from medseg.configuration import Config
from medseg.inference import read_input
from medseg.inference.classification import SlicePredictor
from medseg.inference.device_name import device_name
from medseg.inference.model_identity import ModelOrigin
from medseg.inference.record import SOFTWARE
from medseg.inference.requests import RequestLimits, only_case
from medseg.inference.segmentation.mask_model import MaskModel
from medseg.inference.segmentation.quality import QualityChecker
from medseg.inference.segmentation.serving import DrawnMask, MaskDrawer, check_stop
from medseg.targets import regions_of


class ModelDescription(Config):
    """What a client is told of a model.

    Attributes:
        name: Name of the model at this server.
        task: Kind of its results.
        channels: Names of the image channels that a scan must have, in order.
        labels: Value of each label by name; empty for a slice classifier.
        regions: Values that make up each structure, where structures overlap.
        classes: Names of the classes of a slice classifier; empty for masks.
        models: Model behind each network, several for an ensemble.
        device: Device of the networks, in words.
        software: Name and version of the software, and what it is not.
        limits: Limits of each scan once it is unpacked.
        most_body_bytes: Most bytes of a request's body.
        notes: What is missing or cannot be checked, in sentences.
    """

    name: str
    task: Literal["segmentation", "classification"]
    channels: tuple[str, ...]
    labels: dict[str, int] = Field(default_factory=dict)
    regions: dict[str, tuple[int, ...]] | None = Field(None, exclude_if=lambda regions: regions is None)
    classes: tuple[str, ...] = ()
    models: tuple[ModelOrigin, ...]
    device: str
    software: str = SOFTWARE
    limits: RequestLimits
    most_body_bytes: int
    notes: tuple[str, ...] = ()


class SliceAnswer(Config):
    """Probabilities of a scan's slices.

    Attributes:
        case_id: Name of the scan.
        axis: Axis of the scan's array that the slices follow.
        classes: Names of the classes.
        slices: Probability of each class on each slice, in the order of the scan's own array.
        study: Probability of each class anywhere in the scan.
        models: Model that gave them.
        software: Name and version of the software, and what it is not.
    """

    case_id: str
    axis: int
    classes: tuple[str, ...]
    slices: tuple[tuple[float, ...], ...]
    study: tuple[float, ...]
    models: tuple[ModelOrigin, ...]
    software: str = SOFTWARE


@dataclass(frozen=True, slots=True)
class ScanWork:
    """A scan to work on.

    Attributes:
        place: Folder of its files.
        out: Folder of the result.
        name: Made-up name of the request.
        stop: Set once nobody waits.
        fast: Whether speed counts more than the last bit of accuracy.
    """

    place: Path
    out: Path
    name: str
    stop: Event
    fast: bool = False


class ServedModel(Protocol):
    """A loaded model that answers requests from several threads."""

    @property
    def limits(self) -> RequestLimits:
        """Limits of each scan."""

    def describe(self) -> dict[str, Any]:
        """Fields of its description beyond those of the server."""

    def answer(self, scan: ScanWork) -> DrawnMask | SliceAnswer:
        """The result of a scan.

        Raises:
            PipelineError: If the scan cannot be used.
            StoppedError: If nobody waits any more.
        """


class ServedMasks:
    """A model that draws masks.

    Args:
        model: Loaded model.
        turn: Lock of the device.
        limits: Limits of each scan.
    """

    def __init__(self, model: MaskModel, *, turn: Lock, limits: RequestLimits) -> None:
        self.limits = limits
        self._drawer = MaskDrawer(model, turn=turn, limits=limits)

    def describe(self) -> dict[str, Any]:
        """Task, channels, labels and provenance."""
        model = self._drawer.model
        return {
            "task": "segmentation",
            "channels": model.channels,
            "labels": model.labels,
            "regions": regions_of(model.target),
            "models": tuple(identity.origin for identity in model.identities),
            "device": device_name(model.device),
            "notes": QualityChecker.of(model).warnings,
        }

    def answer(self, scan: ScanWork) -> DrawnMask:
        """The mask of a scan."""
        return self._drawer.draw(scan.place, scan.out, name=scan.name, stop=scan.stop, fast=scan.fast)


class ServedSlices:
    """A slice classifier.

    Args:
        predictor: Loaded classifier.
        turn: Lock of the device.
        limits: Limits of each scan.
    """

    def __init__(self, predictor: SlicePredictor, *, turn: Lock, limits: RequestLimits) -> None:
        self.limits = limits
        self._predictor, self._turn = predictor, turn

    def describe(self) -> dict[str, Any]:
        """Task, channels, classes and provenance."""
        card = self._predictor.card
        return {
            "task": "classification",
            "channels": card.channels,
            "classes": card.targets.classes,
            "models": (self._origin,),
            "device": device_name(self._predictor.device),
        }

    def answer(self, scan: ScanWork) -> SliceAnswer:
        """The probabilities of a scan's slices."""
        card = self._predictor.card
        case = only_case(scan.place, channels=card.channels, limits=self.limits)
        image = read_input(replace(case, case_id=scan.name), channels=card.channels)  # the name that logs may hold
        with self._turn:
            check_stop(scan.stop)
            scores = self._predictor.scores(image, case_id=scan.name)
        return SliceAnswer(
            case_id=case.case_id,
            axis=scores.axis,
            classes=card.targets.classes,
            slices=tuple(tuple(map(float, values)) for values in scores.probabilities),
            study=tuple(map(float, scores.study)),
            models=(self._origin,),
        )

    @property
    def _origin(self) -> ModelOrigin:
        card = self._predictor.card
        return ModelOrigin(
            dataset=card.dataset,
            manifest_digest=card.manifest_digest,
            plan_digest=card.plan_digest,
            run_id=card.mlflow_run_id,
            weights=self._predictor.weights or None,
            weights_digest=self._predictor.weights_digest or None,
            medseg_version=card.medseg_version,
        )
