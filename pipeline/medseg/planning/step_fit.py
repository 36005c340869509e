"""Batch and patch of a step that memory and budget allow, from nothing but prices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from medseg.networks.segmentation import AnyNetwork
from medseg.planning.plan import Plan
from medseg.planning.step_cost import StepPrice
from medseg.training.segmentation import TrainingConfig

MEMORY_SHARE = 0.7  # of what is free, for a step
_SMALLEST_VOXELS = 8**2

PriceOf = Callable[[AnyNetwork, TrainingConfig], StepPrice]
PlanWith = Callable[[int], Plan]


@dataclass(frozen=True, slots=True)
class StepLimits:
    """What a step may cost.

    Attributes:
        seconds: Seconds of all steps together.
        memory_bytes: Memory of a step.
        fewest_steps: Steps below which a batch is halved.
        smallest_batch: Patches to which it is halved at most for more steps; memory may ask for one.
    """

    seconds: float
    memory_bytes: int
    fewest_steps: int
    smallest_batch: int


def fit_step(plan: Plan, plan_with: PlanWith, price: PriceOf, limits: StepLimits) -> Plan:
    """A plan with as large a step as memory allows, with fewer patches in it while the seconds buy too few steps.

    The plan itself is returned where nothing has to be smaller.

    Args:
        plan: Plan with the largest step.
        plan_with: Function that makes the plan with patches of at most so many voxels.
        price: Function that prices a step of a network and a training.
        limits: What a step may cost.
    """
    return thin_step(fit_memory(plan, plan_with, price, limits.memory_bytes), price, limits)


def fit_memory(plan: Plan, plan_with: PlanWith, price: PriceOf, memory_bytes: int) -> Plan:
    """A plan whose step fits into memory: with fewer patches in it, then with smaller ones; the smallest if none fits.

    Args:
        plan: Plan with the largest step.
        plan_with: Function that makes the plan with patches of at most so many voxels.
        price: Function that prices a step of a network and a training.
        memory_bytes: Memory of a step.
    """
    needed = price(plan.network, plan.training).memory_bytes
    if needed <= memory_bytes:
        return plan
    count = plan.training.batch_size
    cause = (
        f"a step of {count} patch{'es' if count > 1 else ''} of {_by(plan)} voxels would need {needed / 1e9:.3g} GB, "
        f"and {MEMORY_SHARE:.0%} of the free memory is {memory_bytes / 1e9:.3g} GB"
    )
    smallest, least = plan, needed
    for smaller in _smaller_steps(plan, plan_with):
        needed = price(smaller.network, smaller.training).memory_bytes
        if needed < least:
            smallest, least = smaller, needed
        if needed <= memory_bytes:
            break
    if least > memory_bytes:
        cause += f"; warning: even the smallest step needs about {least / 1e9:.3g} GB"
    reasons = {"training.batch_size": f"{smallest.training.batch_size}: {cause}"}
    if smallest.training.patch_size != plan.training.patch_size:
        reasons["training.patch_size"] = f"smaller than planned: {cause}"
    return smallest.model_copy(update={"reasons": smallest.reasons | reasons})


def thin_step(plan: Plan, price: PriceOf, limits: StepLimits) -> Plan:
    """A plan with fewer patches in a step, while the seconds buy too few steps; the plan itself if they buy enough.

    Args:
        plan: Plan with the largest step.
        price: Function that prices a step of a network and a training.
        limits: What a step may cost.
    """
    fitted = plan
    while (batch := fitted.training.batch_size) > limits.smallest_batch and _buys_few(fitted, price, limits):
        fitted = _with_batch(fitted, max(limits.smallest_batch, batch // 2))
    if fitted is plan:
        return plan
    steps = limits.seconds / price(plan.network, plan.training).seconds
    reason = (
        f"{fitted.training.batch_size}: of {plan.training.batch_size} patches per step the budget would buy about "
        f"{steps:.0f} steps, fewer than {limits.fewest_steps} (benchmarks/README.md)"
    )
    return fitted.model_copy(update={"reasons": fitted.reasons | {"training.batch_size": reason}})


def _smaller_steps(plan: Plan, plan_with: PlanWith) -> Iterator[Plan]:
    """The plan with fewer and fewer patches in a step, then with single patches that are smaller and smaller."""
    batch = plan.training.batch_size
    while batch > 1:
        batch //= 2
        yield _with_batch(plan, batch)
    voxels = math.prod(plan.training.patch_size) // 2
    while voxels >= _SMALLEST_VOXELS:
        yield _with_batch(plan_with(voxels), 1)
        voxels //= 2


def _buys_few(plan: Plan, price: PriceOf, limits: StepLimits) -> bool:
    """Whether the seconds buy too few steps."""
    return limits.fewest_steps * price(plan.network, plan.training).seconds > limits.seconds


def _with_batch(plan: Plan, batch: int) -> Plan:
    """The plan with another number of patches in a step."""
    changed = {"batch_size": batch}
    return plan.model_copy(
        update={
            "training": plan.training.model_copy(update=changed),
            "inference": plan.inference.model_copy(update=changed),
        }
    )


def _by(plan: Plan) -> str:
    return "×".join(str(size) for size in plan.training.patch_size)
