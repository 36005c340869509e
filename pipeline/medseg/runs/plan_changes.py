"""The changes that a training's settings ask of its plan."""

from __future__ import annotations

from medseg.planning import override_plan
from medseg.planning.plan import AnyPlan
from medseg.runs.settings import TrainingSettings


def changed_plan(plan: AnyPlan, settings: TrainingSettings) -> AnyPlan:
    """The plan with the asked changes and seed, each with its reason.

    Raises:
        ConfigError: If a key or value is wrong.
    """
    if settings.changes:
        plan = override_plan(plan, dict(settings.changes), source=settings.changes_name)
    if settings.seed is not None:
        plan = override_plan(plan, {"training": {"seed": settings.seed}}, source="the asked seed")
    return plan
