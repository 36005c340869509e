"""Batch and patch of a step, chosen from prices alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medseg.networks.segmentation import AnyNetwork
from medseg.planning import Fingerprint, Plan, make_plan
from medseg.planning.step_cost import StepPrice
from medseg.planning.step_fit import PlanWith, StepLimits, fit_step
from medseg.training.segmentation import TrainingConfig

from tests.planning.conftest import FingerprintBuilder, ManifestBuilder

GB = 10**9


def price(network: AnyNetwork, training: TrainingConfig) -> StepPrice:
    """A second and a gigabyte for every million voxels, beside what weights take."""
    voxels = training.batch_size * math.prod(training.patch_size)
    return StepPrice(voxels / 10**6, GB // 10 + 1000 * voxels)


@pytest.fixture(scope="module")
def whole(build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder) -> Plan:
    """A step of two patches of 128³."""
    return make_plan(build_fingerprint([(300, 300, 300)], [(1, 1, 1)]), build_manifest(), device="cuda")


@pytest.fixture(scope="module")
def plan_with(whole: Plan) -> PlanWith:
    """Cubes of at most so many voxels."""

    def smaller(voxels: int) -> Plan:
        side = max(32, int(round(voxels ** (1 / 3), 6)) // 32 * 32)
        sizes = {"patch_size": (side, side, side), "batch_size": 16}
        return whole.model_copy(
            update={
                "training": whole.training.model_copy(update=sizes),
                "inference": whole.inference.model_copy(update=sizes),
            }
        )

    return smaller


def limits(seconds: float, memory_bytes: int, *, smallest_batch: int = 1) -> StepLimits:
    return StepLimits(seconds, memory_bytes, fewest_steps=200, smallest_batch=smallest_batch)


def test_step_that_fits_is_left_alone(whole: Plan, plan_with: PlanWith) -> None:
    assert (whole.training.patch_size, whole.training.batch_size) == ((128, 128, 128), 2)
    assert fit_step(whole, plan_with, price, limits(10_000, 100 * GB)) is whole


@pytest.mark.parametrize(
    ("memory_gb", "patch", "batch"), [(4.5, 128, 2), (4.2, 128, 1), (2.2, 128, 1), (2.1, 96, 1), (0.5, 64, 1)]
)
def test_memory_takes_patches_out_of_the_step_and_then_shrinks_the_last(
    whole: Plan, plan_with: PlanWith, memory_gb: float, patch: int, batch: int
) -> None:
    plan = fit_step(whole, plan_with, price, limits(10**6, int(memory_gb * GB)))
    assert (plan.training.patch_size, plan.training.batch_size) == ((patch,) * 3, batch)
    assert (plan.inference.patch_size, plan.inference.batch_size) == ((patch,) * 3, batch)
    cause = (
        f"a step of 2 patches of 128×128×128 voxels would need 4.29 GB, and 70% of the free memory is {memory_gb:g} GB"
    )
    assert (plan.reasons["training.batch_size"] == f"{batch}: {cause}") == (batch < 2)
    assert (plan.reasons["training.patch_size"] == f"smaller than planned: {cause}") == (patch < 128)


def test_smallest_step_is_taken_where_none_fits(whole: Plan, plan_with: PlanWith) -> None:
    plan = fit_step(whole, plan_with, price, limits(10**6, 1000))
    assert (plan.training.patch_size, plan.training.batch_size) == ((32, 32, 32), 1)


@pytest.mark.parametrize(("smallest", "batch"), [(1, 1), (2, 2), (3, 3)])
def test_batch_is_halved_no_further_than_asked(whole: Plan, plan_with: PlanWith, smallest: int, batch: int) -> None:
    many = whole.model_copy(update={"training": whole.training.model_copy(update={"batch_size": 16})})
    plan = fit_step(many, plan_with, price, limits(10, 100 * GB, smallest_batch=smallest))
    assert plan.training.batch_size == batch


@given(seconds=st.floats(1, 10**5), memory_gb=st.floats(0.01, 100), smallest=st.sampled_from([1, 2]))
def test_nothing_is_given_up_that_the_limits_allow(
    whole: Plan, plan_with: PlanWith, seconds: float, memory_gb: float, smallest: int
) -> None:
    asked = limits(seconds, int(memory_gb * GB), smallest_batch=smallest)
    plan = fit_step(whole, plan_with, price, asked)
    voxels, batch = math.prod(plan.training.patch_size), plan.training.batch_size
    if batch * voxels == 2 * 128**3:
        return
    larger = voxels * 2
    needs_memory = 10**8 + 1000 * larger > asked.memory_bytes
    buys_few = seconds < 200 * larger / 10**6
    assert needs_memory or buys_few or plan.training.patch_size != (128, 128, 128)


def test_fingerprint_of_many_scans_gives_the_same_step(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder, whole: Plan
) -> None:
    many: Fingerprint = build_fingerprint([(300, 300, 300)] * 7, [(1, 1, 1)] * 7)
    assert make_plan(many, build_manifest(), device="cuda").training == whole.training
