"""Folders of images and of masks with names in any language: each file is a patient, and doubts are told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from medseg.ingest.patient_name import patient_names

from tests.ingest.sources import Ingested, block, run_ingest, voxels, write_ct, write_nifti

MASK = block(slice(1, 5), slice(2, 6), slice(1, 4)).astype(np.uint8)
ROOT = Path("/export")


def write_pairs(source: Path, images: str, masks: str, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        write_nifti(source / images / f"{name}.nii.gz", voxels(seed=number))
        write_nifti(source / masks / f"{name}.nii.gz", MASK)


def patients(scans: Sequence[str], masks: Sequence[str]) -> list[str]:
    paths = [ROOT / f"{name}.nii.gz" for name in scans]
    found = patient_names(paths, ROOT, masks=[ROOT / f"{name}.nii.gz" for name in masks])
    return [found[path].patient for path in paths]


def warnings(done: Ingested) -> list[str]:
    return [one.message for one in done.report.warnings if one.warning == "shared_folder"]


@pytest.mark.parametrize(
    ("images", "masks", "name"),
    [
        ("Bilder", "Masken", "patient"),
        ("图像", "标注", "病人"),
        ("снимки", "маски", "пациент"),
        ("صور", "أقنعة", "مريض"),
        ("भारत/चित्र", "भारत/मुखौटे", "रोगी"),
        ("CT", "Konturen", "P"),
    ],
)
def test_each_file_of_an_image_folder_in_any_language_is_a_patient(
    tmp_path: Path, images: str, masks: str, name: str
) -> None:
    write_pairs(tmp_path / "src", images, masks, [f"{name}{number}" for number in range(3)])
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert len({case.patient_id for case in done.manifest.cases}) == 3
    assert all(case.label for case in done.manifest.cases)
    assert warnings(done) == []


@pytest.mark.parametrize(
    ("scans", "masks", "expected"),
    [
        (["Bilder/a", "Bilder/b"], ["Masken/a", "Masken/b"], ["a", "b"]),
        (["Bilder/a_0000", "Bilder/a_0001"], ["Masken/a"], ["a", "a"]),
        (["CT/a", "PET/a"], ["Masken/a"], ["a", "a"]),
        (["CT/a", "PET/a"], ["CT Masken/a", "PET Masken/a"], ["a", "a"]),
        (["P1/Bilder/a", "P2/Bilder/a"], ["P1/Masken/a", "P2/Masken/a"], ["P1", "P2"]),
        (["Bilder/a", "Bilder/b"], ["Masken/a"], ["Bilder", "Bilder"]),
        (["P1/early", "P1/late"], ["P1_seg/early", "P1_seg/late"], ["P1", "P1"]),
        (["P1/early", "P2/early"], ["M1/early", "M2/early"], ["P1", "P2"]),
        (["P1/early", "P2/early"], ["M1/early"], ["P1", "P2"]),
        (["P1/early", "P2/early"], ["P2/early_mask"], ["P1", "P2"]),
        (["Bilder/a", "Bilder/b"], ["Leser1/a", "Leser1/b", "Leser2/a", "Leser2/b"], ["a", "b"]),
        (["Bilder/a", "Bilder/b"], ["Masken/a_mask", "Masken/b_mask"], ["a", "b"]),
        (["site/P1/image", "site/P2/image"], ["site/P1/mask", "site/P2/mask"], ["site/P1", "site/P2"]),
        (["P1/ct", "P2/ct"], ["Masken/ct"], ["P1", "P2"]),
    ],
)
def test_only_folders_with_a_mask_of_each_scan_beside_them_are_no_patients(
    scans: Sequence[str], masks: Sequence[str], expected: Sequence[str]
) -> None:
    assert patients(scans, masks) == list(expected)


@pytest.mark.parametrize("names", [("anna_1", "anna_2"), ("病人1", "病人2"), ("meier", "schmidt")])
def test_folder_that_may_hold_several_patients_warns_with_a_remedy_that_helps(
    tmp_path: Path, names: Sequence[str]
) -> None:
    for number, name in enumerate(names):
        write_nifti(tmp_path / "src" / "Klinik" / f"{name}.nii.gz", voxels(seed=number))
    first = run_ingest(tmp_path / "src", tmp_path / "out")
    (warning,) = warnings(first)
    assert "with files as patients (the option patients-from of medseg ingest)" in warning
    assert not any(name in warning for name in names)
    assert len({case.patient_id for case in first.manifest.cases}) == 1
    again = run_ingest(tmp_path / "src", tmp_path / "again", patients_from="file")
    assert len({case.patient_id for case in again.manifest.cases}) == len(names)
    assert warnings(again) == []


@pytest.mark.parametrize(
    "files",
    [
        ["P1/ct", "P1/pet", "P2/ct"],
        ["P1/visit_1", "P1/visit_2", "P2/visit_1"],
        ["P1/P1_1", "P1/P1_2", "P2/P2_1"],
        ["P1/early", "P1/late", "P2/early"],
        ["images/a_1", "images/a_2"],
    ],
)
def test_scans_of_one_patient_do_not_warn(tmp_path: Path, files: Sequence[str]) -> None:
    for number, name in enumerate(files):
        write_nifti(tmp_path / "src" / f"{name}.nii.gz", voxels(seed=number))
    assert warnings(run_ingest(tmp_path / "src", tmp_path / "out")) == []


def test_files_as_patients_leave_series_and_nameless_files_with_theirs(tmp_path: Path) -> None:
    source = tmp_path / "src"
    write_ct(source / "A" / "CT", PatientID="4711")
    write_nifti(source / "A" / "extra_1.nii.gz", voxels(seed=1))
    for number in (2, 3):
        write_nifti(source / f"P{number}" / "ct.nii.gz", voxels(seed=number))
    done = run_ingest(source, tmp_path / "out", patients_from="file")
    assert len({case.patient_id for case in done.manifest.cases}) == 4
