"""The numbers by which intensities are compared: what they are, and how far from the training's they may lie."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.inference.segmentation.quality.spread import Scale
from medseg.preprocess import ChannelNormalisation
from medseg.preprocess.scan_facts import ChannelFacts


@dataclass(frozen=True, slots=True)
class ChannelNumber:
    """One number of `ChannelFacts`.

    Attributes:
        name: Name of the field.
        words: Phrase that a sentence can begin with.
        margin: Margin of its `Spread`.
        scale: Scale of its `Spread`.
        is_absolute: Whether it counts only where intensities have a unit, as those of CT.
    """

    name: str
    words: str
    margin: float
    scale: Scale = "linear"
    is_absolute: bool = False

    def of(self, facts: ChannelFacts) -> float:
        """The number of a channel."""
        return float(getattr(facts, self.name))


NUMBERS = (
    ChannelNumber("p5", "the 5 % percentile", 100.0, is_absolute=True),
    ChannelNumber("p50", "the median", 100.0, is_absolute=True),
    ChannelNumber("p95", "the 95 % percentile", 100.0, is_absolute=True),
    ChannelNumber("low", "the 1 % percentile in standard deviations from the mean", 0.25),
    ChannelNumber("middle", "the median in standard deviations from the mean", 0.15),
    ChannelNumber("high", "the 99 % percentile in standard deviations from the mean", 0.5),
    ChannelNumber("roughness", "the mean step between neighbouring voxels in standard deviations", 0.25, "log"),
    ChannelNumber("fill", "the share of voxels with the most frequent value", 0.1),
    ChannelNumber("negative", "the share of negative voxels", 0.1),
)


def numbers_for(normalisation: ChannelNormalisation) -> tuple[ChannelNumber, ...]:
    """Numbers that count for a channel: those with a unit only where the network is given fixed units."""
    return tuple(number for number in NUMBERS if normalisation.kind == "ct" or not number.is_absolute)
