"""The gate: segmentation of the one slab of a scan in which a slice classifier finds something."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medseg.errors import ConfigError
from medseg.inference.classification.card import ClassifierCard
from medseg.inference.slab import Slab
from medseg.records import Array, SliceScores
from medseg.targets import BACKGROUND

MARGIN_MM = 5.0


@dataclass(frozen=True, slots=True)
class Gate:
    """Keeps the slices from the first to the last on which a classifier finds something, and a margin.

    Attributes:
        sensitivity: Share of the slices that show something that the threshold keeps on the validation cases.
        threshold: Least probability that a slice shows anything.
        margin_mm: Length to keep beyond the first and the last slice, at least one slice.
    """

    sensitivity: float
    threshold: float
    margin_mm: float = MARGIN_MM

    @classmethod
    def of(cls, card: ClassifierCard, *, sensitivity: float, labels: Sequence[str]) -> Gate:
        """The gate of a classifier for a segmentation of these labels, with the margin that its thresholds are for.

        Raises:
            ConfigError: If the classifier does not know all of the labels, or has no threshold for the sensitivity.
        """
        unknown = sorted(set(labels) - set(card.targets.classes) - {BACKGROUND})
        if unknown:
            raise ConfigError(
                "gate: the classifier must know every label of the model, else they would be lost; got none for "
                f"{', '.join(unknown)}",
                remedy="train it on the model's labels",
            )
        point = card.gate_point(sensitivity)
        return cls(point.sensitivity, point.threshold)

    def slab(self, scores: SliceScores, card: ClassifierCard) -> Slab:
        """Slices of a scan to segment; an empty slab if no slice reaches the threshold."""
        shows = card.targets.any_probability(scores.probabilities)
        start, stop = kept_range(shows, scores.positions_mm, threshold=self.threshold, margin_mm=self.margin_mm)
        return Slab(scores.axis, start, stop)


def kept_range(shows: Array, positions_mm: Array, *, threshold: float, margin_mm: float = MARGIN_MM) -> tuple[int, int]:
    """First slice to keep and one past the last; both 0 if no slice reaches the threshold.

    Args:
        shows: Probability that each slice shows anything, `(N,)`.
        positions_mm: Positions of the slices, evenly spaced, `(N,)`.
        threshold: Least probability that counts as a find.
        margin_mm: Length to keep beyond the first and the last slice that reaches it, at least one slice.
    """
    found = np.flatnonzero(shows >= threshold)
    if not len(found):
        return 0, 0
    margin = 0
    if len(shows) > 1:
        step_mm = abs(float(positions_mm[1] - positions_mm[0]))
        all_mm = step_mm * len(shows)
        margin = max(1, math.ceil(margin_mm / step_mm)) if margin_mm < all_mm else len(shows)
    return max(int(found[0]) - margin, 0), min(int(found[-1]) + 1 + margin, len(shows))
