"""plan.yaml: written, read, changed and digested."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from medseg.errors import ConfigError
from medseg.planning import (
    DatasetProfile,
    Fingerprint,
    LabelProfile,
    Plan,
    load_plan,
    make_plan,
    override_plan,
    plan_digest,
    save_plan,
)
from medseg.planning.edit_rules import check_edits
from medseg.records import Manifest

NAN, INF = float("nan"), float("inf")
CT = {"kind": "ct", "clip_hu": [0, 9], "mean_hu": 1, "std_hu": 1}
COARSE = {"share": 0.2, "factor": [2, 2, 1], "patch_size": [24, 32, 20], "batch_size": 2}


def test_plan_comes_back_as_it_went(plan: Plan, tmp_path: Path) -> None:
    save_plan(plan, tmp_path / "plan.yaml")
    assert load_plan(tmp_path / "plan.yaml") == plan


def test_each_reason_stands_above_its_setting(plan: Plan, tmp_path: Path) -> None:
    save_plan(plan, tmp_path / "plan.yaml")
    lines = (tmp_path / "plan.yaml").read_text(encoding="utf-8").splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith("  patch_size:"))
    assert lines[place - 1] == f"  # {plan.reasons['training.patch_size']}"
    assert lines[place] == "  patch_size: [40, 52, 20]"
    assert sum(line.startswith("  # ") for line in lines) == len(plan.reasons)


def test_misspelt_key_is_refused_with_the_nearest_right_one(plan: Plan, tmp_path: Path) -> None:
    content = plan.model_dump(mode="json")
    content["training"]["learning_rat"] = 0.1
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"unknown key 'training\.learning_rat'; did you mean 'learning_rate'"):
        load_plan(tmp_path / "plan.yaml")


@pytest.mark.parametrize(
    ("text", "phrase"),
    [("a: [", "must be readable YAML"), ("- 1", "must hold a mapping"), ("dataset: x", "key 'network' is missing")],
)
def test_broken_plan_is_refused(tmp_path: Path, text: str, phrase: str) -> None:
    (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=phrase):
        load_plan(tmp_path / "plan.yaml")


def test_missing_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be readable YAML"):
        load_plan(tmp_path / "gone.yaml")


def test_override_changes_what_it_names_and_nothing_else(plan: Plan) -> None:
    changes = {"training": {"seed": 7, "augment": {"noise": 0.0}}, "inference": {"overlap": 0.25}}
    changed = override_plan(plan, changes, source="settings")
    assert (changed.training.seed, changed.training.augment.noise, changed.inference.overlap) == (7, 0.0, 0.25)
    back: dict[str, Any] = {
        "training": {"seed": plan.training.seed, "augment": {"noise": plan.training.augment.noise}},
        "inference": {"overlap": plan.inference.overlap},
    }
    restored = override_plan(changed, back, source="settings")
    assert restored.model_dump(exclude={"reasons"}) == plan.model_dump(exclude={"reasons"})
    assert plan.training.seed == 0


def test_reason_of_an_overridden_setting_says_by_what(plan: Plan) -> None:
    changed = override_plan(plan, {"training": {"patch_size": [16, 16, 16]}}, source="my.yaml")
    assert changed.reasons["training.patch_size"] == "set by my.yaml"


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"training": {"sed": 1}}, r"my\.yaml: unknown key 'training\.sed'; did you mean 'seed'"),
        ({"trainin": {}}, "unknown key 'trainin'; did you mean 'training'"),
        ({"training": {"augment": {"gama_share": 1}}}, "did you mean 'gamma_share'"),
        ({"training": {"batch_size": 0}}, "training.batch_size must hold: .*greater than or equal to 1, got 0"),
        ({"training": {"patch_size": [8, 8, 4]}}, "training.patch_size must leave more than one voxel"),
        ({"inference": {"patch_size": [8, 8, 4]}}, "inference.patch_size must leave more than one voxel"),
        ({"network": {"in_channels": 2}}, r"must have one entry per network\.in_channels, 2, got 1"),
        ({"network": {"strides": [[1, 1, 1]]}}, "network: strides must have 4 entries for 4 stages, got 1"),
        ({"network": {"kernels": [[3, 3, 3]]}}, "network: kernels must have 4 entries for 4 stages, got 1"),
        ({"network": {"blocks": [1, 1]}}, "network: blocks must have 4 entries for 4 stages, got 2"),
        ({"network": {"channels": [8, 16]}}, "network: strides must have 2 entries for 2 stages, got 4"),
        ({"network": {"decoder_blocks": [1, -1, 1]}}, r"network: decoder_blocks must be at least 0, got \[1, -1, 1\]"),
        ({"preprocess": {"spacing_mm": [1, 0, 1]}}, r"preprocess\.spacing_mm\.1 must hold: .*greater than 0, got 0"),
        ({"preprocess": {"normalisation": [CT | {"clip_hu": [NAN, 9]}]}}, "normalisation.0: clip_hu must rise"),
        ({"preprocess": {"normalisation": [CT | {"mean_hu": INF}]}}, "mean_hu must hold: .*a finite number"),
        (
            {"training": {"coarse_start": COARSE | {"patch_size": [8, 8, 4]}}},
            "coarse_start.patch_size must leave more than one voxel",
        ),
        ({"training": {"learning_rate": INF}}, "training.learning_rate must hold: .*a finite number"),
        ({"training": {"dice_weight": INF}}, "training.dice_weight must hold: .*a finite number"),
        ({"training": {"extra_patches": {"liver": 0}}}, "training.extra_patches.liver must hold: .*equal to 1, got 0"),
    ],
)
def test_override_that_breaks_a_rule_is_refused(plan: Plan, changes: dict[str, Any], phrase: str) -> None:
    with pytest.raises(ConfigError, match=phrase):
        override_plan(plan, changes, source="my.yaml")


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"training": {"coarse_start": COARSE | {"factor": [1, 1, 1]}}}, "coarse_start: the largest factor must be"),
        ({"training": {"coarse_start": COARSE | {"factor": [9, 1, 1]}}}, r"from 2 to 8, got \(9, 1, 1\)"),
        ({"training": {"augment": {"mirror_axes": [1, 1]}}}, r"augment\.mirror_axes must name each axis once"),
        ({"inference": {"mirror_axes": [0, 0]}}, r"inference\.mirror_axes must name each axis once, got \[0, 0\]"),
        ({"inference": {"patch_size": [400, 56, 20]}}, r"inference\.patch_size must be at most 8 times training"),
    ],
)
def test_new_plan_must_keep_more_rules_than_one_of_before(plan: Plan, changes: dict[str, Any], phrase: str) -> None:
    check_edits(plan, source="plan")
    with pytest.raises(ConfigError, match=f"my.yaml: .*{phrase}"):
        check_edits(override_plan(plan, changes, source="my.yaml"), source="my.yaml")


def test_extra_patches_are_replaced_as_a_whole(plan: Plan) -> None:
    rare = override_plan(plan, {"training": {"extra_patches": {"liver": 3, "spleen": 2}}}, source="a file")
    changed = {"training": {"extra_patches": {"spleen": 5}}}
    assert override_plan(rare, changed, source="a file").training.extra_patches == {"spleen": 5}
    for none in ({}, None):
        changed = {"training": {"extra_patches": none}}
        assert override_plan(rare, changed, source="a file").training.extra_patches == {}


@pytest.mark.parametrize("name", ["tumour\nnew", "a\x85b", "a\u2028b", "\U0001f600 tumour", "Gehirn: links, #2"])
def test_plan_is_read_back_whatever_labels_are_called(plan: Plan, tmp_path: Path, name: str) -> None:
    label = LabelProfile(cases=1, median_ml=2.0, components=1.0, neighbours=(name,))
    profile = DatasetProfile(cases=3, labels={name: label}, structured_cases=1)
    told = plan.model_copy(
        update={"fingerprint": profile, "reasons": plan.reasons | {"preprocess.spacing_mm": f"holds {name} well"}}
    )
    save_plan(told, tmp_path / "plan.yaml")
    assert load_plan(tmp_path / "plan.yaml") == told


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"inference": {"mirror_axes": [2]}}, r"inference\.mirror_axes must be 0 or 1 for a 2D network, got \[2\]"),
        ({"training": {"augment": {"mirror_axes": [2]}}}, r"training\.augment\.mirror_axes must be 0 or 1 for a 2D"),
        (
            {
                "training": {
                    "coarse_start": {"share": 0.2, "factor": [2, 2, 2], "patch_size": [32, 32, 1], "batch_size": 2}
                }
            },
            r"training\.coarse_start\.factor must end in 1 for a 2D network, got \(2, 2, 2\)",
        ),
    ],
)
def test_picture_network_has_no_third_axis(
    build_fingerprint: Callable[..., Fingerprint],
    build_manifest: Callable[..., Manifest],
    changes: dict[str, Any],
    phrase: str,
) -> None:
    flat = make_plan(build_fingerprint([(64, 64, 1)], [(1, 1, 1)], is_2d=True), build_manifest(), device="cpu")
    with pytest.raises(ConfigError, match=phrase):
        check_edits(override_plan(flat, changes, source="settings"), source="settings")


def test_picture_network_needs_a_patch_of_one_slice(
    build_fingerprint: Callable[..., Fingerprint], build_manifest: Callable[..., Manifest]
) -> None:
    flat = make_plan(build_fingerprint([(64, 64, 1)], [(1, 1, 1)], is_2d=True), build_manifest(), device="cpu")
    with pytest.raises(ConfigError, match=r"training\.patch_size must end in 1 for a 2D network"):
        override_plan(flat, {"training": {"patch_size": [64, 64, 2]}}, source="settings")


def test_digest_ignores_reasons_and_sees_every_setting(plan: Plan) -> None:
    digest = plan_digest(plan)
    assert len(digest) == 64
    assert plan_digest(plan.model_copy(update={"reasons": {}})) == digest
    assert plan_digest(override_plan(plan, {"training": {"seed": 1}}, source="s")) != digest
    assert plan_digest(override_plan(plan, {"inference": {"overlap": 0.3}}, source="s")) != digest
    assert plan_digest(override_plan(plan, {"network": {"norm": "batch"}}, source="s")) != digest


def test_digest_survives_the_file(plan: Plan, tmp_path: Path) -> None:
    save_plan(plan, tmp_path / "plan.yaml")
    assert plan_digest(load_plan(tmp_path / "plan.yaml")) == plan_digest(plan)


def test_digest_of_a_plan_that_knows_no_later_settings_is_as_it_was(plan: Plan) -> None:
    """So that a run of an earlier version can be resumed: the content then, and its SHA-256."""
    network = plan.network.model_copy(update={"skips": "concatenated"})
    earlier = plan.model_copy(update={"network": network})
    content = earlier.model_dump_json(
        exclude={"reasons": True, "expected": True, "network": {"kind", "skips"}, "training": {"coarse_start"}}
    )
    assert plan_digest(earlier) == hashlib.sha256(content.encode()).hexdigest()
    assert plan_digest(plan.model_copy(update={"network": network.model_copy(update={"skips": "added"})})) != (
        plan_digest(earlier)
    )
