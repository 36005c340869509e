"""The grid that a budget can pay for, with made-up prices."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from medseg.networks import NetworkConfig
from medseg.planning import Fingerprint, Plan, Spending, load_plan, make_plan, override_plan, plan_digest, save_plan
from medseg.planning.spending import duration_text
from medseg.planning.step_cost import StepPrice
from medseg.preprocess import PreprocessConfig
from medseg.records import Manifest
from medseg.training import parse_duration_s
from medseg.training.segmentation import TrainingConfig

FingerprintBuilder = Callable[..., Fingerprint]
ManifestBuilder = Callable[..., Manifest]
VOXELS_PER_S = 600_000


def price(network: NetworkConfig, training: TrainingConfig) -> StepPrice:
    """In proportion to the voxels of a batch; a strided first stage costs 40 %."""
    voxels = int(np.prod(training.patch_size)) * training.batch_size
    share = 0.4 if max(network.strides[0]) > 1 else 1.0
    return StepPrice(share * voxels / VOXELS_PER_S, int(share * 1000 * voxels))


def smooth(config: PreprocessConfig) -> dict[str, float]:
    """Ceiling of a large organ: 1 % lost per millimetre beyond the scans' own."""
    assert config.spacing_mm is not None
    return {"liver": 1 - 0.01 * max(0.0, max(config.spacing_mm) - 0.6)}


def fine_alone(config: PreprocessConfig) -> dict[str, float]:
    """Ceiling of a label that the scans' own grid alone carries."""
    return {"vessel": 1.0 if max(config.spacing_mm or ()) < 0.7 else 0.0}


