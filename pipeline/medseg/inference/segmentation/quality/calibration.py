"""From a network's own confidence to the Dice to expect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import numpy as np
from pydantic import Field

from medseg.configuration import Config
from medseg.geometry import significant
from medseg.inference.segmentation.quality.spread import Spread

FEWEST_VALIDATED = 5
LEAST_DICE = 0.5
"""A mask of which no more than this is expected is flagged whatever is usual."""

_MARGIN = 0.25
_EXPONENTS = (1 / 64, 64.0)
_HALVINGS = 60
_FAILED = 0.5  # of the median Dice
_DROP = 0.05  # below the usual, at least


class ConfidenceCalibration(Config):
    """Dice to expect of one structure's masks: the soft Dice to a power, which keeps 0 and 1.

    The exponent is the one with which the mean over the validation cases is their mean Dice: above 1 for a network that
    is too sure of itself.

    Attributes:
        cases: Number of validation masks that it was fitted to.
        exponent: Exponent.
        error: Mean absolute difference between the expected and the measured Dice of these masks.
        p5: 5 % quantile of the expected Dice of these masks.
        p95: 95 % quantile.
        limit: Expected Dice below which a mask is flagged: the end of the prediction interval of one more case, by the
            rules of `Spread`, of the masks that did not fail; 0.05 below `p5` at most, and at least `LEAST_DICE`.
    """

    cases: int = Field(ge=FEWEST_VALIDATED)
    exponent: float = Field(gt=0)
    error: float
    p5: float
    p95: float
    limit: float

    @classmethod
    def fit(cls, soft_dice: Sequence[float], dice: Sequence[float], *, structures: int) -> Self | None:
        """Calibration by the masks of the validation cases; None where they are too few.

        Args:
            soft_dice: Soft Dice of each mask.
            dice: Its Dice.
            structures: Number of structures that are looked at together.
        """
        if len(dice) < FEWEST_VALIDATED:
            return None
        soft, measured = np.asarray(soft_dice, np.float64), np.asarray(dice, np.float64)
        exponent = _exponent(soft, float(measured.mean()))
        expected = soft**exponent
        ordinary = expected[measured >= _FAILED * np.median(measured)]
        doubt = Spread.of([*(1 - ordinary)], scale="log", margin=_MARGIN, numbers=structures)
        p5, p95 = np.percentile(expected, [5, 95])
        return cls(
            cases=len(measured),
            exponent=significant(exponent, 4),
            error=significant(float(np.abs(expected - measured).mean()), 3),
            p5=significant(float(p5), 4),
            p95=significant(float(p95), 4),
            limit=_limit(doubt, float(p5)),
        )

    def expected_dice(self, soft_dice: float) -> float:
        """Dice to expect of a mask."""
        return float(soft_dice**self.exponent)


def _limit(doubt: Spread | None, p5: float) -> float:
    """Expected Dice below which a mask is flagged, from the spread of what is missing to 1."""
    return LEAST_DICE if doubt is None else round(max(LEAST_DICE, min(1 - doubt.limits[1], p5 - _DROP)), 4)


def _exponent(soft: np.ndarray, mean: float) -> float:
    """Power of the soft Dice whose mean is a given one, found by halving on a logarithmic scale."""
    low, high = _EXPONENTS
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if float((soft**middle).mean()) > mean else (low, middle)
    return math.sqrt(low * high)
