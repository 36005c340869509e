"""An axis of a chart: positions of values, and ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medseg.records import Array

# An axis is logarithmic if the largest value is at least this many times the smallest.
LOG_RATIO = 50.0


@dataclass(frozen=True, slots=True)
class Tick:
    """A value written beside an axis, and its position."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear or logarithmic axis from `low` at `start` to `high` at `end`, in units of the drawing."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    @classmethod
    def over(cls, values: Sequence[float], *, start: float, end: float, is_log: bool = False) -> Scale:
        """An axis that holds all values with a little room; equal values lie in the middle."""
        low, high = min(values), max(values)
        if is_log:
            low, high = low / 1.15, high * 1.15
        else:
            room = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
            low, high = low - room, high + room
        return cls(low, high, start, end, is_log)

    def place(self, value: float) -> float:
        """Position of a value, to a tenth; a value outside lies at the end."""
        return round(float(self.places(np.array(value, dtype=np.float64))), 1)

    def places(self, values: Array) -> Array:
        """Positions of values; those outside lie at the end, and all in the middle of an axis of one value."""
        low, high, at = self.low, self.high, np.clip(values, self.low, self.high)
        if self.is_log:
            low, high, at = math.log(low), math.log(high), np.log(at)
        share = (at - low) / (high - low) if high > low else np.full(np.shape(at), 0.5)
        return np.asarray(self.start + share * (self.end - self.start))

    def ticks(self, count: int = 5) -> list[Tick]:
        """Round values along the axis, about `count` of them."""
        return [Tick(self.place(value), short(value)) for value in (_decades(self) or _steps(self, count))]


def short(value: float) -> str:
    """A number in few characters: `0.25`, `1,200`, `450k`."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:g}k"
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"


def _decades(scale: Scale) -> list[float]:
    """1, 10, 100, …, with 2 and 5 where there are few; none for a linear axis or a short one."""
    if not scale.is_log:
        return []
    powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    factors = (1, 2, 5) if len(powers) <= 3 else (1,)
    values = [factor * 10.0**power for power in powers for factor in factors]
    inside = [value for value in values if scale.low <= value <= scale.high]
    return inside[:: max(1, len(inside) // 6)] if len(inside) > 1 else []


def _steps(scale: Scale, count: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    rough = (scale.high - scale.low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((factor * power for factor in (1, 2, 5) if factor * power >= rough), 10 * power)
    first = math.ceil(scale.low / step)
    return [n * step for n in range(first, math.floor(scale.high / step) + 1)]