def spend(
    seconds: float,
    ceiling: Callable[[PreprocessConfig], Mapping[str, float]] = smooth,
    *,
    free_bytes: int = 64 * 10**9,
) -> Spending:
    return Spending(
        seconds=seconds,
        budget_s=seconds,
        device="made-up",
        free_bytes=free_bytes,
        measure=lambda network, training, limit_s: price(network, training),
        estimate=price,
        ceiling=ceiling,
    )


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planning takes no time, so that steps can be counted by hand."""
    monkeypatch.setattr("medseg.planning.grid_choice.time.monotonic", lambda: 0.0)


@pytest.fixture
def large(build_fingerprint: FingerprintBuilder) -> Fingerprint:
    """Scans of 2.4 million voxels."""
    return build_fingerprint([(192, 144, 88)] * 32, [(0.6, 0.6, 0.6)] * 32)


def test_more_time_gives_a_finer_grid(large: Fingerprint, build_manifest: ManifestBuilder) -> None:
    plans = [make_plan(large, build_manifest(), device="cpu", spending=spend(s)) for s in (60, 600, 6000, 600_000)]
    spacings = [plan.preprocess.spacing_mm for plan in plans]
    finest = [spacing[0] for spacing in spacings if spacing is not None]
    assert finest == sorted(finest, reverse=True)
    assert finest[0] > finest[1] > finest[2]
    assert finest[-1] == pytest.approx(0.6)


def test_a_step_sees_the_whole_scan_where_the_grid_is_coarse(
    large: Fingerprint, build_manifest: ManifestBuilder
) -> None:
    plan = make_plan(large, build_manifest(), device="cpu", spending=spend(600))
    assert plan.preprocess.spacing_mm is not None
    shape = np.round(np.array([192, 144, 88]) * 0.6 / np.array(plan.preprocess.spacing_mm))
    assert (np.array(plan.training.patch_size) >= shape).all()
    assert plan.training.patches_per_case == 1
    assert plan.inference.patch_size == plan.training.patch_size


def test_the_reason_gives_steps_views_ceiling_and_what_more_time_buys(
    large: Fingerprint, build_manifest: ManifestBuilder
) -> None:
    plan = make_plan(large, build_manifest(), device="cpu", spending=spend(600))
    start, training = plan.training.coarse_start, plan.training
    assert start is not None
    seconds = 0.85 * 600 - 8
    fine = (1 - start.share) * seconds / price(plan.network, training).seconds
    coarse = start.share * seconds / price(plan.network, training.coarse).seconds
    reason = plan.reasons["preprocess.spacing_mm"]
    assert f"10m buys about {round(fine + coarse)} steps, in which each of 32 scans is seen {fine / 32:.2g}" in reason
    assert "at the scans' own 0.6×0.6×0.6 mm they would be seen" in reason
    assert f"keep a Dice of {smooth(plan.preprocess)['liver']:.3f} (liver)" in reason
    expected = plan.expected
    assert expected is not None
    assert (expected.steps, expected.device) == (round(fine + coarse), "made-up")
    assert expected.step_seconds == price(plan.network, training).seconds
    assert [(outlook.budget) for outlook in expected.outlook] == ["20m", "40m"]
    shortfalls = [expected.shortfall, *(outlook.shortfall for outlook in expected.outlook)]
    assert shortfalls == sorted(shortfalls, reverse=True)
    assert f"20m would win back about {shortfalls[0] - shortfalls[1]:.3f} of the Dice" in reason


def test_the_expectation_is_in_the_file_and_ends_with_a_change(
    large: Fingerprint, build_manifest: ManifestBuilder, tmp_path: Path
) -> None:
    plan = make_plan(large, build_manifest(), device="cpu", spending=spend(600))
    save_plan(plan, tmp_path / "plan.yaml")
    assert load_plan(tmp_path / "plan.yaml") == plan
    without = plan.model_copy(update={"expected": None})
    assert plan_digest(plan) == plan_digest(without)
    save_plan(without, tmp_path / "plan.yaml")
    assert "expected" not in (tmp_path / "plan.yaml").read_text()
    assert override_plan(plan, {"training": {"seed": 3}}, source="seed").expected == plan.expected
    assert override_plan(plan, {"training": {"batch_size": 3}}, source="a file").expected is None


def test_first_stage_is_strided_where_its_features_carry_the_labels(
    large: Fingerprint, build_manifest: ManifestBuilder
) -> None:
    def fine_detail(config: PreprocessConfig) -> dict[str, float]:
        assert config.spacing_mm is not None
        return {"vessel": 1.0 if max(config.spacing_mm) < 0.7 else 0.5}

    thick = make_plan(large, build_manifest(), device="cpu", spending=spend(3000, lambda config: {"liver": 1.0}))
    thin = make_plan(large, build_manifest(), device="cpu", spending=spend(30_000, fine_detail))
    assert max(thick.network.strides[0]) == 2
    assert max(thin.network.strides[0]) == 1
    assert thin.preprocess.spacing_mm == (0.6, 0.6, 0.6)


def test_steps_fit_into_the_memory_that_is_free(large: Fingerprint, build_manifest: ManifestBuilder) -> None:
    for free_bytes in (10**9, 10**8, 10**7, 10**6):
        spending = spend(600_000, lambda config: {"liver": 1.0 if max(config.spacing_mm or ()) < 0.7 else 0.9},
                         free_bytes=free_bytes)  # fmt: skip
        plan = make_plan(large, build_manifest(), device="cpu", spending=spending)
        least = 1000 * 0.4 * 40**3
        assert price(plan.network, plan.training).memory_bytes <= max(0.7 * free_bytes, least)


def test_coarse_start_covers_the_patch_and_fits_the_network(
    large: Fingerprint, build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    thick = build_fingerprint([(320, 320, 30)] * 20, [(0.5, 0.5, 3.0)] * 20)
    for fingerprint in (large, thick):
        spending = spend(20_000, lambda config: {"liver": 1.0})
        plan = make_plan(fingerprint, build_manifest(), device="cpu", spending=spending)
        start = plan.training.coarse_start
        assert start is not None
        i, j, k = plan.preprocess.spacing_mm or (1, 1, 1)
        factor = (2, 2, 1 if k >= 2 * min(i, j) else 2)
        assert start.factor == factor
        assert (np.array(start.patch_size) * factor >= plan.training.patch_size).all()
        assert (np.array(start.patch_size) % plan.network.patch_multiple == 0).all()
        assert np.prod(start.patch_size) <= np.prod(plan.training.patch_size) / 2
        spacing = np.array(plan.training.augment.spacing_mm) * factor
        assert plan.training.coarse.augment.spacing_mm == pytest.approx(tuple(spacing))


@pytest.mark.parametrize(("seconds", "text"), [(45, "45s"), (90, "90s"), (600, "10m"), (7200, "2h"), (5400, "90m")])
def test_durations_are_written_as_budgets(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
    assert parse_duration_s(text) == seconds


def test_small_scans_keep_their_grid_within_a_minute(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    def lost_when_coarser(config: PreprocessConfig) -> dict[str, float]:
        assert config.spacing_mm is not None
        return {"anterior": 1 - 0.2 * (max(config.spacing_mm) - 1)}

    small = build_fingerprint([(35, 50, 36)] * 160, [(1.0, 1.0, 1.0)] * 160)
    plan = make_plan(small, build_manifest(), device="cpu", spending=spend(60, lost_when_coarser))
    assert plan.preprocess.spacing_mm == (1.0, 1.0, 1.0)


def test_a_thin_label_keeps_the_grid_that_carries_it(large: Fingerprint, build_manifest: ManifestBuilder) -> None:
    def thin(config: PreprocessConfig) -> dict[str, float]:
        assert config.spacing_mm is not None
        is_fine = max(config.spacing_mm) < 1.0
        return {f"organ {n}": 1.0 for n in range(99)} | {"wall": 1.0 if is_fine else 0.3}

    free = make_plan(large, build_manifest(), device="cpu", spending=spend(1200, lambda config: {"organ": 1.0}))
    bound = make_plan(large, build_manifest(), device="cpu", spending=spend(1200, thin))
    assert free.preprocess.spacing_mm is not None
    assert bound.preprocess.spacing_mm is not None
    assert max(bound.preprocess.spacing_mm) < 1.0 <= max(free.preprocess.spacing_mm)


def test_axes_that_are_coarser_already_stay(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    thick = build_fingerprint([(320, 320, 30)] * 20, [(0.5, 0.5, 3.0)] * 20)
    plan = make_plan(thick, build_manifest(), device="cpu", spending=spend(300, lambda config: {"liver": 1.0}))
    assert plan.preprocess.spacing_mm is not None
    i, j, k = plan.preprocess.spacing_mm
    assert i == j
    assert 0.5 < i <= 3.0
    assert k == 3.0


def test_pictures_keep_their_pixels(build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder) -> None:
    pictures = build_fingerprint([(256, 256, 1)] * 5, [(1.0, 1.0, 1.0)] * 5, is_2d=True)
    plans = [make_plan(pictures, build_manifest(), device="cpu", spending=s) for s in (None, spend(30))]
    assert plans[0].preprocess == plans[1].preprocess
    assert plans[0].preprocess.spacing_mm is None
    assert plans[0].network == plans[1].network


def test_gpu_s_grid_is_chosen_and_its_step_kept_where_it_fits(
    large: Fingerprint, build_manifest: ManifestBuilder
) -> None:
    plan = make_plan(large, build_manifest(), device="cuda", spending=spend(36_000, fine_alone))
    assert plan.preprocess.spacing_mm == (0.6, 0.6, 0.6)
    assert math.prod(plan.training.patch_size) <= 128**3
    assert plan.training.batch_size == 2
    assert plan.training.coarse_start is None
    expected = plan.expected
    assert expected is not None
    fine = price(plan.network, plan.training)
    assert expected.steps == round((0.85 * 36_000 - 8) / fine.seconds)
    assert (expected.step_seconds, expected.memory_bytes) == fine
    parts = round(np.prod(np.maximum(np.array([192, 144, 88]) / plan.training.patch_size, 1)))
    assert expected.views_per_scan == pytest.approx(expected.steps * 2 / (32 * parts), rel=0.05)


def test_gpu_s_batch_is_halved_while_the_budget_buys_few_steps(
    large: Fingerprint, build_manifest: ManifestBuilder
) -> None:
    plan = make_plan(large, build_manifest(), device="cuda", spending=spend(700, fine_alone))
    assert plan.preprocess.spacing_mm == (0.6, 0.6, 0.6)
    assert plan.training.batch_size == plan.inference.batch_size == 1
    assert "1: of 2 patches per step the budget would buy about" in plan.reasons["training.batch_size"]
    expected = plan.expected
    assert expected is not None
    assert [outlook.batch_size for outlook in expected.outlook] == [1, 2]


def test_gpu_s_step_is_no_larger_than_the_memory_that_is_free(
    large: Fingerprint, build_manifest: ManifestBuilder
) -> None:
    for free_bytes in (6 * 10**9, 3 * 10**9, 10**9, 10**8):
        spending = spend(36_000, free_bytes=free_bytes)
        plan = make_plan(large, build_manifest(), device="cuda", spending=spending)
        assert price(plan.network, plan.training).memory_bytes <= 0.7 * free_bytes
        assert "GB" in plan.reasons["training.batch_size"]


def test_what_is_measured_decides_in_the_end(large: Fingerprint, build_manifest: ManifestBuilder) -> None:
    measured: list[tuple[int, ...]] = []

    def measure(network: NetworkConfig, training: TrainingConfig, limit_s: float) -> StepPrice:
        assert limit_s == 6
        measured.append(training.patch_size)
        return price(network, training)

    spending = replace(spend(600), measure=measure)
    plan: Plan = make_plan(large, build_manifest(), device="cpu", spending=spending)
    assert measured[-1] == plan.training.patch_size
