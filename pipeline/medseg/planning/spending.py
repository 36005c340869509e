"""The wall clock and the memory that a plan may spend, and what things cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from medseg.networks.segmentation import AnyNetwork
from medseg.planning.step_cost import StepPrice
from medseg.planning.step_fit import MEMORY_SHARE
from medseg.preprocess import PreprocessConfig
from medseg.training.segmentation import TrainingConfig

_STEPS_SHARE = 0.85  # of the budget; the rest goes into validations
_TAIL_S = 8.0  # pictures and files at the end


@dataclass(frozen=True, slots=True)
class Spending:
    """What a training may spend, and what things cost.

    Attributes:
        seconds: Wall clock for steps and validations.
        budget_s: The whole budget, from the start of the work.
        device: Name of the device that trains.
        free_bytes: Memory that is free on it.
        measure: Function that measures the price of a step, within the seconds that it is given.
        estimate: Function that scales it from the last measurement.
        ceiling: Function that gives the Dice of each label that a perfect network would reach on a grid.
    """

    seconds: float
    budget_s: float
    device: str
    free_bytes: int
    measure: Callable[[AnyNetwork, TrainingConfig, float], StepPrice]
    estimate: Callable[[AnyNetwork, TrainingConfig], StepPrice]
    ceiling: Callable[[PreprocessConfig], Mapping[str, float]]

    @property
    def step_bytes(self) -> int:
        """Memory that a step may take, of that which is free."""
        return int(MEMORY_SHARE * self.free_bytes)

    def steps_seconds(self, times: float = 1.0) -> float:
        """Seconds for steps alone, of a budget so many times as long."""
        return seconds_of_steps(self.seconds + (times - 1) * self.budget_s)


def seconds_of_steps(seconds: float) -> float:
    """What a wall clock leaves for steps, beside validations and files."""
    return max(1.0, _STEPS_SHARE * seconds - _TAIL_S)


def duration_text(seconds: float) -> str:
    """Seconds as a budget is written: `90s`, `20m`, `2h`."""
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
