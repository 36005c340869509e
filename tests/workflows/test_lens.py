from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.networks import count_multiply_adds, count_parameters
from medseg.networks.lens import receptive_fields
from medseg.networks.segmentation import UNet, build_network
from medseg.planning import (
    CaseFingerprint,
    Fingerprint,
    Plan,
    SliceChoices,
    make_plan,
    make_slice_plan,
    override_plan,
    save_plan,
)
from medseg.records import Case, Manifest
from medseg.runs.lens.narrow import narrowed, width_of
from medseg.targets import SliceClasses
from PIL import Image

from tests.conftest import Medseg
from tests.networks.segmentation.small_nets import settings_of, small_net

CASE = Case(case_id="a", patient_id="a", images=("a.nii.gz",), label="b.nii.gz")
MANIFEST = Manifest(name="made up", channels=("CT",), labels={"background": 0, "liver": 1}, cases=(CASE,))


def fingerprint(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], *, is_2d: bool = False
) -> Fingerprint:
    case = CaseFingerprint(shape, spacing_mm, np.linspace(-100, 300, 101)[np.newaxis])
    return Fingerprint((case,), (), is_2d)


def small_plan(**changes: Any) -> Plan:
    plan = make_plan(fingerprint((16, 16, 8), (1.0, 1.0, 3.0)), MANIFEST, device="cpu")
    return override_plan(plan, changes, source="test") if changes else plan


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    save_plan(small_plan(), tmp_path / "plan.yaml")
    return tmp_path / "plan.yaml"


def test_plan_of_a_unet_is_printed_written_and_drawn(medseg: Medseg, plan_file: Path) -> None:
    folder = plan_file.parent / "lens"
    outcome = medseg("lens", plan_file, "--out", folder)
    assert (outcome.code, outcome.err) == (0, "")
    plan = small_plan()
    network = UNet(plan.network)
    lens = json.loads((folder / "lens.json").read_text(encoding="utf-8"))
    assert lens["parameters"] == count_parameters(network)
    assert lens["multiply_adds"] == count_multiply_adds(network, (1, 1, *plan.training.patch_size))
    assert lens["stages"][0]["field"] == [5, 5, 1]
    assert lens["stages"][0]["field_mm"] == [5, 5, 3]
    assert lens["stages"][1]["spacing_mm"] == [2, 2, 3]
    assert lens["stages"][-1]["field_mm"] is None
    assert lens["field_mm"] == [size * mm for size, mm in zip(lens["field"], (1, 1, 3), strict=True)]
    assert lens["covers_patch"] == [True, True, True]
    assert all(0 < size <= patch for size, patch in zip(lens["effective_field"], plan.training.patch_size, strict=True))
    assert lens["layers"][0]["kernel"] == [3, 3, 1]
    assert list(lens["gradient_norms"])[-1] == "decoder.heads.0"
    assert not any("shortcut" in name for name in lens["gradient_norms"])
    lines = outcome.out.splitlines()
    assert " ".join(lines[0].split()) == (
        "stage channels voxels spacing mm field voxels field mm parameters multiply-adds"
    )
    assert lines[1].split()[:7] == ["encoder", "0", "16", "16×16×8", "1×1×3", "5×5×1", "5×5×3"]
    assert "for a patch of 16×16×8 voxels (16×16×24 mm)" in outcome.out
    assert "it covers the patch" in outcome.out
    assert "hold 95.45 % of the gradient (8 images), at least" in outcome.out
    assert "cut down" not in outcome.out
    assert "encoder.stages.0.0.first.0" in outcome.out
    for name in ("receptive_field", "gradient_flow"):
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.size[0] > 800


def test_run_s_folder_stands_for_its_plan_and_a_seed_repeats(medseg: Medseg, plan_file: Path) -> None:
    first, again = medseg("lens", plan_file.parent), medseg("lens", plan_file, "--seed", 0)
    assert first.code == 0
    assert first.out == again.out
    assert medseg("lens", plan_file, "--seed", 1).out != first.out


def test_plan_of_a_classifier_is_read_as_one(medseg: Medseg, tmp_path: Path) -> None:
    choices = SliceChoices(targets=SliceClasses(classes=("liver", "other")), architecture="resnet18", context=1)
    plan = make_slice_plan(fingerprint((40, 48, 20), (2.0, 2.0, 3.0)), MANIFEST, choices, device="cpu")
    save_plan(plan, tmp_path / "plan.yaml")
    outcome = medseg("lens", tmp_path / "plan.yaml", "--out", tmp_path / "lens")
    assert (outcome.code, outcome.err) == (0, "")
    lens = json.loads((tmp_path / "lens" / "lens.json").read_text(encoding="utf-8"))
    assert lens["patch"] == list(plan.slices.size)
    assert lens["spacing_mm"] == [2, 2]
    assert [stage["name"] for stage in lens["stages"]] == ["1/2", "1/4", "1/8", "1/16", "1/32", "head"]
    assert lens["field"] == [435, 435]  # Araujo et al. 2019, table 1: ResNet-18
    assert "theoretical field of the last map: 435×435 voxels (870×870 mm)" in outcome.out


