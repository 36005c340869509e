"""Targets in files: told apart by their kind, and old files are read as they are."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from medseg.errors import CheckpointError
from medseg.inference.classification.card import ClassifierCard
from medseg.inference.segmentation import load_card, save_card
from medseg.manifest import manifest_target
from medseg.records import Manifest
from medseg.targets import ExclusiveLabels, SliceClasses, Target, VoxelTarget
from pydantic import TypeAdapter, ValidationError

from tests.inference.conftest import CardBuilder, build_card

__all__ = ["build_card"]  # the fixture
TARGETS: TypeAdapter[Any] = TypeAdapter(Target)


@pytest.mark.parametrize(
    "target",
    [
        ExclusiveLabels(labels={"background": 0, "liver": 4}),
        ExclusiveLabels(labels={"background": 0, "liver": 4}, ignore=5),
        SliceClasses(classes=("liver",), source="csv"),
        SliceClasses(kind="multiclass", classes=("background", "liver"), min_area_mm2=2.5),
    ],
)
def test_target_comes_back_from_json_as_what_it_was(target: ExclusiveLabels | SliceClasses) -> None:
    assert TARGETS.validate_json(TARGETS.dump_json(target)) == target


def test_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="'exclusive_labels', 'multilabel', 'multiclass'"):
        TARGETS.validate_python({"kind": "regions", "labels": {}})


def test_slice_classes_are_written_as_they_always_were() -> None:
    target = SliceClasses(classes=("liver",))
    expected = '{"source":"label","kind":"multilabel","classes":["liver"],"min_area_mm2":0.0}'
    assert target.model_dump_json() == expected
    assert ClassifierCard.model_fields["targets"].annotation is SliceClasses


def test_card_holds_labels_alone_and_its_target_is_made_of_them(build_card: CardBuilder, tmp_path: Any) -> None:
    card = build_card()
    save_card(card, tmp_path)
    content = json.loads((tmp_path / "model.json").read_text())
    assert content["labels"] == {"background": 0, "spleen": 3, "liver": 7}
    assert "target" not in content
    target = load_card(tmp_path).target
    assert (target.values, target.channels) == ((0, 3, 7), 3)


def test_card_whose_labels_share_a_value_is_refused(build_card: CardBuilder, tmp_path: Any) -> None:
    save_card(build_card(), tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace('"liver": 7', '"liver": 3'))
    with pytest.raises(CheckpointError, match="labels must have different values from 0"):
        load_card(tmp_path)


def test_card_whose_network_has_another_number_of_channels_is_refused(build_card: CardBuilder) -> None:
    with pytest.raises(ValidationError, match=r"network\.out_channels must be the number of labels 2, got 3"):
        build_card(labels={"background": 0, "spleen": 3})


def test_target_of_a_manifest_lists_its_labels_by_value() -> None:
    manifest = Manifest(name="a", channels=("CT",), labels={"spleen": 9, "background": 0, "liver": 2}, cases=())
    target: VoxelTarget = manifest_target(manifest)
    assert target.structures == tuple(manifest.foreground) == ("liver", "spleen")
    assert target.channels == len(manifest.labels)


def test_targets_are_known_without_torch() -> None:
    code = "import sys, medseg.targets, medseg.manifest; print(sorted({'torch', 'monai', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
