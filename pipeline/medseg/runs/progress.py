"""How a run tells how far it is: by callbacks, never by printing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from medseg.training.forecast import Forecast
    from medseg.training.task import Validation

OnCase = Callable[[str], None]
OnStep = Callable[[float, float], None]


class Progress(Protocol):
    """Follows a run; give your own to draw bars or to write a log."""

    def over_cases(self, total: int, stage: str) -> AbstractContextManager[OnCase]:
        """Open a stage that handles cases one by one.

        Args:
            total: Count of the cases.
            stage: Name of the stage, such as `prepare`.

        Returns:
            A context that gives a function, which is called with the case id after each case.
        """

    def over_budget(self, stage: str) -> AbstractContextManager[OnStep]:
        """Open a training.

        Args:
            stage: Name of the stage, such as `train`.

        Returns:
            A context that gives a function, which is called after each step with the share of the budget that is used,
            from 0 to 1, and the loss, NaN where it would have to be waited for.
        """

    def validated(self, score: float, forecast: Forecast | None) -> None:
        """Take note of a validation of the training that is open; of several, of the one that was heard of last.

        Args:
            score: Its score, such as the mean volume Dice.
            forecast: How the training is expected to go on; None as long as nothing can be said.
        """


class Silence:
    """Follows nothing."""

    def over_cases(self, total: int, stage: str) -> AbstractContextManager[OnCase]:
        """A function that does nothing."""
        return nullcontext(_ignore_case)

    def over_budget(self, stage: str) -> AbstractContextManager[OnStep]:
        """A function that does nothing."""
        return nullcontext(_ignore_step)

    def validated(self, score: float, forecast: Forecast | None) -> None:
        """Nothing."""


class Named:
    """Follows one of several alike works, with its name before that of each stage.

    Args:
        progress: What follows all of them.
        name: Name of this one, such as `fold 2 of 5`.
    """

    def __init__(self, progress: Progress, name: str) -> None:
        self.progress = progress
        self.name = name

    def over_cases(self, total: int, stage: str) -> AbstractContextManager[OnCase]:
        """Open a stage under its longer name."""
        return self.progress.over_cases(total, f"{self.name}: {stage}")

    def over_budget(self, stage: str) -> AbstractContextManager[OnStep]:
        """Open a training under its longer name."""
        return self.progress.over_budget(f"{self.name}: {stage}")

    def validated(self, score: float, forecast: Forecast | None) -> None:
        """Pass the score and its forecast on."""
        self.progress.validated(score, forecast)


def _ignore_case(case_id: str) -> None:
    """Nothing."""


def _ignore_step(progress: float, loss: float) -> None:
    """Nothing."""


class ProgressListener:
    """Tells a progress of every validation of a training.

    Args:
        progress: What follows the run.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_report(self, step: int, values: dict[str, float]) -> None:
        """No effect: steps are told one by one."""

    def on_validation(self, step: int, validation: Validation) -> None:
        """Tell the score and the forecast."""
        self.progress.validated(validation.score, validation.forecast)
