"""Segment only the slab of a scan in which a slice classifier finds something."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.inference.slab import Slab
from pipeline.inference.slices.card import ClassifierCard
from pipeline.inference.slices.outputs import any_probability
from pipeline.preprocess.slices.targets import BACKGROUND
from pipeline.records import SliceScores

MARGIN_MM = 5.0


@dataclass(frozen=True, slots=True)
class Gate:
    """Keeps the slices from the first to the last that a classifier finds something on, and a margin.

    Attributes:
        sensitivity: Stated share of the slices that show something; as reached on the classifier's validation cases.
        threshold: On the probability that a slice shows anything.
        margin_mm: That is kept beyond the first and the last slice, at least one slice.
    """

    sensitivity: float
    threshold: float
    margin_mm: float = MARGIN_MM

    @classmethod
    def of(
        cls, card: ClassifierCard, *, sensitivity: float, labels: Sequence[str], margin_mm: float = MARGIN_MM
    ) -> Gate:
        """The gate of a classifier for a segmentation of these labels.

        Raises:
            ConfigError: If the classifier does not know all of the labels, or no threshold for that sensitivity.
        """
        unknown = sorted(set(labels) - set(card.targets.classes) - {BACKGROUND})
        if unknown:
            raise ConfigError(
                f"gate: the classifier must know every label of the model, else they would be lost; got none for "
                f"{', '.join(unknown)}; train it on the model's labels"
            )
        point = card.gate_point(sensitivity)
        return cls(point.sensitivity, point.threshold, margin_mm)

    def slab(self, scores: SliceScores, card: ClassifierCard) -> Slab:
        """What to segment of a scan; an empty slab where no slice reaches the threshold."""
        shows = any_probability(scores.probabilities, card.targets.classes, card.targets.kind) >= self.threshold
        found = np.flatnonzero(shows)
        if not len(found):
            return Slab(scores.axis, 0, 0)
        margin = self._margin(scores)
        start, stop = int(found[0]) - margin, int(found[-1]) + 1 + margin
        return Slab(scores.axis, max(start, 0), min(stop, len(shows)))

    def _margin(self, scores: SliceScores) -> int:
        """Slices."""
        if len(scores.positions_mm) < 2:
            return 0
        step_mm = abs(float(scores.positions_mm[1] - scores.positions_mm[0]))
        return max(1, math.ceil(self.margin_mm / max(step_mm, 1e-3)))
