"""The patches per step that a budget can pay for on pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from medseg.geometry import significant
from medseg.planning.expectation import Expectation, Outlook
from medseg.planning.fingerprint import Fingerprint
from medseg.planning.grid_choice import (
    FEWEST_STEPS,
    MEASUREMENTS,
    MEASURING_SHARE,
    MORE_TIME,
    WORTH_MEASURING,
    GridOption,
    PlanOn,
)
from medseg.planning.plan import Plan
from medseg.planning.sizes import DeviceKind
from medseg.planning.spending import Spending, duration_text
from medseg.planning.step_fit import StepLimits, fit_memory, fit_step

_FEWEST_STEPS: dict[DeviceKind, int] = {"cpu": 150, "cuda": FEWEST_STEPS}
_SMALLEST_BATCH = 2
_HARDLY_ANY = 10  # steps


def choose_picture_plan(plan_on: PlanOn, fingerprint: Fingerprint, spending: Spending, *, device: DeviceKind) -> Plan:
    """The plan on the pictures' own pixels, with fewer patches in a step where the budget buys too few steps.

    At equal time the batch hardly matters as long as there are about a hundred steps (benchmarks/README.md), so that is
    all that a budget changes. What Dice to expect is not said, because no rule is measured for pictures.

    Args:
        plan_on: Function that makes the plan with patches of a size.
        fingerprint: Fingerprint of the training pictures.
        spending: Budget and prices.
        device: Kind of device that trains.
    """
    start = time.monotonic()
    whole = plan_on(GridOption())

    def smaller(voxels: int) -> Plan:
        return plan_on(GridOption(voxels=voxels))

    def fitted(seconds: float) -> Plan:
        fewest = _FEWEST_STEPS[device]
        limits = StepLimits(seconds, spending.step_bytes, fewest_steps=fewest, smallest_batch=_SMALLEST_BATCH)
        return fit_step(whole, smaller, spending.estimate, limits)

    # Too large a dry run is refused by a GPU, but ends the process on a CPU.
    plan = fit_memory(whole, smaller, spending.estimate, spending.step_bytes) if device == "cpu" else whole
    seconds = spending.steps_seconds()
    for _ in range(MEASUREMENTS):
        spending.measure(plan.network, plan.training, MEASURING_SHARE * spending.seconds)
        before, plan = plan, fitted(seconds)
        if plan.training == before.training or _steps(plan, spending, seconds) < WORTH_MEASURING:
            break
    left = replace(spending, seconds=max(0.0, spending.seconds - (time.monotonic() - start)))
    return _with_expectation(plan, fitted, fingerprint, left)


def _with_expectation(
    plan: Plan, fitted: Callable[[float], Plan], fingerprint: Fingerprint, spending: Spending
) -> Plan:
    """The plan with what the budget buys with it, and what more time would buy."""
    price = spending.estimate(plan.network, plan.training)
    seconds = spending.steps_seconds()
    expected = Expectation(
        device=spending.device,
        seconds=round(spending.seconds, 1),
        steps=round(_steps(plan, spending, seconds)),
        step_seconds=price.seconds,
        memory_bytes=price.memory_bytes,
        views_per_scan=_views(plan, fingerprint, spending, seconds),
        outlook=tuple(_outlook(fitted, fingerprint, spending, times) for times in MORE_TIME),
    )
    longer = expected.outlook[0]
    reason = (
        f"pictures keep their own pixels: {duration_text(spending.budget_s)} buys about {expected.steps} steps of "
        f"{plan.training.batch_size}, in which each of {len(fingerprint.cases)} pictures is seen "
        f"{expected.views_per_scan:g} times; in {longer.budget} it would be seen {longer.views_per_scan:g} times"
    )
    if expected.steps < _HARDLY_ANY:
        reason += f"; warning: {expected.steps} steps are too few to learn from; give more time or a smaller preset"
    reasons = plan.reasons | {"preprocess.spacing_mm": reason}
    return plan.model_copy(update={"reasons": reasons, "expected": expected})


def _outlook(fitted: Callable[[float], Plan], fingerprint: Fingerprint, spending: Spending, times: int) -> Outlook:
    """What a longer budget would buy."""
    seconds = spending.steps_seconds(times)
    plan = fitted(seconds)
    return Outlook(
        budget=duration_text(times * spending.budget_s),
        spacing_mm=None,
        steps=round(_steps(plan, spending, seconds)),
        batch_size=plan.training.batch_size,
        views_per_scan=_views(plan, fingerprint, spending, seconds),
    )


def _steps(plan: Plan, spending: Spending, seconds: float) -> float:
    return seconds / spending.estimate(plan.network, plan.training).seconds


def _views(plan: Plan, fingerprint: Fingerprint, spending: Spending, seconds: float) -> float:
    """How often each part of a picture is seen."""
    shape = np.median(fingerprint.shapes(), axis=0)
    parts = max(1, round(float(np.prod(np.maximum(shape / np.array(plan.training.patch_size), 1.0)))))
    training, pictures = plan.training, len(fingerprint.cases)
    views = _steps(plan, spending, seconds) * training.batch_size / (pictures * parts)
    views *= pictures * training.patches_per_case / training.patches_per_epoch(pictures)
    return significant(views, digits=2)