def test_field_smaller_than_the_patch_is_said_along_which_axes(medseg: Medseg, tmp_path: Path) -> None:
    plan = make_plan(fingerprint((64, 16, 1), (1.0, 1.0, 1.0), is_2d=True), MANIFEST, device="cpu")
    network = {"channels": [4], "strides": [[1, 1]], "kernels": [[3, 3]], "blocks": [4], "decoder_blocks": []}
    save_plan(override_plan(plan, {"network": network}, source="test"), tmp_path / "plan.yaml")
    outcome = medseg("lens", tmp_path / "plan.yaml", "--out", tmp_path / "lens")
    assert outcome.code == 0
    assert "field of the output: 17×17 voxels; it is smaller than the patch along i\n" in outcome.out
    assert " mm" not in outcome.out
    lens = json.loads((tmp_path / "lens" / "lens.json").read_text(encoding="utf-8"))
    assert lens["covers_patch"] == [False, True]
    assert lens["effective_field_is_cut"] == [False, True]
    assert lens["effective_field_mm"] == [None, None]


def test_large_plan_is_cut_down_and_says_how(medseg: Medseg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medseg.runs.lens.measure._FIELD_COST", 30e6)
    monkeypatch.setattr("medseg.runs.lens.measure._FLOW_COST", 30e6)
    monkeypatch.setattr("medseg.runs.lens.measure._MOST_VOXELS", 16**3)
    sizes = {"patch_size": [32, 32, 16]}
    save_plan(small_plan(training=sizes, inference=sizes), tmp_path / "plan.yaml")
    outcome = medseg("lens", tmp_path / "plan.yaml")
    assert outcome.code == 0
    cuts = [line for line in outcome.out.splitlines() if line.startswith("cut down: ")]
    assert [line.removeprefix("cut down: ") for line in cuts] == [
        "the effective field was measured on 16×16×16 of 32×32×16 voxels",
        "the effective field was measured with 4 channels at the finest stage, where the plan has 16",
        "gradients were measured on 8×4×4 of 32×32×16 voxels",
    ]
    assert "(1 images)" in outcome.out


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("slices: {}", "key 'network' is missing"),
        ("network: {}", "key 'training' is missing"),
        ("- 1", "must hold a mapping"),
    ],
)
def test_broken_plan_is_a_usage_error(medseg: Medseg, tmp_path: Path, text: str, phrase: str) -> None:
    (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")
    outcome = medseg("lens", tmp_path / "plan.yaml")
    assert outcome.code == 2
    assert phrase in outcome.err


def test_folder_without_a_plan_is_a_usage_error(medseg: Medseg, tmp_path: Path) -> None:
    outcome = medseg("lens", tmp_path)
    assert outcome.code == 2
    assert "must be readable YAML" in outcome.err


def plan_of(kind: str, folder: Path) -> Path:
    """The plan of a small network of a kind for pictures."""
    plan = make_plan(fingerprint((64, 32, 1), (1.0, 1.0, 1.0), is_2d=True), MANIFEST, device="cpu")
    save_plan(override_plan(plan, {"network": settings_of(kind, spatial_dims=2)}, source="test"), folder / "plan.yaml")
    return folder / "plan.yaml"


@pytest.mark.parametrize(("kind", "name"), [("dynunet", "DynUNet"), ("segresnet", "SegResNet")])
def test_plan_of_a_convolutional_network_of_monai_has_a_field(
    medseg: Medseg, tmp_path: Path, kind: str, name: str
) -> None:
    outcome = medseg("lens", plan_of(kind, tmp_path), "--out", tmp_path / "lens")
    assert (outcome.code, outcome.err) == (0, "")
    lens = json.loads((tmp_path / "lens" / "lens.json").read_text(encoding="utf-8"))
    network = build_network(small_net(kind, spatial_dims=2, out_channels=2))
    assert lens["network"] == f"2D {name} of 3 stages"
    assert lens["parameters"] == count_parameters(network)
    assert lens["multiply_adds"] == count_multiply_adds(network, (1, 1, 64, 32))
    assert [stage["name"] for stage in lens["stages"]][:3] == ["1/1", "1/2", "1/4"]
    assert lens["field"] == list(receptive_fields(network).output.size)
    assert "theoretical field of the output: " in outcome.out


def test_plan_of_a_transformer_says_that_it_has_no_theoretical_field(medseg: Medseg, tmp_path: Path) -> None:
    outcome = medseg("lens", plan_of("swinunetr", tmp_path), "--out", tmp_path / "lens")
    assert (outcome.code, outcome.err) == (0, "")
    assert "theoretical field: none can be derived (receptive field: a network must take one path" in outcome.out
    assert "effective field before training: " in outcome.out
    lens = json.loads((tmp_path / "lens" / "lens.json").read_text(encoding="utf-8"))
    network = build_network(small_net("swinunetr", spatial_dims=2, out_channels=2))
    assert lens["parameters"] == count_parameters(network)
    assert lens["multiply_adds"] == count_multiply_adds(network, (1, 1, 64, 32))
    assert (lens["field"], lens["layers"], lens["covers_patch"]) == (None, [], [])
    assert all(0 < size <= patch for size, patch in zip(lens["effective_field"], (64, 32), strict=True))


@pytest.mark.parametrize("kind", ["unet", "dynunet", "segresnet", "swinunetr"])
def test_network_with_half_the_channels_is_one_of_its_kind(kind: str) -> None:
    doubled = {"unet": "channels", "dynunet": "filters", "segresnet": "init_filters", "swinunetr": "feature_size"}
    small = small_net(kind, spatial_dims=2)
    value = getattr(small, doubled[kind])
    twice = tuple(2 * each for each in value) if isinstance(value, tuple) else 2 * value
    assert narrowed(small_net(kind, spatial_dims=2, **{doubled[kind]: twice})) == small
    assert narrowed(small) is None
    assert 2 * width_of(small) == width_of(small_net(kind, spatial_dims=2, **{doubled[kind]: twice}))
