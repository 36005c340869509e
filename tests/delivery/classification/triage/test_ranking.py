from __future__ import annotations

import csv
import math
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from medseg.delivery.classification.triage import rank_by_probability, save_ranking
from medseg.errors import ConfigError, DeliveryError
from medseg.records import SliceScores

from tests.delivery.classification.triage.studies import CLASSES, peaks, scores_of

HOSTILE = 'a,"b"\n=1+1;<script>'


def table_of(path: Path, studies: list[SliceScores], classes: tuple[str, ...] = CLASSES) -> list[dict[str, str]]:
    save_ranking(studies, path, classes=classes, background="background")
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_highest_foreground_class_ranks_and_is_named() -> None:
    studies = [
        scores_of("low", [[1.0, 0.1, 0.2]]),
        scores_of("high", [[0.0, 0.3, 0.9]]),
        scores_of("middle", [[0.0, 0.5, 0.4]]),
    ]
    assert rank_by_probability(studies, CLASSES, "background") == [
        ("high", 0.9, "oedema"),
        ("middle", 0.5, "tumour"),
        ("low", 0.2, "oedema"),
    ]
    assert rank_by_probability(studies, CLASSES, None)[0] == ("low", 1.0, "background")


def test_probability_of_the_study_ranks_not_that_of_its_slices() -> None:
    pooled = scores_of("pooled", [[0, 0.9, 0]], study=[0, 0.2, 0])
    assert rank_by_probability([pooled, scores_of("b", [[0, 0.3, 0]])], CLASSES, "background")[0].case_id == "b"


def test_equals_follow_each_other_by_case_id() -> None:
    studies = [scores_of(name, [[0, 0.5, 0.5]]) for name in ("c", "a", "b")]
    assert [one.case_id for one in rank_by_probability(studies, CLASSES, "background")] == ["a", "b", "c"]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", ["slice", "study", "position"])
def test_study_without_numbers_comes_first_without_a_probability(bad: float, place: str) -> None:
    lost = scores_of("z", peaks(3, tumour=(1, 0.1)).tolist())
    {"slice": lost.probabilities[0], "study": lost.study, "position": lost.positions_mm}[place][1] = bad
    first, second = rank_by_probability([scores_of("a", [[0, 1, 0]]), lost], CLASSES, "background")
    assert (first.case_id, first.class_name) == ("z", "")
    assert math.isnan(first.probability)
    assert second == ("a", 1.0, "tumour")


def test_background_without_a_number_does_no_harm() -> None:
    study = scores_of("a", [[math.nan, 0.4, 0.1]], study=[math.nan, 0.4, 0.1])
    assert rank_by_probability([study], CLASSES, "background") == [("a", 0.4, "tumour")]


def test_no_study_makes_an_empty_ranking(tmp_path: Path) -> None:
    assert rank_by_probability([], CLASSES, "background") == []
    assert table_of(tmp_path / "studies.csv", []) == []


def test_table_holds_rank_class_key_slices_and_every_probability(tmp_path: Path) -> None:
    studies = [
        scores_of("a", [[0, 0.25, 0.125]]),
        scores_of(HOSTILE, peaks(20, tumour=(2, 0.75), oedema=(12, 0.5)).tolist()),
    ]
    first, second = table_of(tmp_path / "studies.csv", studies)
    assert first == {
        "rank": "1",
        "case_id": HOSTILE.replace("\n", "\ufffd"),
        "probability": "0.75",
        "class": "tumour",
        "key_slices": "2:tumour:0.75 12:oedema:0.5",
        "probability_tumour": "0.75",
        "probability_oedema": "0.5",
    }
    assert (second["rank"], second["case_id"], second["key_slices"]) == ("2", "a", "0:tumour:0.25")


def test_study_without_numbers_has_a_blank_line_on_top(tmp_path: Path) -> None:
    lost = scores_of("z", [[0, np.nan, 0]])
    first, second = table_of(tmp_path / "studies.csv", [scores_of("a", [[0, 0.5, 0]]), lost])
    assert first == dict.fromkeys(first, "") | {"case_id": "z"}
    assert second["rank"] == "1"


def test_key_slices_can_be_read_back_whatever_the_classes_are_called(tmp_path: Path) -> None:
    classes = ("background", "left lung: 5% air", "größe")
    table = peaks(20, tumour=(2, 0.75), oedema=(12, 0.5)).tolist()
    (row,) = table_of(tmp_path / "studies.csv", [scores_of("a", table)], classes)
    read = [re.fullmatch(r"(\d+):([^:\s]+):([\d.]+)", part) for part in row["key_slices"].split(" ")]
    assert [unquote(found[2]) for found in read if found] == ["left lung: 5% air", "größe"]


def test_scores_of_other_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="give the classes of the classifier that made them"):
        rank_by_probability([scores_of("a", [[0.1, 0.2, 0.3]])], ("x", "y"), None)
    with pytest.raises(ConfigError, match="classes must have one beside"):
        save_ranking([], tmp_path / "studies.csv", classes=("background",), background="background")
