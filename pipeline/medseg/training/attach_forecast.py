"""A forecast with every validation."""

from __future__ import annotations

import math
from dataclasses import replace

from ignite.engine import Engine, Events

from medseg.training.forecast import forecast_score
from medseg.training.state import TrainingState


def attach_forecast(evaluator: Engine, state: TrainingState) -> None:
    """Put a forecast into every validation, as `Validation.forecast` and among its values.

    Attached after the handler that keeps the validation and before those that report it.

    Args:
        evaluator: Engine of the validation.
        state: State of the training, which holds the steps and scores of its validations.
    """
    evaluator.add_event_handler(Events.COMPLETED, _forecast, state)


def _forecast(evaluator: Engine, state: TrainingState) -> None:
    state.curve = [(step, score) for step, score in state.curve if step < state.step]
    if math.isfinite(state.score):
        state.curve.append((state.step, state.score))
    if state.last is None or state.progress <= 0 or not state.curve:
        return
    steps, scores = zip(*state.curve, strict=True)
    found = forecast_score(steps, scores, end=state.step / state.progress)
    if found is not None:
        state.last = replace(state.last, forecast=found, values=state.last.values | found.values)
        evaluator.state.validation = state.last
