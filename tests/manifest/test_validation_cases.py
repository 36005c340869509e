"""Cases under `validation` are training cases with a fold, and no list of cases vanishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from medseg.manifest import assign_folds, load_manifest, split_fold
from medseg.manifest.load import open_manifest

from tests.manifest.datasets import own_content, write_dataset
from tests.manifest.test_msd import entry_of, msd_content


def with_validation(**changes: Any) -> dict[str, Any]:
    return msd_content(validation=[entry_of(7), entry_of(8), entry_of(9)], **changes)


def test_validation_is_fold_0_and_training_fold_1(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest, _ = load_manifest(write_dataset(tmp_path, with_validation()))
    training, validation = split_fold(assign_folds(manifest), 0)
    assert [case.case_id for case in training] == ["prostate_00", "prostate_01"]
    assert [case.case_id for case in validation] == ["c7", "c8", "c9"]
    assert validation[0].label == "labelsTr/c7.nii.gz"
    assert len(manifest.select("test")) == 2
    assert "3 case(s) listed under validation are training cases of fold 0, 2 listed under training of fold 1" in (
        caplog.text
    )


def test_folds_that_are_given_stay(tmp_path: Path) -> None:
    content = with_validation(training=[entry_of(0, fold=0), entry_of(1, fold=2)])
    content["validation"][0]["fold"] = 2
    manifest, _ = load_manifest(write_dataset(tmp_path, content))
    assert [case.fold for case in manifest.select("training")] == [0, 2, 2, 3, 3]


def test_validation_of_our_own_form_is_read_too(tmp_path: Path) -> None:
    content = own_content(validation=[{"case_id": "v", "patient_id": "p8", "image": "images/v.nii.gz"}])
    file = open_manifest(write_dataset(tmp_path, content))
    assert {case.case_id: case.fold for case in file.manifest.cases} == {"c0": 1, "c1": 1, "c2": 1, "v": 0, "t0": None}
    assert not file.is_own


def test_empty_validation_changes_nothing(tmp_path: Path) -> None:
    manifest, _ = load_manifest(write_dataset(tmp_path, msd_content(validation=[])))
    assert manifest == load_manifest(write_dataset(tmp_path / "plain", msd_content()))[0]


@pytest.mark.parametrize("listed", [[entry_of(5), entry_of(6)], ["imagesTr/c5.nii.gz", "imagesTr/c6.NII.GZ"]])
def test_other_list_of_cases_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture, listed: list[Any]) -> None:
    load_manifest(write_dataset(tmp_path, msd_content(holdout=listed, authors=["A. B.", "C. D."])))
    assert "2 case(s) listed under holdout are not read" in caplog.text
    assert "authors" not in caplog.text
