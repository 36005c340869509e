"""What stops every other verb is for the audit to tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from medseg.audit import load_for_audit
from medseg.audit.risks import read_risks
from medseg.errors import ManifestError
from medseg.manifest import load_manifest

from tests.audit.dirty import Dataset, findings, only
from tests.manifest.datasets import own_content, write_dataset


def test_patients_that_cross_are_refused_by_others_and_told_here(dataset: Dataset) -> None:
    dataset.set("phantom_07_0", patient_id="patient_01")
    with pytest.raises(ManifestError, match="must not be in the test set"):
        load_manifest(dataset.folder)
    assert [found.check for found in findings(dataset.audit())] == ["test_in_training"]


def test_repeated_case_ids_are_told_apart(tmp_path: Path) -> None:
    content = own_content()
    content["training"] += [dict(content["training"][0]), {**content["training"][0], "case_id": "c0+2"}]
    loaded = load_for_audit(write_dataset(tmp_path, content))
    assert [case.case_id for case in loaded.manifest.cases] == ["c0", "c1", "c2", "c0+3", "c0+2", "t0"]
    (found,) = loaded.findings
    assert (found.check, found.severity, found.case_id, found.others) == ("repeated_id", "error", "c0+3", ("c0",))
    assert found.is_fixable


def test_image_in_training_and_test_of_a_decathlon_dataset_is_told(dataset: Dataset) -> None:
    content = dataset.content
    training = [{"image": entry["image"], "label": entry["label"]} for entry in content["training"]]
    plain = {
        "name": "decathlon",
        "modality": {"0": "MRI"},
        "labels": {str(value): name for name, value in content["labels"].items()},
        "training": training,
        "test": [training[0]["image"]],
    }
    (dataset.folder / "dataset.json").write_text(json.dumps(plain))
    found = {one.check: one for one in findings(dataset.audit())}
    assert found["repeated_id"].case_id == "phantom_00_0+2"
    assert found["duplicate_image"].fact.endswith("of another patient, in training") is False
    assert found["duplicate_image"].severity == "error"


def test_other_rules_of_a_manifest_still_stop(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, own_content(labels={"background": 1}))
    with pytest.raises(ManifestError, match="label 'background' must be 0"):
        load_for_audit(folder)


def test_risks_of_the_intake_are_warnings(dataset: Dataset) -> None:
    risks = [{"case_id": "phantom_01_0", "risk": "burned_in_text", "message": "text may be there; look at it"}]
    (dataset.folder / "ingest.json").write_text(json.dumps({"risks": risks}))
    found = only(dataset.audit())
    assert (found.check, found.severity, found.case_id) == ("risk", "warning", "phantom_01_0")
    assert (found.fact, found.remedy) == ("burned in text: text may be there", "look at it")


def test_risk_without_a_remedy_gets_one(tmp_path: Path) -> None:
    (tmp_path / "ingest.json").write_text(json.dumps({"risks": [{"case_id": "a", "risk": "face", "message": "seen"}]}))
    (found,) = read_risks(tmp_path)
    assert (found.fact, found.remedy) == ("face: seen", "settle it before the data leave the building")


@pytest.mark.parametrize("content", [{}, {"risks": []}])
def test_intake_without_risks_has_none(tmp_path: Path, content: dict[str, list[str]]) -> None:
    (tmp_path / "ingest.json").write_text(json.dumps(content))
    assert read_risks(tmp_path) == []


@pytest.mark.parametrize("text", ["{", '{"risks": [{"case_id": "a"}]}', '{"risks": [3]}', "[]"])
def test_damaged_intake_report_is_a_warning(tmp_path: Path, text: str) -> None:
    (tmp_path / "ingest.json").write_text(text)
    (found,) = read_risks(tmp_path)
    assert (found.severity, found.case_id) == ("warning", None)
    assert "ingest.json must list risks" in found.fact
