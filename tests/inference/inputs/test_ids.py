"""Names of cases: short, unique on every file system, and the same in the next run."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medseg.inference.inputs.case_ids import folded, unique_ids
from medseg.manifest.case_names import is_safe_name, safe_name

from tests.inference.inputs.studies import find
from tests.ingest.sources import write_ct

LADDERS = st.lists(st.lists(st.sampled_from(["a", "A", "b", "a_1", "a_2", "é", "e\u0301"]), min_size=1), max_size=8)
NOBODY = {"PatientID": "", "PatientName": "", "PatientBirthDate": ""}


@given(LADDERS)
def test_ids_are_unique_for_file_systems_that_know_neither_case_nor_forms_of_accents(names: list[list[str]]) -> None:
    ids = unique_ids(names)
    assert len(ids) == len(names)
    assert len({folded(one) for one in ids}) == len(ids)
    assert ids == unique_ids(names)


def test_shortest_names_that_differ_are_taken() -> None:
    names = [["scan", "p1_scan"], ["SCAN", "p2_SCAN"], ["other", "p2_other"], ["x"], ["x"]]
    assert unique_ids(names) == ["p1_scan", "p2_SCAN", "other", "x", "x_2"]


@given(st.text())
def test_safe_names_are_safe_and_safe_ones_stay(text: str) -> None:
    assert is_safe_name(safe_name(text))
    assert not is_safe_name(text) or safe_name(text) == text


@pytest.mark.parametrize(
    ("text", "expected"), [("a:b", "a_b"), ("ca\udce9", "ca_"), (" ..x", "_x"), ("..", "_"), ("", "unnamed")]
)
def test_unsafe_signs_become_underscores(text: str, expected: str) -> None:
    assert safe_name(text) == expected


def test_id_of_a_study_is_the_patient_s_with_date_number_and_folder_as_needed(tmp_path: Path) -> None:
    write_ct(tmp_path / "1", PatientID="A")
    write_ct(tmp_path / "2", PatientID="B/1", StudyDate="20240101")
    write_ct(tmp_path / "3", PatientID="B/1", StudyDate="20240102")
    write_ct(tmp_path / "4", PatientID="C", StudyDate="20240101", SeriesNumber=2)
    write_ct(tmp_path / "5", PatientID="C", StudyDate="20240101", SeriesNumber=3)
    write_ct(tmp_path / "6", PatientID="D", SeriesNumber=2)
    write_ct(tmp_path / "7", PatientID="d", SeriesNumber=2)
    assert [case.case_id for case in find(tmp_path).cases] == [
        "A", "B_1_20240101", "B_1_20240102", "C_20240101_2", "C_20240101_3", "D_20240517_2_6", "d_20240517_2_7",
    ]  # fmt: skip


def test_study_without_a_patient_s_id_is_named_by_its_folder_and_never_by_the_patient_s_name(tmp_path: Path) -> None:
    write_ct(tmp_path / "patient 7" / "CT", PatientID="")
    write_ct(tmp_path / "patient 8" / "2024-01-05" / "CT", **NOBODY)
    assert [case.case_id for case in find(tmp_path).cases] == ["patient_7", "patient_8"]


def test_ids_and_files_are_the_same_in_a_second_run_and_for_a_copy_elsewhere(tmp_path: Path) -> None:
    for number in range(3):
        write_ct(tmp_path / "in" / f"P{number}", PatientID="ANONYMOUS", seed=number)
    shutil.copytree(tmp_path / "in", tmp_path / "moved" / "in")
    first, again, moved = find(tmp_path / "in"), find(tmp_path / "in"), find(tmp_path / "moved" / "in")
    assert [case.case_id for case in first.cases] == [f"ANONYMOUS_20240517_P{number}" for number in range(3)]
    for other in (again, moved):
        assert [case.case_id for case in other.cases] == [case.case_id for case in first.cases]
    assert [case.files for case in again.cases] == [case.files for case in first.cases]


def test_names_of_macs_and_of_other_scripts_are_kept(tmp_path: Path) -> None:
    names = [unicodedata.normalize("NFD", "René"), "निरीक", "scan (1)", "knee#2", "o'neil"]
    for name in names:
        (tmp_path / f"{name}.nii.gz").touch()
    assert {case.case_id for case in find(tmp_path).cases} == set(names)
