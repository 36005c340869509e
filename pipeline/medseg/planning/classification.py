"""The plan of a slice classifier, and the rules that make it."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import model_validator

from medseg.configuration import Config
from medseg.geometry import significant
from medseg.networks.classification import ARCHITECTURES, Architecture, ClassifierConfig, PoolingKind, smallest_size
from medseg.plane import PLANES, Plane
from medseg.planning.fingerprint import Fingerprint
from medseg.planning.plan import PlanFile
from medseg.planning.segmentation import plan_normalisation
from medseg.planning.sizes import DeviceKind
from medseg.preprocess.classification import SliceConfig
from medseg.records import Manifest
from medseg.targets import SliceClasses
from medseg.training import AugmentConfig
from medseg.training.classification import SliceTrainingConfig

_LONGEST_SIDE: dict[DeviceKind, int] = {"cpu": 128, "cuda": 256}
_WIDTH: dict[DeviceKind, int] = {"cpu": 32, "cuda": 64}
_MULTIPLE = 16
_RATE_WITHOUT_NORM = 1e-4


class SliceChoices(Config):
    """Choices of the user.

    Attributes:
        plane: Plane of the slices.
        context: Neighbouring slices on either side, as further channels.
        architecture: Architecture of the network.
        pooling: Pooling of the slices of a study, where labels are per study.
        targets: Classes and their kind.
    """

    plane: Plane = "axial"
    context: int = 0
    architecture: Architecture = "resnet18"
    pooling: PoolingKind = "none"
    targets: SliceClasses


class SlicePlan(PlanFile):
    """Settings of the stages that make a slice classifier.

    Attributes:
        slices: Plane, pixels and intensities of the pictures.
        targets: Classes that are learned.
        network: Shape of the classifier.
        training: Optimisation.
    """

    verb = "classify train"

    slices: SliceConfig
    targets: SliceClasses
    network: ClassifierConfig
    training: SliceTrainingConfig

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.network.in_channels != self.slices.channels:
            raise ValueError(
                f"network.in_channels must be {self.slices.channels}, the image channels times the slices, got "
                f"{self.network.in_channels}"
            )
        if self.network.out_channels != self.targets.channels:
            raise ValueError(
                f"network.out_channels must be the number of classes {self.targets.channels}, got "
                f"{self.network.out_channels}"
            )
        return self


def make_slice_plan(
    fingerprint: Fingerprint, manifest: Manifest, choices: SliceChoices, *, device: DeviceKind
) -> SlicePlan:
    """Decide every setting that the user has not, and say why.

    Args:
        fingerprint: Fingerprint of the training cases.
        manifest: Manifest, for its name and channels.
        choices: Choices of the user.
        device: Kind of device that will train, which decides the size of the pictures.
    """
    reasons: dict[str, str] = {}
    pixel_mm, size = _picture(fingerprint, choices.plane, device, reasons)
    normalisation = plan_normalisation(fingerprint, manifest, reasons, section="slices")
    slices = SliceConfig(
        plane=choices.plane, pixel_mm=pixel_mm, size=size, context=choices.context, normalisation=normalisation
    )
    network = _network(choices, slices, device, reasons)
    slices = _large_enough(slices, network, reasons)
    return SlicePlan(
        dataset=manifest.name,
        slices=slices,
        targets=choices.targets,
        network=network,
        training=_training(choices, pixel_mm, reasons),
        reasons=reasons,
    )


def _picture(
    fingerprint: Fingerprint, plane: Plane, device: DeviceKind, reasons: dict[str, str]
) -> tuple[float, tuple[int, int]]:
    """Pixel size in mm, and pixels along the two axes."""
    sides = (0, 1) if fingerprint.is_2d else PLANES[plane].picture_axes
    spacings = fingerprint.spacings_mm()[:, sides]
    extents = np.percentile(fingerprint.shapes()[:, sides] * spacings, 95, axis=0)
    longest = _LONGEST_SIDE[device]
    finest = float(np.median(spacings))
    pixel_mm = significant(max(finest, float(extents.max()) / longest))
    reasons["slices.pixel_mm"] = (
        "median of the training scans"
        if pixel_mm <= significant(finest)
        else f"{significant(float(extents.max()), 3):g} mm, the longer side of nearly all training scans, in {longest} "
        f"pixels on {device}"
    )
    # Whole pixels, as the pictures themselves have: `pixel_mm` is rounded, and may be a little too small.
    first, second = (int(np.ceil(round(extent / pixel_mm) / _MULTIPLE)) * _MULTIPLE for extent in extents)
    reasons["slices.size"] = f"holds 95 % of the training slices whole, in multiples of {_MULTIPLE}"
    return pixel_mm, (max(first, 2 * _MULTIPLE), max(second, 2 * _MULTIPLE))


def _network(
    choices: SliceChoices, slices: SliceConfig, device: DeviceKind, reasons: dict[str, str]
) -> ClassifierConfig:
    shared = ClassifierConfig(
        architecture=choices.architecture,
        in_channels=slices.channels,
        out_channels=choices.targets.channels,
        pooling=choices.pooling,
    )
    if not (shared.is_residual or shared.is_plain):
        return shared
    width = _WIDTH[device]
    reasons["network.width"] = f"channels of the first stage that {device} trains in minutes"
    return shared.model_copy(update={"width": width})


def _large_enough(slices: SliceConfig, network: ClassifierConfig, reasons: dict[str, str]) -> SliceConfig:
    """Pictures that the network can take, with a rim where the slices are smaller."""
    fewest = int(np.ceil(smallest_size(network) / _MULTIPLE)) * _MULTIPLE
    if min(slices.size) >= fewest:
        return slices
    reasons["slices.size"] += f", and the {fewest} pixels that {network.architecture} needs"
    first, second = (max(side, fewest) for side in slices.size)
    return slices.model_copy(update={"size": (first, second)})


def _training(choices: SliceChoices, pixel_mm: float, reasons: dict[str, str]) -> SliceTrainingConfig:
    reasons["training.augment"] = "no flips: a body's sides differ, and labels may name one"
    augment = AugmentConfig(spacing_mm=(pixel_mm, pixel_mm, 1.0))
    rate = learning_rate_of(choices.architecture)
    if rate != SliceTrainingConfig().learning_rate:
        reasons["training.learning_rate"] = f"{choices.architecture} has no normalisation, and learns nothing at 1e-3"
    if choices.pooling == "none":
        return SliceTrainingConfig(augment=augment, learning_rate=rate)
    reasons["training.batch_size"] = "studies, of slices_per_study slices each"
    return SliceTrainingConfig(augment=augment, batch_size=4, learning_rate=rate)


def learning_rate_of(architecture: Architecture) -> float:
    """Peak rate of a network; those without normalisation need a lower one."""
    return SliceTrainingConfig().learning_rate if ARCHITECTURES[architecture].is_normalised else _RATE_WITHOUT_NORM
