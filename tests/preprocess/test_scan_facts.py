"""Facts by which a scan is compared with others."""

from __future__ import annotations

import numpy as np
import pytest
from medseg.geometry import Geometry
from medseg.preprocess.scan_facts import ChannelFacts, ScanFacts
from medseg.records import Scan

from tests.grids import grid

SHAPE = (20, 30, 24)


def facts_of(array: np.ndarray) -> ChannelFacts:
    return ChannelFacts.of(array.astype(np.float32))


def test_grid_is_told_along_the_patient_s_axes_whatever_the_order_in_the_file() -> None:
    parts = grid(SHAPE, spacing_mm=(1.0, 2.0, 3.0), axcodes="SPL")
    facts = ScanFacts.of(Scan(np.zeros((1, *parts.shape), np.float32), parts))
    assert facts.shape == SHAPE
    assert facts.spacing_mm == pytest.approx((1.0, 2.0, 3.0))
    assert facts.extent_mm == pytest.approx((20.0, 60.0, 72.0))
    assert facts.voxel_ml == pytest.approx(0.006)


@pytest.mark.parametrize(("turned_deg", "nearest_deg"), [(0, 0), (12, 12), (50, 40), (90, 0), (135, 45)])
def test_angle_is_that_to_the_nearest_patient_axis(turned_deg: float, nearest_deg: float) -> None:
    turned = grid(SHAPE, angles=(0.0, 0.0, np.radians(turned_deg)))
    facts = ScanFacts.of(Scan(np.zeros((1, *turned.shape), np.float32), turned))
    assert facts.tilt_deg == pytest.approx(nearest_deg, abs=1e-3)


def test_picture_has_its_single_slice_last() -> None:
    flat = Geometry((1, 40, 50), np.eye(4))
    facts = ScanFacts.of(Scan(np.zeros((3, 1, 40, 50), np.float32), flat))
    assert facts.is_flat
    assert facts.shape == (40, 50, 1)
    assert len(facts.channels) == 3


def test_constant_channel_is_full_of_one_value() -> None:
    facts = facts_of(np.full(SHAPE, 7.0))
    assert (facts.fill, facts.p50, facts.negative) == (1.0, 7.0, 0.0)
    assert (facts.low, facts.middle, facts.high, facts.roughness) == (0.0, 0.0, 0.0, 0.0)


def test_noise_has_the_numbers_of_a_normal_distribution() -> None:
    noise = np.random.default_rng(0).normal(100, 20, (40, 40, 40))
    facts = facts_of(noise)
    assert facts.p5 == pytest.approx(100 - 1.645 * 20, abs=1.5)
    assert facts.p95 == pytest.approx(100 + 1.645 * 20, abs=1.5)
    assert facts.low == pytest.approx(-2.326, abs=0.1)
    assert facts.high == pytest.approx(2.326, abs=0.1)
    assert facts.roughness == pytest.approx(2 / np.sqrt(np.pi), abs=0.03)  # mean |difference| of two normal numbers
    assert facts.fill < 0.01


def test_ramp_has_the_step_of_its_neighbours() -> None:
    ramp = np.broadcast_to(np.arange(100.0)[:, None, None], (100, 5, 6))
    deviation = np.arange(100).std()
    assert facts_of(ramp).roughness == pytest.approx(1 / deviation / 3, rel=0.02)  # one of three axes has a step


def test_numbers_without_a_unit_do_not_change_with_scale_and_offset() -> None:
    image = np.random.default_rng(1).gamma(2.0, size=(30, 30, 30))
    one, other = facts_of(image), facts_of(500 + 30 * image)
    for name in ("low", "middle", "high", "roughness"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-3)


def test_large_scan_is_sampled_evenly() -> None:
    image = np.zeros((200, 200, 200), np.float32)
    image[:, :, 100:] = 1000
    image[:, :50] -= 2000
    facts = facts_of(image)
    assert facts.negative == pytest.approx(0.25, abs=0.02)
    assert (facts.p5, facts.p95) == (-2000, 1000)
