"""The grid that a budget can pay for, with made-up prices."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from medseg.networks import NetworkConfig
from medseg.planning import Fingerprint, Plan, Spending, make_plan
from medseg.preprocess import PreprocessConfig
from medseg.records import Manifest
from medseg.training.segmentation import TrainingConfig

FingerprintBuilder = Callable[..., Fingerprint]
ManifestBuilder = Callable[..., Manifest]
VOXELS_PER_S = 600_000


def step_s(network: NetworkConfig, training: TrainingConfig) -> float:
    """Seconds in proportion to the voxels of a batch."""
    return float(np.prod(training.patch_size)) * training.batch_size / VOXELS_PER_S


def smooth(config: PreprocessConfig) -> dict[str, float]:
    """Ceiling of a large organ: 1 % lost per millimetre beyond the scans' own."""
    assert config.spacing_mm is not None
    return {"liver": 1 - 0.01 * max(0.0, max(config.spacing_mm) - 0.6)}


def spend(seconds: float, ceiling: Callable[[PreprocessConfig], Mapping[str, float]] = smooth) -> Spending:
    return Spending(seconds=seconds, budget=f"{seconds:g}s", measure_step_s=step_s, step_s=step_s, ceiling=ceiling)


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


def test_the_reason_gives_steps_views_and_ceiling(large: Fingerprint, build_manifest: ManifestBuilder) -> None:
    plan = make_plan(large, build_manifest(), device="cpu", spending=spend(600))
    steps = round((0.85 * 600 - 8) / step_s(plan.network, plan.training))
    reason = plan.reasons["preprocess.spacing_mm"]
    assert f"600s buys about {steps} steps, in which each of 32 scans is seen {steps / 32:.2g} times" in reason
    assert "at the scans' own 0.6×0.6×0.6 mm they would be seen" in reason
    assert f"keep a Dice of {smooth(plan.preprocess)['liver']:.3f} (liver)" in reason


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
    assert plans[0] == plans[1]


def test_what_is_measured_decides_in_the_end(large: Fingerprint, build_manifest: ManifestBuilder) -> None:
    measured: list[tuple[int, ...]] = []

    def measure(network: NetworkConfig, training: TrainingConfig) -> float:
        measured.append(training.patch_size)
        return step_s(network, training)

    spending = Spending(600, "10m", measure, step_s, smooth)
    plan: Plan = make_plan(large, build_manifest(), device="cpu", spending=spending)
    assert measured[-1] == plan.training.patch_size
