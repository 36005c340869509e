"""The plan of pictures for a budget, with made-up prices."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from medseg.networks.segmentation import AnyNetwork
from medseg.planning import Fingerprint, Plan, Spending, load_plan, make_plan, save_plan
from medseg.planning.sizes import DeviceKind
from medseg.planning.step_cost import StepPrice
from medseg.training.segmentation import TrainingConfig

from tests.planning.conftest import FingerprintBuilder, ManifestBuilder

STEP_S = 0.79  # of eight pictures of 256²
PIXELS = 8 * 256**2


def price(network: AnyNetwork, training: TrainingConfig, limit_s: float = 0.0) -> StepPrice:
    """In proportion to the pixels of a batch."""
    pixels = training.batch_size * math.prod(training.patch_size)
    return StepPrice(STEP_S * pixels / PIXELS, 1000 * pixels)


def spend(seconds: float, *, free_bytes: int = 10**11) -> Spending:
    return Spending(
        seconds=seconds,
        budget_s=seconds,
        device="made-up",
        free_bytes=free_bytes,
        measure=price,
        estimate=price,
        ceiling=lambda config: pytest.fail("pictures keep their pixels"),
    )


@pytest.fixture
def pictures(build_fingerprint: FingerprintBuilder) -> Fingerprint:
    """Eighty pictures of 256²."""
    return build_fingerprint([(256, 256, 1)] * 80, [(1.0, 1.0, 1.0)] * 80, is_2d=True)


@pytest.mark.parametrize(("seconds", "batch"), [(15, 2), (40, 2), (60, 2), (120, 4), (180, 8), (3600, 8)])
def test_batch_is_halved_while_the_budget_buys_few_steps(
    pictures: Fingerprint, build_manifest: ManifestBuilder, seconds: float, batch: int
) -> None:
    plan = make_plan(pictures, build_manifest(), device="cpu", spending=spend(seconds))
    free = make_plan(pictures, build_manifest(), device="cpu")
    assert plan.training.batch_size == plan.inference.batch_size == batch
    assert plan.training.model_copy(update={"batch_size": 8}) == free.training
    assert (plan.network, plan.preprocess) == (free.network, free.preprocess)
    if batch < 8:
        text = f"{batch}: of 8 patches per step the budget would buy about {(0.85 * seconds - 8) / STEP_S:.0f} steps"
        assert text in plan.reasons["training.batch_size"]
    else:
        assert plan.reasons["training.batch_size"] == free.reasons["training.batch_size"]


def test_expectation_says_what_the_budget_buys_and_no_dice(
    pictures: Fingerprint, build_manifest: ManifestBuilder, tmp_path: Path
) -> None:
    plan = make_plan(pictures, build_manifest(), device="cpu", spending=spend(120))
    expected = plan.expected
    assert expected is not None
    steps = round((0.85 * 120 - 8) / (STEP_S / 2))
    assert (expected.steps, expected.device) == (steps, "made-up")
    assert (expected.step_seconds, expected.memory_bytes) == price(plan.network, plan.training)
    assert expected.views_per_scan == pytest.approx(4 * steps / 80, rel=0.05)
    assert expected.ceiling == {}
    assert expected.shortfall is None
    assert [(o.budget, o.spacing_mm, o.batch_size, o.shortfall) for o in expected.outlook] == [
        ("4m", None, 8, None),
        ("8m", None, 8, None),
    ]
    views = [expected.views_per_scan, *(outlook.views_per_scan for outlook in expected.outlook)]
    assert views == sorted(views)
    reason = plan.reasons["preprocess.spacing_mm"]
    assert f"2m buys about {steps} steps of 4, in which each of 80 pictures is seen {views[0]:g} times" in reason
    assert f"in 4m it would be seen {views[1]:g} times" in reason
    save_plan(plan, tmp_path / "plan.yaml")
    assert load_plan(tmp_path / "plan.yaml") == plan


def test_pictures_larger_than_a_patch_are_seen_in_parts(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    large = build_fingerprint([(512, 512, 1)] * 80, [(1.0, 1.0, 1.0)] * 80, is_2d=True)
    expected = make_plan(large, build_manifest(), device="cpu", spending=spend(3600)).expected
    assert expected is not None
    assert expected.views_per_scan == pytest.approx(expected.steps * 8 / (80 * 4), rel=0.05)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_step_is_no_larger_than_the_memory_that_is_free(
    pictures: Fingerprint, build_manifest: ManifestBuilder, device: DeviceKind
) -> None:
    for free_bytes in (6 * 10**8, 10**8, 10**7):
        plan = make_plan(pictures, build_manifest(), device=device, spending=spend(3600, free_bytes=free_bytes))
        assert price(plan.network, plan.training).memory_bytes <= 0.7 * free_bytes
        assert "70% of the free memory is" in plan.reasons["training.batch_size"]
    assert plan.training.patch_size != (256, 256, 1)
    assert plan.reasons["training.patch_size"].startswith("smaller than planned: ")


def test_cpu_measures_no_step_that_does_not_fit(pictures: Fingerprint, build_manifest: ManifestBuilder) -> None:
    measured: list[int] = []

    def measure(network: AnyNetwork, training: TrainingConfig, limit_s: float) -> StepPrice:
        assert limit_s == 36
        measured.append(training.batch_size)
        return price(network, training)

    spending = replace(spend(3600, free_bytes=4 * 10**8), measure=measure)
    make_plan(pictures, build_manifest(), device="cpu", spending=spending)
    assert measured == [4]


def test_what_is_chosen_has_been_measured(pictures: Fingerprint, build_manifest: ManifestBuilder) -> None:
    measured: list[int] = []

    def measure(network: AnyNetwork, training: TrainingConfig, limit_s: float) -> StepPrice:
        measured.append(training.batch_size)
        return price(network, training)

    plan: Plan = make_plan(pictures, build_manifest(), device="cpu", spending=replace(spend(120), measure=measure))
    assert measured == [8, 4] == [8, plan.training.batch_size]
    measured.clear()
    make_plan(pictures, build_manifest(), device="cpu", spending=replace(spend(20), measure=measure))
    assert measured == [8]  # a second measurement would take more than it tells
