"""A case flatters a model if any case of its patient was trained on."""

from __future__ import annotations

from medseg.records import Case, Manifest
from medseg.runs.seen import seen_in_training


def manifest_of(**patients: str) -> Manifest:
    cases = tuple(
        Case(case_id=name, patient_id=patient, images=(f"{name}.nii.gz",)) for name, patient in patients.items()
    )
    return Manifest(name="made up", channels=("MR",), labels={"background": 0, "liver": 1}, cases=cases)


def test_other_studies_of_a_trained_patient_are_seen_too() -> None:
    manifest = manifest_of(a="p1", b="p1", c="p2", d="p3")
    assert seen_in_training({"a"}, manifest, {"a", "b", "c"}) == ["a", "b"]


def test_cases_that_are_not_measured_do_not_count() -> None:
    assert seen_in_training(["a"], manifest_of(a="p1", b="p1"), {"b"}) == ["b"]


def test_model_of_another_dataset_has_seen_nothing() -> None:
    assert seen_in_training(["x"], manifest_of(a="p1"), {"a"}) == []
