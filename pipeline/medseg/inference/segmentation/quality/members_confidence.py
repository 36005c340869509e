"""The confidence of models that draw one mask together, each in its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medseg.inference.segmentation.quality.calibration import ConfidenceCalibration
from medseg.inference.segmentation.quality.confidence_checks import check_confidence
from medseg.inference.segmentation.quality.confidence_meter import ConfidenceMeter
from medseg.inference.segmentation.quality.observation import Observation
from medseg.targets import VoxelTarget

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class MemberConfidence:
    """One model's confidence in its own mask.

    Attributes:
        soft_dice: Soft Dice of each structure that the model draws, by name.
        calibration: Calibration of that model by structure; empty where its card has none.
    """

    soft_dice: Mapping[str, float]
    calibration: Mapping[str, ConfidenceCalibration]


class MembersConfidence:
    """Sees the probabilities of several models pass by.

    A calibration is that of one network and its own mask: the mean of several is less sure of itself than each of them,
    and one network whose probabilities are flat would make every mean look doubtful.

    Args:
        target: Meaning of the probabilities.
        calibrations: Calibration of each model by structure; empty where its card has none. Those without one are left
            out where others have one.
    """

    def __init__(self, target: VoxelTarget, calibrations: Sequence[Mapping[str, ConfidenceCalibration]]) -> None:
        has_any = any(calibrations)
        self._members = [
            (number, calibration, ConfidenceMeter(target))
            for number, calibration in enumerate(calibrations)
            if calibration or not has_any
        ]

    def observe(self, values: Sequence[Tensor]) -> None:
        """Add probabilities `(channels, I, J, K)` of each model, of voxels that were not seen yet."""
        for number, _, meter in self._members:
            meter.observe(values[number])

    def found(self) -> tuple[MemberConfidence, ...]:
        """The confidence of each model that counts."""
        return tuple(MemberConfidence(meter.soft_dice(), calibration) for _, calibration, meter in self._members)


def check_members(members: Sequence[MemberConfidence], drawn: Mapping[str, float]) -> Iterator[Observation]:
    """The structures of a joint mask, flagged where more than half of the models doubt their own.

    Args:
        members: Models that count. For each structure those that draw it do, and of these the calibrated ones alone, if
            there are some.
        drawn: Structures of the joint mask, by name.
    """
    for name in drawn:
        drawing = [one for one in members if name in one.soft_dice]
        known = [one for one in drawing if name in one.calibration] or drawing
        found = [next(check_confidence({name: one.soft_dice[name]}, one.calibration)) for one in known]
        if found:
            yield _middle(found)


def _middle(found: list[Observation]) -> Observation:
    """The observation of the model in the middle, the less severe one of two."""
    middle = sorted(found, key=lambda one: one.severity)[(len(found) - 1) // 2]
    doubting = sum(one.is_flagged for one in found)
    reason = f"{middle.reason}; {doubting} of {len(found)} models with a confidence to compare doubt it"
    return Observation(middle.kind, middle.structure, middle.value, middle.severity, reason)
