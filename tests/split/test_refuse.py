"""Splits that would leak, or lose folds, are refused with what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from medseg.errors import ManifestError
from medseg.records import Case, Manifest
from medseg.split import SplitConfig, check_audited, check_splittable, split_manifest

from tests.split.cohorts import case_of, cohort_of, parts_of

TWO_FOLDS = SplitConfig(folds=2)


def pair(first: dict[str, Any], second: dict[str, Any], *, patients: tuple[str, str] = ("p", "q")) -> Manifest:
    """Two cases, and two harmless ones."""
    cases = [case_of("a", patients[0]), case_of("b", patients[1]), case_of("c", "r"), case_of("d", "s")]
    cases[0], cases[1] = cases[0].model_copy(update=first), cases[1].model_copy(update=second)
    return cohort_of(cases)


def test_manifest_without_patients_is_refused_with_the_remedy() -> None:
    manifest = cohort_of([case_of("a", "a"), case_of("b", "b")], has_patients=False)
    message = (
        "patient_id must be given to keep each patient in one fold, got none; add it .* set cases_are_patients if no"
    )
    with pytest.raises(ManifestError, match=message):
        split_manifest(manifest, TWO_FOLDS)


def test_cases_are_patients_where_the_user_knows_it() -> None:
    manifest = cohort_of([case_of("a", "a"), case_of("b", "b")], has_patients=False)
    split = split_manifest(manifest, SplitConfig(folds=2, cases_are_patients=True)).manifest
    assert sorted(parts_of(split).values()) == ["fold 0", "fold 1"]
    assert not split.has_patients


def test_patient_ids_go_before_cases_are_patients() -> None:
    cases = [case_of(f"c{n}", f"p{n // 2}") for n in range(8)]
    parts = parts_of(split_manifest(cohort_of(cases), SplitConfig(folds=2, cases_are_patients=True)).manifest)
    assert all(parts[f"c{2 * n}"] == parts[f"c{2 * n + 1}"] for n in range(4))


def test_folds_that_exist_are_refused_and_it_is_told_what_forcing_loses() -> None:
    manifest = cohort_of([case_of(f"c{n}", f"p{n}", fold=n % 3) for n in range(6)])
    message = r"must have no folds yet, got 3 folds of 6 cases; use the option force .* can no longer be compared"
    with pytest.raises(ManifestError, match=message):
        split_manifest(manifest, TWO_FOLDS)
    forced = split_manifest(manifest, SplitConfig(folds=2, force=True)).manifest
    assert sorted(parts_of(forced).values()) == ["fold 0"] * 3 + ["fold 1"] * 3


def test_fewer_patients_than_folds_are_refused() -> None:
    manifest = cohort_of([case_of(f"c{n}", f"p{n // 3}") for n in range(6)])
    with pytest.raises(ManifestError, match="folds must be at most the number of training patients 2, got 3"):
        check_splittable(manifest, SplitConfig(folds=3))


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ({}, {"images": ("a.nii.gz",)}, "image file"),
        ({}, {"images": ("b0.nii.gz", "./x/../a.nii.gz")}, "image file"),
        ({"sha256": {"a.nii.gz": "ab" * 32}}, {"sha256": {"b.nii.gz": "AB" * 32}}, r"image content \(sha256\)"),
        ({"study_uid": "1.2.3"}, {"study_uid": "1.2.3"}, "study_uid"),
        ({"series_uid": "1.2.3"}, {"series_uid": "1.2.3"}, "series_uid"),
        (
            {"images": ("a.hdr",), "sha256": {"a.hdr": "0" * 64, "a.img": "1" * 64}},
            {"images": ("b.hdr",), "sha256": {"b.hdr": "2" * 64, "b.img": "1" * 64}},
            r"image content \(sha256\)",
        ),
    ],
)
def test_one_scan_under_two_patients_is_refused_with_both_cases(
    first: dict[str, Any], second: dict[str, Any], what: str
) -> None:
    message = (
        f"case b: its scan must belong to one patient, got the same {what} as case a of another patient; run medseg"
    )
    with pytest.raises(ManifestError, match=message):
        split_manifest(pair(first, second), TWO_FOLDS)
    split_manifest(pair(first, second, patients=("p", "p")), TWO_FOLDS)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"sha256": {"l.nii.gz": "0" * 64}}, {"sha256": {"l.nii.gz": "0" * 64}}),
        ({"study_uid": "1.2.3"}, {"series_uid": "1.2.3"}),
        ({"study_uid": ""}, {"study_uid": ""}),
        (
            {"images": ("a.hdr",), "sha256": {"a.hdr": "0" * 64, "a.img": "1" * 64}},
            {"images": ("b.hdr",), "sha256": {"b.hdr": "0" * 64, "b.img": "2" * 64}},
        ),
    ],
    ids=["labels", "study and series", "empty", "headers"],
)
def test_what_two_patients_may_share_is_accepted(first: dict[str, Any], second: dict[str, Any]) -> None:
    split_manifest(pair(first, second), TWO_FOLDS)


def test_patient_in_training_and_test_is_refused() -> None:
    cases = [case_of("a", "p"), case_of("t", "p", split="test"), case_of("b", "q")]
    with pytest.raises(ManifestError, match="case a: its patient must not be in the test set, got test case t"):
        split_manifest(cohort_of(cases), TWO_FOLDS)


def write_audit(folder: Path, check: str, severity: str = "error", *, others: tuple[str, ...] = ("a",)) -> None:
    finding = {
        "check": check,
        "severity": severity,
        "case_id": "b",
        "others": others,
        "message": "case b: as a; drop it",
    }
    (folder / "audit.json").write_text(json.dumps({"findings": [finding]}), encoding="utf-8")


CASES: list[Case] = [case_of("a", "p"), case_of("b", "q")]


def test_duplicate_that_the_audit_found_is_refused(tmp_path: Path) -> None:
    write_audit(tmp_path, "duplicate_image")
    with pytest.raises(ManifestError, match=r"case b: as a; drop it \(as medseg audit found\)"):
        check_audited(cohort_of(CASES), tmp_path)


def test_near_duplicate_that_the_audit_found_is_a_warning(tmp_path: Path) -> None:
    write_audit(tmp_path, "near_duplicate")
    assert check_audited(cohort_of(CASES), tmp_path) == ("case b: as a; drop it (as medseg audit found)",)


def test_audit_of_duplicates_that_were_mended_is_no_obstacle(tmp_path: Path) -> None:
    write_audit(tmp_path, "duplicate_image")
    assert check_audited(cohort_of([case_of("a", "p"), case_of("b", "p")]), tmp_path) == ()
    assert check_audited(cohort_of([case_of("b", "q")]), tmp_path) == ()


@pytest.mark.parametrize(("check", "severity"), [("duplicate_label", "error"), ("duplicate_image", "warning")])
def test_other_findings_do_not_matter(tmp_path: Path, check: str, severity: str) -> None:
    write_audit(tmp_path, check, severity)
    assert check_audited(cohort_of(CASES), tmp_path) == ()


def test_dataset_without_audit_is_split_all_the_same(tmp_path: Path) -> None:
    assert check_audited(cohort_of(CASES), tmp_path) == ()


@pytest.mark.parametrize("text", ["{", "[]", '{"findings": 7}', '{"findings": [{}]}'])
def test_audit_that_cannot_be_read_is_a_warning(tmp_path: Path, text: str) -> None:
    (tmp_path / "audit.json").write_text(text)
    (warning,) = check_audited(cohort_of(CASES), tmp_path)
    assert "audit.json could not be read" in warning
