"""Plans of networks by name: patches that they can take, a reason for each setting, and the way through plan.yaml."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ConfigError
from medseg.networks import NetworkConfig
from medseg.networks.segmentation import (
    AnyNetwork,
    DynUNetConfig,
    SegResNetConfig,
    SwinUNETRConfig,
    build_network,
    unet_2015,
)
from medseg.planning import (
    CaseFingerprint,
    Fingerprint,
    NetworkName,
    Plan,
    Spending,
    load_plan,
    make_plan,
    override_plan,
    plan_digest,
    save_plan,
)
from medseg.planning.network_choice import with_network
from medseg.planning.sizes import RESOURCES, DeviceKind
from medseg.planning.step_cost import StepPrice
from medseg.records import Manifest
from medseg.training.segmentation import TrainingConfig

Fingerprints = Callable[..., Fingerprint]
Manifests = Callable[..., Manifest]
NAMES: tuple[NetworkName, ...] = get_args(NetworkName)
VOLUMES = tuple(name for name in NAMES if name != "unet_2015")


@pytest.fixture(scope="session")
def pictures(build_fingerprint: Fingerprints, build_manifest: Manifests) -> Plan:
    """A plan for pictures of three colours."""
    channels = ("red", "green", "blue")
    fingerprint = build_fingerprint([(70, 90, 1)], [(1, 1, 1)], foreground=[[0.0, 1.0]] * 3, is_2d=True)
    return make_plan(fingerprint, build_manifest(channels=channels), device="cpu")


@pytest.mark.parametrize("name", VOLUMES)
def test_plan_of_volumes_comes_back_from_its_file_and_builds(plan: Plan, name: NetworkName, tmp_path: Path) -> None:
    chosen = with_network(plan, name, device="cpu")
    save_plan(chosen, tmp_path / "plan.yaml")
    again = load_plan(tmp_path / "plan.yaml")
    assert again == chosen
    assert plan_digest(again) == plan_digest(chosen)
    with torch.device("meta"):
        network = build_network(again.network).to("meta")
    image = torch.zeros(1, again.network.in_channels, *again.training.patch_size, device="meta")
    assert network(image).shape == (1, again.network.out_channels, *again.training.patch_size)


@pytest.mark.parametrize("name", NAMES)
def test_plan_of_pictures_is_two_dimensional(pictures: Plan, name: NetworkName) -> None:
    chosen = with_network(pictures, name, device="cpu")
    assert (chosen.network.spatial_dims, chosen.network.in_channels) == (2, 3)
    assert chosen.training.patch_size == chosen.inference.patch_size
    assert chosen.training.patch_size[2] == 1


def test_each_name_has_its_settings(plan: Plan, pictures: Plan) -> None:
    kinds = {name: type(with_network(pictures, name, device="cpu").network) for name in NAMES}
    assert kinds == {
        "unet": NetworkConfig,
        "unet_2015": NetworkConfig,
        "dynunet": DynUNetConfig,
        "segresnet": SegResNetConfig,
        "swinunetr": SwinUNETRConfig,
    }
    assert with_network(plan, "unet", device="cpu") == plan
    classes = plan.network.out_channels
    assert with_network(pictures, "unet_2015", device="cuda").network == unet_2015(in_channels=3, out_channels=classes)


def test_dynunet_is_that_of_nnu_net(plan: Plan) -> None:
    chosen = with_network(plan, "dynunet", device="cpu")
    network = chosen.network
    assert isinstance(network, DynUNetConfig)
    assert plan.training.patch_size == (40, 52, 20)  # of 0.78, 0.78 and 3 mm
    assert chosen.training.patch_size == (40, 56, 20)
    assert network.strides == ((1, 1, 1), (2, 2, 1), (2, 2, 2), (2, 2, 2))
    assert network.kernel_size == ((3, 3, 1), (3, 3, 3), (3, 3, 3), (3, 3, 3))
    assert network.filters == (32, 64, 128, 256)
    assert (network.deep_supervision, network.deep_supr_num) == (True, 2)


@pytest.mark.parametrize(("name", "device", "width"), [
    ("segresnet", "cpu", 16), ("segresnet", "cuda", 32), ("swinunetr", "cpu", 24), ("swinunetr", "cuda", 48),
])  # fmt: skip
def test_width_follows_the_device(plan: Plan, name: NetworkName, device: DeviceKind, width: int) -> None:
    network = with_network(plan, name, device=device).network
    assert (network.init_filters if isinstance(network, SegResNetConfig) else network.feature_size) == width  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["dynunet", "segresnet", "swinunetr"])
def test_reasons_are_of_settings_that_the_plan_has(plan: Plan, name: NetworkName) -> None:
    chosen = with_network(plan, name, device="cpu")
    content: dict[str, Any] = chosen.model_dump()
    sections = (key.split(".") for key in chosen.reasons)
    assert all(key in content[section] for section, key in sections)
    assert sum(key.startswith("network.") for key in chosen.reasons) >= 3


def test_patch_that_grows_says_so_and_leaves_fewer_in_a_step(plan: Plan) -> None:
    chosen = with_network(plan, "swinunetr", device="cpu")
    assert chosen.training.patch_size == (64, 64, 32)
    assert chosen.training.batch_size == 1 < plan.training.batch_size
    assert "in multiples of 32×32×32 voxels, the reduction of swinunetr" in chosen.reasons["training.patch_size"]


@given(
    shape=st.tuples(*[st.integers(5, 400)] * 3),
    spacing_mm=st.tuples(*[st.floats(0.3, 8)] * 3),
    is_2d=st.booleans(),
    name=st.sampled_from(NAMES),
    device=st.sampled_from(["cpu", "cuda"]),
)
@settings(max_examples=60, deadline=None)
def test_every_plan_has_patches_that_its_network_takes(
    build_manifest: Manifests,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    is_2d: bool,
    name: NetworkName,
    device: DeviceKind,
) -> None:
    case = CaseFingerprint((*shape[:2], 1) if is_2d else shape, spacing_mm, torch.arange(5.0)[None].numpy())
    fingerprint = Fingerprint((case,), (), is_2d)
    if name == "unet_2015" and not is_2d:
        with pytest.raises(ConfigError, match="scans must be pictures, as it is 2D, got volumes"):
            make_plan(fingerprint, build_manifest(), device=device, network=name)
        return
    before = make_plan(fingerprint, build_manifest(), device=device)
    plan = make_plan(fingerprint, build_manifest(), device=device, network=name)  # which checks patch and reduction
    # Two voxels at the coarsest stage are needed, however small the device.
    least = 2 * math.prod(plan.network.reduction)
    most = max(RESOURCES[device, is_2d].patch_voxels, math.prod(before.training.patch_size), least)
    assert math.prod(plan.training.patch_size) <= most
    assert 1 <= plan.training.batch_size <= before.training.batch_size


@pytest.mark.parametrize("name", VOLUMES)
def test_plan_for_a_budget_keeps_the_network(
    build_fingerprint: Fingerprints, build_manifest: Manifests, name: NetworkName
) -> None:
    asked: list[str] = []

    def price(network: AnyNetwork, training: TrainingConfig, limit_s: float = 0.0) -> StepPrice:
        asked.append(network.kind)
        return StepPrice(1e-6 * training.batch_size * math.prod(training.patch_size), 10**9)

    spending = Spending(
        seconds=600.0,
        budget_s=600.0,
        device="made-up",
        free_bytes=10**11,
        measure=price,
        estimate=price,
        ceiling=lambda config: {"liver": 1 - 0.01 * max(config.spacing_mm or (0.0,))},
    )
    fingerprint = build_fingerprint([(190, 143, 88)], [(0.625, 0.625, 0.625)])
    plan = make_plan(fingerprint, build_manifest(), device="cpu", spending=spending, network=name)
    assert set(asked) == {plan.network.kind} == {name}
    assert plan.expected is not None
    start = plan.training.coarse_start
    assert ("training.coarse_start" in plan.reasons) == (start is not None)
    assert start is None or 2 * math.prod(start.patch_size) <= math.prod(plan.training.patch_size)


def test_plan_without_a_kind_is_of_our_unet(plan: Plan, tmp_path: Path) -> None:
    save_plan(plan, tmp_path / "plan.yaml")
    text = (tmp_path / "plan.yaml").read_text(encoding="utf-8")
    assert "  kind: unet\n" in text
    (tmp_path / "plan.yaml").write_text(text.replace("  kind: unet\n", ""), encoding="utf-8")
    assert load_plan(tmp_path / "plan.yaml") == plan


@pytest.mark.parametrize(
    ("name", "changes", "phrase"),
    [
        (
            "swinunetr",
            {"training": {"patch_size": [40, 64, 32]}},
            r"training\.patch_size must be multiples of \(32, 32",
        ),
        ("segresnet", {"inference": {"patch_size": [8, 8, 8]}}, "must leave more than one voxel at the coarsest stage"),
        ("segresnet", {"network": {"init_filter": 8}}, r"unknown key 'network\.init_filter'; did you mean 'init_filte"),
        (
            "unet",
            {"network": {"kind": "segrenet"}},
            r"network\.kind must be one of unet, dynunet, segresnet, swinunetr",
        ),
        ("unet", {"network": {"kind": "dynunet"}}, r"key 'network\.kernel_size' is missing"),
    ],
)
def test_changes_that_a_network_cannot_take_are_refused(
    plan: Plan, name: NetworkName, changes: dict[str, Any], phrase: str
) -> None:
    with pytest.raises(ConfigError, match=phrase):
        override_plan(with_network(plan, name, device="cpu"), changes, source="my.yaml")


def test_changes_to_another_kind_leave_the_old_one_s_settings_behind(plan: Plan) -> None:
    sizes = {"patch_size": [40, 56, 24]}
    changes = {"network": {"kind": "segresnet", "init_filters": 8}, "training": sizes, "inference": sizes}
    changed = override_plan(plan, changes, source="my.yaml")
    shape = {"spatial_dims": 3, "in_channels": 1, "out_channels": 3}
    assert changed.network == SegResNetConfig.model_validate(shape | {"init_filters": 8})
    assert {key for key in changed.reasons if key.startswith("network.")} == {"network.kind", "network.init_filters"}
