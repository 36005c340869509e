"""Events of a trainer beside Ignite's own."""

from __future__ import annotations

from ignite.engine import EventEnum


class TrainingEvents(EventEnum):  # type: ignore[misc]  # Ignite's types are skipped, so that its class is of type Any
    """Events that handlers attach to, as they do to those of `ignite.engine.Events`.

    Attributes:
        EPOCH_REPORTED: Fired when the numbers of an epoch, or of the part of it that the budget allowed, are in
            `trainer.state.metrics`.
        MILESTONE: Fired at the end of an epoch after which a validation is due.
    """

    EPOCH_REPORTED = "epoch_reported"
    MILESTONE = "milestone"
