from __future__ import annotations

import pytest
from medseg.audit.finding import Finding
from medseg.audit.patients import check_patients_apart
from medseg.records import Case, Split

from tests.manifest.datasets import manifest_of


def case(name: str, patient: str, *, fold: int | None = None, split: Split = "training") -> Case:
    return Case(case_id=name, patient_id=patient, images=(f"{name}.nii.gz",), fold=fold, split=split)


def check(*cases: Case, has_patients: bool = True) -> list[Finding]:
    return check_patients_apart(manifest_of(list(cases), has_patients=has_patients))


def test_patients_in_one_place_each_are_fine() -> None:
    assert (
        check(case("a", "p", fold=0), case("b", "p", fold=0), case("c", "q", fold=1), case("t", "r", split="test"))
        == []
    )


def test_patient_in_two_folds_is_an_error_with_all_folds_and_cases() -> None:
    (found,) = check(*(case(name, "p", fold=fold) for name, fold in (("a", 2), ("b", 0), ("c", 2))))
    assert (found.check, found.severity, found.case_id, found.others) == ("crossing_folds", "error", "a", ("b", "c"))
    assert found.fact == "patient p must be in one fold, got folds 0, 2"
    assert found.is_fixable


def test_cases_without_a_fold_are_in_no_fold() -> None:
    cases = [case("a", "p", fold=0), case("b", "p", fold=1), case("n", "p"), case("t", "p", split="test")]
    assert {found.check: found.others for found in check(*cases)} == {
        "partial_folds": ("n",),
        "crossing_folds": ("b",),
        "test_in_training": ("b", "n", "t"),
    }


def test_patient_in_training_and_test_is_an_error() -> None:
    (found,) = check(case("a", "p"), case("t", "p", split="test"))
    assert (found.check, found.severity, found.case_id, found.others) == ("test_in_training", "error", "a", ("t",))
    assert not found.is_fixable


def test_folds_of_some_training_cases_only_are_an_error() -> None:
    (found,) = check(case("a", "p", fold=0), case("b", "q"), case("t", "r", split="test"))
    assert (found.check, found.case_id, found.others) == ("partial_folds", None, ("b",))
    assert "for all 2 training cases or none, got 1 without" in found.fact


@pytest.mark.parametrize(
    "ids",
    [
        ("STS_002", "sts-2"),
        ("patient 7", "Patient_07", "PATIENT7"),
        ("0042", "42"),
        ("Müller.1", "müller 1"),
    ],
)
def test_ids_that_differ_in_writing_are_a_warning(ids: tuple[str, ...]) -> None:
    (found,) = check(*(case(f"c{number}", patient) for number, patient in enumerate(ids)))
    assert (found.check, found.severity, found.case_id) == ("similar_ids", "warning", None)
    assert ", ".join(ids) in found.fact


@pytest.mark.parametrize("ids", [("p1_2", "p12"), ("a1", "b1"), ("10", "100"), ("p0", "p"), ("-", "_")])
def test_ids_that_differ_in_more_are_fine(ids: tuple[str, str]) -> None:
    assert check(*(case(f"c{number}", patient) for number, patient in enumerate(ids))) == []


def test_missing_patient_ids_are_a_warning() -> None:
    (found,) = check(case("a", "a"), case("b", "b"), has_patients=False)
    assert (found.check, found.severity) == ("no_patients", "warning")
