"""Sizes by name: what they are, and that every one of them gives a plan that can be trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.networks import NetworkConfig
from medseg.networks.segmentation import AnyNetwork, build_network
from medseg.planning import (
    CaseFingerprint,
    Fingerprint,
    NetworkName,
    Plan,
    PresetName,
    Spending,
    StepCost,
    load_plan,
    make_plan,
    save_plan,
)
from medseg.planning.initialised import plan_initialised
from medseg.planning.presets import PRESETS, resources_of
from medseg.planning.sizes import RESOURCES, DeviceKind
from medseg.planning.step_cost import StepPrice
from medseg.training.segmentation import TrainingConfig

from tests.planning.conftest import FingerprintBuilder, ManifestBuilder
from tests.planning.test_initialised import card_of

NAMES: tuple[PresetName, ...] = get_args(PresetName)
GIB = 2**30


def price(network: AnyNetwork, training: TrainingConfig, limit_s: float = 0.0) -> StepPrice:
    voxels = training.batch_size * math.prod(training.patch_size)
    return StepPrice(voxels / 10**7, 1000 * voxels)


def spend(seconds: float) -> Spending:
    return Spending(
        seconds=seconds,
        budget_s=seconds,
        device="made-up",
        free_bytes=8 * 10**9,
        measure=price,
        estimate=price,
        ceiling=lambda config: {"liver": 1 - 0.01 * max(config.spacing_mm or (0.0,))},
    )


def large(build_fingerprint: FingerprintBuilder, *, is_2d: bool) -> Fingerprint:
    """A scan that is larger than every patch."""
    if is_2d:
        return build_fingerprint([(4096, 4096, 1)], [(1.0, 1.0, 1.0)], is_2d=True)
    return build_fingerprint([(512, 512, 512)], [(0.5, 0.5, 0.5)])


@pytest.mark.parametrize("budget", [None, 600])
@pytest.mark.parametrize("is_2d", [False, True])
@pytest.mark.parametrize(("name", "device"), [("S", "cpu"), ("M", "cuda")])
def test_s_and_m_are_what_the_cpu_and_the_gpu_get_anyway(
    build_fingerprint: FingerprintBuilder,
    build_manifest: ManifestBuilder,
    name: PresetName,
    device: DeviceKind,
    is_2d: bool,
    budget: float | None,
) -> None:
    plan = partial(make_plan, large(build_fingerprint, is_2d=is_2d), build_manifest(), device=device)
    by_device, by_name = (plan(spending=budget and spend(budget), preset=preset) for preset in (None, name))
    parts = ("preprocess", "network", "training", "inference")
    assert [getattr(by_name, part) for part in parts] == [getattr(by_device, part) for part in parts]


@pytest.mark.parametrize("is_2d", [False, True])
def test_each_preset_sees_more_than_the_one_before(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder, is_2d: bool
) -> None:
    scan = large(build_fingerprint, is_2d=is_2d)
    plans = [make_plan(scan, build_manifest(), device="cuda", preset=name) for name in NAMES]
    voxels = [math.prod(plan.training.patch_size) for plan in plans]
    assert all(small < wide for small, wide in pairwise(voxels))
    assert [plan.network.widths[0] for plan in plans] == [8, 16, 32, 32, 32]
    assert [max(plan.network.widths) for plan in plans] == [64, 256, *([512] * 3 if is_2d else [320] * 3)]
    assert [len(plan.network.widths) for plan in plans] == ([4, 6, 6, 6, 6] if is_2d else [4, 5, 6, 6, 6])


@pytest.mark.parametrize("is_2d", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_preset_does_not_depend_on_the_device_and_the_reasons_name_it(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder, name: PresetName, is_2d: bool
) -> None:
    scan = large(build_fingerprint, is_2d=is_2d)
    plans = [make_plan(scan, build_manifest(), device=device, preset=name) for device in ("cpu", "cuda")]
    assert plans[0] == plans[1]
    for key in ("training.patch_size", "training.batch_size", "network.channels"):
        assert f"in preset {name}" in plans[0].reasons[key]


def test_steps_fit_the_gpus_that_presets_are_for(build_manifest: ManifestBuilder) -> None:
    """By the memory that was measured on an H100: GiB by volume or picture, with two labels."""
    measured = {128**3: 5.2, 160**3: 9.4, 224**3: 24.4}
    card_gib = {"M": 6.7, "L": 14.1, "XL": 44.0}  # of 8, 16 and 48 GB, less what CUDA takes
    for name, room in card_gib.items():
        volumes, pictures = (PRESETS[name, is_2d] for is_2d in (False, True))  # type: ignore[index]
        assert volumes.step_voxels == 2 * volumes.patch_voxels
        assert measured[volumes.patch_voxels] < room
        if name != "M":  # its 16 pictures of 512² need a GPU of 16 GB
            assert 0.41 * pictures.step_voxels / 512**2 + 0.5 < 0.71 * room
            assert measured[volumes.patch_voxels] < 0.71 * room


def test_smallest_step_takes_little(build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder) -> None:
    for is_2d in (False, True):
        plan = make_plan(large(build_fingerprint, is_2d=is_2d), build_manifest(), device="cpu", preset="nano")
        counted = StepCost(torch.device("cpu")).estimate(plan.network, plan.training)
        assert counted.memory_bytes < 0.2 * GIB


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(5, 700)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 8)] * 3),
    is_2d=st.booleans(),
    device=st.sampled_from(["cpu", "cuda"]),
    name=st.sampled_from(NAMES),
    network=st.sampled_from(get_args(NetworkName)),
    budget=st.sampled_from([None, 20.0, 600.0, 36_000.0]),
)
def test_every_preset_gives_a_plan_that_its_network_takes(
    build_manifest: ManifestBuilder,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    is_2d: bool,
    device: DeviceKind,
    name: PresetName,
    network: NetworkName,
    budget: float | None,
) -> None:
    network = "unet" if network == "unet_2015" and not is_2d else network
    case = CaseFingerprint((*shape[:2], 1) if is_2d else shape, (1, 1, 1) if is_2d else spacing, np.ones((1, 5)))
    plan = make_plan(
        Fingerprint((case,), (), is_2d),
        build_manifest(),
        device=device,
        spending=None if budget is None else spend(budget),
        network=network,
        preset=name,
    )
    again = Plan.model_validate(plan.model_dump())
    assert again == plan
    assert (plan.expected is None) == (budget is None)
    resources = resources_of(device, is_2d=is_2d, preset=name)
    patch = plan.training.patch_size
    least = 2 * math.prod(plan.network.reduction)
    assert math.prod(patch) <= max(resources.patch_voxels, resources.clock_voxels, least)
    assert plan.inference.patch_size == patch
    with torch.device("meta"):
        module = build_network(plan.network)
    image = torch.zeros(1, plan.network.in_channels, *patch[: plan.network.spatial_dims], device="meta")
    if isinstance(plan.network, NetworkConfig):
        assert module(image).shape[2:] == image.shape[2:]


@pytest.mark.parametrize("network", ["segresnet", "swinunetr"])
def test_width_of_a_network_by_name_follows_the_preset(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder, network: NetworkName
) -> None:
    scan = large(build_fingerprint, is_2d=False)
    plans = [make_plan(scan, build_manifest(), device="cpu", network=network, preset=name) for name in NAMES]
    narrow = {"segresnet": [8, 16, 32, 32, 32], "swinunetr": [12, 24, 48, 48, 48]}[network]
    key = {"segresnet": "init_filters", "swinunetr": "feature_size"}[network]
    assert [getattr(plan.network, key) for plan in plans] == narrow
    assert "in preset nano" in plans[0].reasons[f"network.{key}"]


def test_earlier_run_s_network_is_kept_and_the_preset_decides_the_rest(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    scan = large(build_fingerprint, is_2d=False)
    plan: Callable[..., Plan] = partial(make_plan, scan, build_manifest(), device="cpu")
    earlier = plan(preset="nano")
    tuned = plan(preset="L", adapt=partial(plan_initialised, card=card_of(earlier)))
    assert tuned.network == earlier.network
    assert tuned.training.patch_size == plan(preset="L").training.patch_size
    assert "as in the earlier run" in tuned.reasons["network.channels"]
    assert "in preset L" in tuned.reasons["training.batch_size"]


def test_without_a_name_the_device_decides() -> None:
    for (device, is_2d), resources in RESOURCES.items():
        assert resources_of(device, is_2d=is_2d) is resources


def test_plan_of_a_preset_comes_back_from_its_file(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    plan = make_plan(large(build_fingerprint, is_2d=True), build_manifest(), device="cpu", preset="XL")
    path = tmp_path_factory.mktemp("plans") / "plan.yaml"
    save_plan(plan, path)
    assert load_plan(path) == plan
    assert "in preset XL" in path.read_text(encoding="utf-8")
