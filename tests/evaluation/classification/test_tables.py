"""Tables read back by pandas and json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from medseg.errors import DeliveryError
from medseg.evaluation.classification import (
    slice_columns,
    study_columns,
    summarise_scores,
    write_classification,
    write_slices,
    write_studies,
)
from medseg.records import Failure, SliceScores

from tests.evaluation.classification.made_scores import case_of, random_choices

CLASSES = ("liver", "spleen")


@pytest.fixture
def scores() -> list[SliceScores]:
    return [
        case_of([[0.9, 0.1], [0.4, 0.2]], [[1, 0], [-1, 0]], case_id="a", patient_id="p", positions=[-12.5, -10.0]),
        case_of([[0.25, 0.75]], None, case_id="b, left", patient_id="q"),
    ]


def test_slices_come_back_with_unknown_truth_blank(tmp_path: Path, scores: list[SliceScores]) -> None:
    write_slices(scores, tmp_path / "slices.csv", classes=CLASSES)
    table = pd.read_csv(tmp_path / "slices.csv")
    assert list(table) == [
        "case_id", "axis", "slice", "position_mm",
        "probability_liver", "probability_spleen", "truth_liver", "truth_spleen",
    ]  # fmt: skip
    assert table["case_id"].tolist() == ["a", "a", "b, left"]
    assert table["slice"].tolist() == [0, 1, 0]
    assert table["position_mm"].tolist() == [-12.5, -10.0, 0.0]
    assert table["axis"].tolist() == [1, 1, 1]
    assert table["probability_spleen"].tolist() == [0.1, 0.2, 0.75]
    np.testing.assert_array_equal(table["truth_liver"], [1, np.nan, np.nan])
    np.testing.assert_array_equal(table["truth_spleen"], [0, 0, np.nan])
    assert list(slice_columns(scores, classes=CLASSES)) == list(table)


def test_studies_come_back_with_unknown_truth_blank(tmp_path: Path, scores: list[SliceScores]) -> None:
    write_studies(scores, tmp_path / "studies.csv", classes=CLASSES)
    table = pd.read_csv(tmp_path / "studies.csv")
    assert table["case_id"].tolist() == ["a", "b, left"]
    assert table["patient_id"].tolist() == ["p", "q"]
    assert table["slices"].tolist() == [2, 1]
    assert table["probability_liver"].tolist() == [0.9, 0.25]
    np.testing.assert_array_equal(table["truth_liver"], [1, np.nan])
    np.testing.assert_array_equal(table["truth_spleen"], [0, np.nan])
    assert study_columns(scores, classes=CLASSES)["truth_spleen"] == [0, None]


def test_no_case_leaves_a_header(tmp_path: Path) -> None:
    write_slices([], tmp_path / "slices.csv", classes=("liver",))
    assert (tmp_path / "slices.csv").read_text() == "case_id,axis,slice,position_mm,probability_liver,truth_liver\n"


def test_summary_holds_contract_failures_notes_and_null_for_what_does_not_exist(
    tmp_path: Path, scores: list[SliceScores]
) -> None:
    summary = summarise_scores(scores, classes=CLASSES, kind="multilabel", resamples=50)
    path = tmp_path / "classification.json"
    write_classification(
        summary, path, failures=[Failure("c", "predict", "case c: too short")], notes={"temperature": 2}
    )
    content = json.loads(path.read_text())
    assert content["slice"]["classes"][1]["note"] == "only negatives"
    assert content["slice"]["classes"][1]["measures"]["auroc"]["value"] is None
    assert content["study"]["classes"][0]["positives"] == 1
    assert content["failures"] == [{"case_id": "c", "stage": "predict", "reason": "case c: too short"}]
    assert content["temperature"] == 2
    assert (content["kind"], content["classes"], content["specificity"]) == ("multilabel", list(CLASSES), 0.95)
    assert "drawn with replacement" in content["contract"]["interval"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["classification.json"]


def test_multi_class_summary_holds_the_confusion_matrix(tmp_path: Path) -> None:
    summary = summarise_scores(random_choices(0), classes=tuple("abcdefg"), kind="multiclass", resamples=50)
    write_classification(summary, tmp_path / "c.json")
    confusion = json.loads((tmp_path / "c.json").read_text())["slice"]["choice"]["confusion"]
    assert np.sum(confusion) == 80 - 4


def test_folder_that_cannot_be_made_is_an_error_that_says_so(tmp_path: Path, scores: list[SliceScores]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeliveryError, match=r"slices.csv: must be writable"):
        write_slices(scores, tmp_path / "file" / "slices.csv", classes=CLASSES)
