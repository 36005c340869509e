from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ingest.sources import block, run_ingest, write_ct, write_nifti, write_rtstruct


def write_people(source: Path, *, count: int = 4, **values: Any) -> None:
    """Several people in folders and studies of their own, each with a mask; values may be lists, one entry a person."""
    for number in range(count):
        own = {key: value[number] if isinstance(value, list) else value for key, value in values.items()}
        folder = source / f"person{number}"
        write_ct(folder / "CT", seed=number, **{"PatientName": "", "PatientBirthDate": "", **own})
        mask = block(slice(2, 5 + number)).astype(np.uint8)
        write_nifti(folder / "liver_mask.nii.gz", mask)


def warnings(folder: Path, tmp_path: Path, **options: Any) -> list[str]:
    report = run_ingest(folder, tmp_path / "out", **options).report
    return [one.message for one in report.warnings if one.warning == "shared_id"]


@pytest.mark.parametrize(
    "patient_id",
    ["ANONYMOUS", "anonymized", "Anonymisiert", "0000", "0", "UNKNOWN", "none", "XXXX", "123456", "99999", "TEST",
     "Patient", "de-identified", "NN", "No ID", "PatientID",
     "xxx", "XX", "ZZZ", "ANON^ANON", "anonanon", "Unknown Unknown", "test_test", "no name no id"],
)  # fmt: skip
def test_placeholder_over_several_studies_warns_with_a_remedy(tmp_path: Path, patient_id: str) -> None:
    write_people(tmp_path / "src", PatientID=patient_id)
    (warning,) = warnings(tmp_path / "src", tmp_path)
    assert "got 4 studies in 4 folders under an id that reads like a placeholder" in warning
    assert "the option patients-from of medseg ingest" in warning


def test_placeholder_in_place_of_a_name_warns(tmp_path: Path) -> None:
    write_people(tmp_path / "src", PatientID="", PatientName="ANONYMOUS")
    assert len(warnings(tmp_path / "src", tmp_path)) == 1


@pytest.mark.parametrize(
    "patient_id",
    ["MRN-4711", "LUNG1-001", "00815", "STS_003", "Patient 7", "anna", "sub-02", "4711", "111", "AB-AB", "Nana", "x7"],
)
def test_ids_of_one_person_do_not_warn(tmp_path: Path, patient_id: str) -> None:
    write_people(tmp_path / "src", PatientID=patient_id)
    assert warnings(tmp_path / "src", tmp_path) == []


def test_placeholder_of_a_single_study_does_not_warn(tmp_path: Path) -> None:
    write_people(tmp_path / "src", count=1, PatientID="ANONYMOUS")
    assert warnings(tmp_path / "src", tmp_path) == []


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"PatientSex": ["M", "F", "M", "F"]}, "has both sexes"),
        ({"PatientBirthDate": ["19500101", "19620203", "19500101", ""]}, "has 2 birth dates"),
        ({"PatientAge": ["034Y", "071Y", "034Y", "034Y"]}, "has ages that do not belong to one person"),
        (
            {
                "PatientAge": ["034Y", "034Y", "034Y", "034Y"],
                "StudyDate": ["20100101", "20200101", "20100101", "20100101"],
            },
            "has ages that do not belong to one person",
        ),
    ],
)
def test_headers_that_disagree_about_a_person_warn(tmp_path: Path, values: dict[str, Any], reason: str) -> None:
    write_people(tmp_path / "src", PatientID="MRN-4711", **values)
    (warning,) = warnings(tmp_path / "src", tmp_path)
    assert reason in warning
    assert not any(secret in warning for secret in ("4711", "1950", "034Y"))


def test_person_who_grows_older_does_not_warn(tmp_path: Path) -> None:
    dates = ["20100101", "20120601", "20150101", "20200101"]
    ages = ["034Y", "036Y", "039Y", "044Y"]
    write_people(
        tmp_path / "src", PatientID="MRN-4711", PatientSex=["M", "M", "", "O"], StudyDate=dates, PatientAge=ages
    )
    assert warnings(tmp_path / "src", tmp_path) == []


@pytest.mark.parametrize("choice", ["folder", "study"])
def test_folders_or_studies_become_patients_and_keep_their_labels(tmp_path: Path, choice: str) -> None:
    write_people(tmp_path / "src", PatientID="ANONYMOUS")
    done = run_ingest(tmp_path / "src", tmp_path / "out", patients_from=choice)
    assert len({case.patient_id for case in done.manifest.cases}) == 4
    assert all(case.label for case in done.manifest.cases)
    assert done.report.warnings == ()
    assert [int((done.label(case) > 0).any(axis=(1, 2)).sum()) for case in done.manifest.cases] != []


def test_label_objects_follow_their_images_into_folders(tmp_path: Path) -> None:
    for number in range(2):
        images = write_ct(tmp_path / "src" / "batch" / f"p{number}" / "CT", seed=number, PatientID="0000")
        write_rtstruct({"GTV": (2, 5, 2, 5, 1, 3)}, images, tmp_path / "src" / "batch" / f"p{number}" / "rs")
    done = run_ingest(tmp_path / "src", tmp_path / "out", patients_from="folder")
    assert len({case.patient_id for case in done.manifest.cases if case.label}) == 2
    assert done.report.is_clean
