"""`classifier.json` says all that a use of the weights needs, or is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from medseg.errors import CheckpointError, ConfigError
from medseg.inference.classification import Calibration, load_classifier_card, save_classifier_card
from medseg.targets import SliceClasses

from tests.inference.classification.knowing import card_of


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"calibration": Calibration()},
        {"targets": SliceClasses(kind="multiclass", classes=("background", "leber ä"), min_area_mm2=3.5)},
        {"shift": (2.302585092994046, -0.1)},
    ],
    ids=["calibrated", "not calibrated", "multiclass", "shifted"],
)
def test_card_comes_back_as_it_was_written(tmp_path: Path, changes: dict[str, Any]) -> None:
    card = card_of(**changes)
    save_classifier_card(card, tmp_path)
    assert load_classifier_card(tmp_path) == card


def test_missing_card_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"classifier\.json must be readable, got.*medseg classify train, copied"):
        load_classifier_card(tmp_path)


def broken(content: dict[str, Any], how: str) -> bytes:
    text = json.dumps(content)
    if how == "cut short":
        return text[: len(text) // 2].encode()
    if how == "another file":
        return b"[1, 2]"
    if how == "not text":
        return b"\xff\xfe\x00"
    if how == "empty":
        return b""
    if how == "a key gone":
        del content["targets"]
    elif how == "an old key":
        content["threshold"] = 0.5
    elif how == "no temperature":
        content["calibration"]["temperature"] = 0
    elif how == "a class too many":
        content["targets"]["classes"] = ["liver", "spleen", "lung"]
    elif how == "a shift too few":
        content["shift"] = [0.0]
    elif how == "a channel too many":
        content["channels"] = ["MR", "CT"]
    return json.dumps(content).encode()


BROKEN = [
    "cut short", "another file", "not text", "empty", "a key gone", "an old key", "no temperature", "a class too many",
    "a shift too few", "a channel too many",
]  # fmt: skip


@pytest.mark.parametrize("how", BROKEN)
def test_broken_card_is_refused_with_the_remedy(tmp_path: Path, how: str) -> None:
    save_classifier_card(card_of(), tmp_path)
    path = tmp_path / "classifier.json"
    path.write_bytes(broken(json.loads(path.read_text(encoding="utf-8")), how))
    with pytest.raises(CheckpointError, match=r"classifier\.json must be readable, got.*medseg classify train, copied"):
        load_classifier_card(tmp_path)


@pytest.mark.parametrize(
    ("asked", "given"), [(0.5, 0.9), (0.9, 0.9), (0.9000001, 0.95), (0.93, 0.95), (0.95, 0.95), (0.99, 0.99)]
)
def test_gate_takes_the_listed_sensitivity_that_is_at_least_the_one_asked_for(asked: float, given: float) -> None:
    assert card_of().gate_point(asked).sensitivity == given


def test_sensitivity_above_all_listed_ones_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"sensitivity must be at most 0\.99, .* got 0\.999"):
        card_of().gate_point(0.999)


def test_classifier_without_validation_cases_has_no_gate() -> None:
    with pytest.raises(ConfigError, match=r"got none from 0 case\(s\); train it to its end"):
        card_of(calibration=Calibration()).gate_point(0.9)
