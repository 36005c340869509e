"""Events of a trainer beside Ignite's own."""

from __future__ import annotations

from ignite.engine import EventEnum


class TrainingEvents(EventEnum):  # type: ignore[misc]  # Ignite's types are skipped, so that its class is of type Any
    """Events that handlers attach to, as they do to those of `ignite.engine.Events`.

    Attributes:
        REPORTED: Fired when the numbers of the steps since the last report are in `trainer.state.metrics`: at the end
            of every epoch, within a long epoch after each fortieth of the budget, and at the end of the training.
        PAUSED: Fired after every report, when no number is pending: files are saved and validations decided here.
        MILESTONE: Fired at a pause at which a validation is due.
    """

    REPORTED = "reported"
    PAUSED = "paused"
    MILESTONE = "milestone"
