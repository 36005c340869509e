"""A wall-clock budget that the trainings of all folds share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from medseg.errors import ConfigError
from medseg.runs.settings import TrainingSettings
from medseg.training import parse_duration_s

_LEAST_S = 10.0  # by which a budget may be overrun anyway
_LEAST_IN_PROCESS_S = 30.0  # a process first imports what it needs
_FLOOR = 0.5
_UNKNOWN_DRAWING = 0.1


@dataclass(frozen=True, slots=True)
class SharedBudget:
    """Seconds of all folds together, some of which are trained at once, round after round.

    Attributes:
        total_s: Seconds of all folds together, the masks out of fold included.
        folds: Count of the folds.
        at_once: Count of those that are trained at once.
    """

    total_s: float
    folds: int
    at_once: int

    @classmethod
    def of(cls, settings: TrainingSettings, folds: int) -> Self | None:
        """The budget that settings give to all folds; None where they give none."""
        if settings.budget is None:
            return None
        return cls(parse_duration_s(settings.budget), folds, settings.parallel)

    @property
    def rounds(self) -> int:
        """Count of the rounds."""
        return math.ceil(self.folds / self.at_once)

    @property
    def equal_s(self) -> float:
        """Seconds of a fold if nothing else took any."""
        return self.total_s / self.rounds

    def check(self) -> None:
        """Refuse a budget of which no fold would have time to learn anything.

        Raises:
            ConfigError: If that is so.
        """
        least_s = _LEAST_S if self.at_once == 1 else _LEAST_IN_PROCESS_S
        if self.equal_s < least_s:
            raise ConfigError(
                f"budget of {self.folds} folds must be at least {least_s * self.rounds:.0f}s, {least_s:.0f} s for "
                f"each, got {self.total_s:.0f}s",
                remedy="give more, or a length in epochs",
            )

    def share_s(self, place: int, *, passed_s: float, drawing_s: float | None, overrun_s: float = 0.0) -> float:
        """Seconds of a fold that is about to begin: an equal part of what is left, and no less than half of `equal_s`.

        The floor holds where earlier folds took longer than theirs; the budget is overrun then.

        Args:
            place: Place of the fold among all, from 0.
            passed_s: Seconds that have passed since the first began.
            drawing_s: Seconds that the masks out of fold will take; None as long as that is not known, when a tenth of
                the budget is set aside.
            overrun_s: Seconds by which a fold overruns its share.
        """
        left = self.rounds - place // self.at_once
        drawing_s = _UNKNOWN_DRAWING * self.total_s if drawing_s is None else drawing_s
        return max((self.total_s - passed_s - drawing_s) / left - overrun_s, _FLOOR * self.equal_s)
