"""The rules from scans to a slice classifier's settings, and their reasons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ConfigError
from medseg.networks.classification import SliceClassifier
from medseg.plane import Plane
from medseg.planning import (
    CaseFingerprint,
    Fingerprint,
    SliceChoices,
    SlicePlan,
    load_plan_of,
    make_slice_plan,
    override_plan,
    save_plan,
)
from medseg.planning.sizes import DeviceKind
from medseg.records import Manifest
from medseg.targets import SliceClasses

FingerprintBuilder = Callable[..., Fingerprint]
ManifestBuilder = Callable[..., Manifest]
BOTH = SliceClasses(classes=("liver", "spleen"))
Planner = Callable[..., SlicePlan]


@pytest.fixture
def plan_of(build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder) -> Planner:
    """A function that plans for scans of one shape and spacing."""

    def plan(
        shape: tuple[int, int, int],
        spacing_mm: tuple[float, float, float],
        *,
        device: DeviceKind = "cpu",
        channels: tuple[str, ...] = ("CT",),
        is_2d: bool = False,
        **choices: Any,
    ) -> SlicePlan:
        values = np.random.default_rng(0).normal(50, 20, (len(channels), 200))
        fingerprint = build_fingerprint([shape], [spacing_mm], foreground=values, is_2d=is_2d)
        chosen = SliceChoices(**{"targets": BOTH} | choices)
        return make_slice_plan(fingerprint, build_manifest(channels=channels), chosen, device=device)

    return plan


@pytest.mark.parametrize(
    ("plane", "pixel_mm", "size"),
    [("axial", 1.0, (48, 64)), ("coronal", 1.5, (32, 32)), ("sagittal", 1.5, (48, 32))],
)
def test_pictures_hold_the_scan_s_slices_in_their_own_plane(
    plan_of: Planner, plane: Plane, pixel_mm: float, size: tuple[int, int]
) -> None:
    """40 × 60 × 20 mm; pixels are the median spacing of the two axes, sizes multiples of 16, and at least 32."""
    plan = plan_of((40, 60, 10), (1.0, 1.0, 2.0), plane=plane)
    assert (plan.slices.plane, plan.slices.pixel_mm, plan.slices.size) == (plane, pixel_mm, size)
    assert plan.reasons["slices.pixel_mm"] == "median of the training scans"


@pytest.mark.parametrize(("device", "pixel_mm", "size"), [("cpu", 4.0, (128, 96)), ("cuda", 2.0, (256, 192))])
def test_large_slices_are_coarsened_to_what_the_device_trains(
    plan_of: Planner, device: DeviceKind, pixel_mm: float, size: tuple[int, int]
) -> None:
    plan = plan_of((512, 384, 90), (1.0, 1.0, 5.0), device=device)
    assert (plan.slices.pixel_mm, plan.slices.size) == (pixel_mm, size)
    assert (
        f"512 mm, the longer side of nearly all training scans, in {max(size)} pixels"
        in plan.reasons["slices.pixel_mm"]
    )


def test_photographs_are_planned_by_their_two_sides(plan_of: Planner) -> None:
    plan = plan_of((64, 48, 1), (1.0, 1.0, 1.0), is_2d=True, plane="sagittal")
    assert (plan.slices.pixel_mm, plan.slices.size) == (1.0, (64, 48))


def test_one_huge_scan_of_many_does_not_decide(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    shapes = [(60, 60, 10)] * 39 + [(400, 400, 10)]
    fingerprint = build_fingerprint(shapes, [(1.0, 1.0, 1.0)] * 40)
    plan = make_slice_plan(fingerprint, build_manifest(), SliceChoices(targets=BOTH), device="cpu")
    assert plan.slices.size == (64, 64)


@pytest.mark.parametrize(("spacing_mm", "pixels", "size"), [(0.703125, 112, 112), (1.0, 209, 128)])
def test_rounded_pixel_size_does_not_make_pictures_a_step_larger(
    plan_of: Planner, spacing_mm: float, pixels: int, size: int
) -> None:
    plan = plan_of((pixels, pixels, 10), (spacing_mm, spacing_mm, 5.0))
    assert plan.slices.size == (size, size)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(1, 700)] * 3), min_size=1, max_size=5),
    st.tuples(*[st.floats(0.2, 8)] * 3),
    st.sampled_from(["axial", "coronal", "sagittal"]),
    st.sampled_from(["cpu", "cuda"]),
)
def test_pictures_of_any_dataset_are_of_a_size_that_the_network_can_take(
    shapes: list[tuple[int, int, int]], spacing_mm: tuple[float, float, float], plane: Plane, device: DeviceKind
) -> None:
    cases = tuple(CaseFingerprint(shape, spacing_mm, np.zeros((1, 5))) for shape in shapes)
    manifest = Manifest(name="m", channels=("MR",), labels={"background": 0, "liver": 1, "spleen": 2}, cases=())
    fingerprint = Fingerprint(cases, (), is_2d=all(1 in shape for shape in shapes))
    plan = make_slice_plan(fingerprint, manifest, SliceChoices(plane=plane, targets=BOTH), device=device)
    longest = {"cpu": 128, "cuda": 256}[device]
    assert all(size % 16 == 0 and 32 <= size <= longest for size in plan.slices.size)
    assert plan.slices.pixel_mm > 0
    assert plan.training.augment.spacing_mm == (plan.slices.pixel_mm, plan.slices.pixel_mm, 1.0)


@pytest.mark.parametrize(("context", "channels", "expected"), [(0, ("CT",), 1), (2, ("CT",), 5), (1, ("T1", "T2"), 6)])
def test_network_takes_every_channel_of_every_neighbour(
    plan_of: Planner, context: int, channels: tuple[str, ...], expected: int
) -> None:
    plan = plan_of((40, 40, 10), (1, 1, 1), context=context, channels=channels)
    assert plan.network.in_channels == plan.slices.channels == expected
    assert plan.network.out_channels == 2
    assert len(plan.slices.normalisation) == len(channels)


@pytest.mark.parametrize(("device", "width"), [("cpu", 32), ("cuda", 64)])
def test_width_is_what_the_device_trains_in_minutes(plan_of: Planner, device: DeviceKind, width: int) -> None:
    plan = plan_of((60, 60, 10), (1, 1, 1), device=device)
    assert (plan.network.stem, plan.network.width) == ("imagenet", width)
    assert device in plan.reasons["network.width"]


def test_pictures_are_as_large_as_the_network_needs(plan_of: Planner) -> None:
    plan = plan_of((40, 60, 10), (1, 1, 1), architecture="alexnet")
    assert plan.slices.size == (64, 64)
    assert "alexnet needs" in plan.reasons["slices.size"]


def test_classical_nets_keep_their_own_shape(plan_of: Planner) -> None:
    plan = plan_of((60, 60, 10), (1, 1, 1), architecture="densenet121")
    assert (plan.network.architecture, plan.network.stem, plan.network.width) == ("densenet121", "imagenet", 64)


def test_plain_net_is_planned_like_the_residual_one_that_it_is_compared_with(plan_of: Planner) -> None:
    plain, residual = (plan_of((60, 60, 10), (1, 1, 1), architecture=name).network for name in ("plain34", "resnet34"))
    assert plain == residual.model_copy(update={"architecture": "plain34"})


def test_studies_are_trained_in_smaller_batches(plan_of: Planner) -> None:
    assert plan_of((60, 60, 10), (1, 1, 1)).training.batch_size == 64
    pooled = plan_of((60, 60, 10), (1, 1, 1), pooling="attention")
    assert (pooled.training.batch_size, pooled.network.pooling) == (4, "attention")
    assert SliceClassifier(pooled.network).attention is not None


def test_slices_are_never_mirrored(plan_of: Planner) -> None:
    plan = plan_of((60, 60, 10), (1, 1, 1))
    assert plan.training.augment.mirror_axes == ()
    assert "sides differ" in plan.reasons["training.augment"]


def test_plan_comes_back_as_it_was_written(plan_of: Planner, tmp_path: Path) -> None:
    plan = plan_of((40, 60, 10), (0.7, 0.7, 2.3), context=1, channels=("CT", "T1"))
    save_plan(plan, tmp_path / "plan.yaml")
    assert load_plan_of(SlicePlan, tmp_path / "plan.yaml") == plan
    assert "medseg classify train" in (tmp_path / "plan.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slices": {"context": 1}}, "network.in_channels must be 3, the image channels times the slices, got 1"),
        ({"targets": {"classes": ["liver"]}}, "network.out_channels must be the number of classes 1, got 2"),
        ({"network": {"out_channels": 5}}, "network.out_channels must be the number of classes 2, got 5"),
        ({"slices": {"plain": "axial"}}, "plane"),
    ],
)
def test_parts_that_do_not_fit_are_refused(plan_of: Planner, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override_plan(plan_of((60, 60, 10), (1, 1, 1)), change, source="settings x.yaml")
