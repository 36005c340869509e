"""A forecast with every validation."""

from __future__ import annotations

import math
from dataclasses import replace

from ignite.engine import Engine, Events

from medseg.training.forecast import forecast_score
from medseg.training.state import TrainingState


def attach_forecast(evaluator: Engine, state: TrainingState, *, settled: float = 0.0) -> None:
    """Put a forecast into every validation, as `Validation.forecast` and among its values.

    Attached after the handler that keeps the validation and before those that report it.

    Args:
        evaluator: Engine of the validation.
        state: State of the training, which holds the steps and scores of its validations.
        settled: Progress from which validations belong to the curve that goes on to the end.
    """
    evaluator.add_event_handler(Events.COMPLETED, _forecast, state, settled)


def _forecast(evaluator: Engine, state: TrainingState, settled: float) -> None:
    if state.settled_step is None and state.progress >= settled:
        state.settled_step = state.step
    state.curve = [(step, score) for step, score in state.curve if step < state.step]
    if math.isfinite(state.score):
        state.curve.append((state.step, state.score))
    if state.last is None or state.progress <= 0 or not state.curve or state.settled_step is None:
        return
    steps, scores = zip(*state.curve, strict=True)
    found = forecast_score(steps, scores, end=state.step / state.progress, settled_from=state.settled_step)
    if found is not None:
        state.last = replace(state.last, forecast=found, values=state.last.values | found.values)
        evaluator.state.validation = state.last
