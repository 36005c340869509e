"""The usual range of a number, from the cases of a training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Self

import numpy as np

from medseg.configuration import Config
from medseg.geometry import significant

Scale = Literal["log", "linear"]
FALSE_ALARMS = 0.01
FEWEST_CASES = 3
_TINY = 1e-9


class Spread(Config):
    """A number over the cases of a training.

    Limits are those of the prediction interval of one more case of a normal distribution, log-normal for `log`, but
    never narrower than the values themselves with a margin. The margin is larger where cases are few, as is the
    interval.

    Attributes:
        cases: Number of cases.
        p5: 5 % quantile.
        median: Median.
        p95: 95 % quantile.
        limits: Lowest and highest value that is not flagged.
    """

    cases: int
    p5: float
    median: float
    p95: float
    limits: tuple[float, float]

    @classmethod
    def of(cls, values: Sequence[float], *, scale: Scale, margin: float, numbers: int = 1) -> Self | None:
        """Spread of the values; None for fewer than three.

        Args:
            values: Value of each case; positive for `log`.
            scale: Scale on which the values are taken for normal.
            margin: For `linear` what is added on both sides of the values, for `log` the factor less 1.
            numbers: Numbers that are looked at together, of which one in a hundred good cases may be flagged.
        """
        if len(values) < FEWEST_CASES:
            return None
        is_log = scale == "log"
        placed = np.log(np.maximum(values, _TINY)) if is_log else np.asarray(values, np.float64)
        room = (math.log1p(margin) if is_log else margin) * (1 + 4 / len(placed))
        reach = _reach(placed, numbers)
        low = min(placed.mean() - reach, placed.min() - room)
        high = max(placed.mean() + reach, placed.max() + room)
        ends = np.exp([low, high]) if is_log else (low, high)
        p5, median, p95 = np.percentile(values, [5, 50, 95])
        return cls(
            cases=len(placed),
            p5=_short(p5),
            median=_short(median),
            p95=_short(p95),
            limits=(_short(ends[0]), _short(ends[1])),
        )

    def severity(self, value: float) -> float:
        """Distance of a value from the median, in distances of the limit on its side: above 1 it is unusual."""
        limit = self.limits[1] if value > self.median else self.limits[0]
        return abs(value - self.median) / max(abs(limit - self.median), _TINY)

    def has(self, value: float) -> bool:
        """Whether a value lies within the limits."""
        return self.limits[0] <= value <= self.limits[1]

    def text(self, unit: str = "", *, digits: int = 3) -> str:
        """Range of the training in words."""
        low, high = (f"{significant(value, digits):g}" for value in (self.p5, self.p95))
        among = f"{low}" if low == high else f"{low} to {high}"
        return f"{among}{unit}"


def _reach(values: np.ndarray, numbers: int) -> float:
    """Half the width of the prediction interval of one more value.

    Source: Geisser 1993, Predictive Inference, section 2.2; shares of false alarms are added as Bonferroni did.
    """
    from scipy import stats

    count = len(values)
    quantile = float(stats.t.ppf(1 - FALSE_ALARMS / numbers / 2, count - 1))
    return quantile * float(values.std(ddof=1)) * math.sqrt(1 + 1 / count)


def _short(value: float) -> float:
    return significant(float(value), 4)
