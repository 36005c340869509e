"""Slices of two patients, or of two frames of reference, are never one volume."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.scans.dicom import SeriesRules, find_series, quiet_dicom, read_instance, read_series
from pydicom.filereader import dcmread

from tests.dicom_files import assert_same_voxels, found_in, save, write_series
from tests.grids import grid

UID = "1.2.826.0.1.3680043.8.498.77"


def test_frames_of_reference_that_differ_in_every_file_tell_nothing(tmp_path: Path) -> None:
    array = np.arange(12 * 10 * 8, dtype=np.int16).reshape(12, 10, 8)
    for number, data in enumerate(write_series(array, Geometry(array.shape, np.eye(4)), tmp_path)):
        data.FrameOfReferenceUID = f"1.2.3.{number}"
        save(data, tmp_path / f"{number:05d}")
    with quiet_dicom():
        (found,) = find_series([one for path in tmp_path.iterdir() if (one := read_instance(path))], SeriesRules())
    assert found.problems == ()


@pytest.mark.parametrize(
    ("changed", "reported"),
    [
        ({"PatientID": "OTHER", "PatientName": "Other^Otto"}, "one patient"),
        ({"FrameOfReferenceUID": "1.2.3"}, "one frame"),
    ],
)
def test_slabs_that_adjoin_under_one_series_uid_are_refused(
    tmp_path: Path, changed: dict[str, str], reported: str
) -> None:
    array = np.arange(12 * 10 * 8, dtype=np.int16).reshape(12, 10, 8)
    for folder, z, values in (("a", 30.0, {}), ("b", 46.0, changed)):
        affine = np.diag([-1.0, -1.0, 2.0, 1.0])
        affine[2, 3] = z
        write_series(array, Geometry(array.shape, affine), tmp_path / folder, series_uid=UID, **values)
    with quiet_dicom():
        instances = [one for path in sorted(tmp_path.rglob("*")) if path.is_file() and (one := read_instance(path))]
        (found,) = find_series(instances, SeriesRules())
    assert [problem.kind for problem in found.problems] == ["mixed_sources"]
    assert reported in found.problems[0].message


SLAB = grid((6, 5, 8), spacing_mm=(0.8, 1.1, 3.0), angles=(0.2, -0.1, 0.3), origin_mm=(-12, 5, 40), axcodes="LPS")
NOBODY: dict[str, Any] = {"PatientID": "", "PatientName": "", "PatientBirthDate": ""}


def behind(geometry: Geometry) -> Geometry:
    """The grid whose slices adjoin."""
    affine = geometry.affine.copy()
    affine[:3, 3] += geometry.shape[2] * affine[:3, 2]
    return Geometry(geometry.shape, affine)


def write_slabs(folder: Path, *, first_number: int | None = 1, **values: Any) -> list[np.ndarray]:
    """Two folders under one series UID whose slabs adjoin; the second one's files are numbered from a number on."""
    arrays = []
    for name, number, geometry in (("a", 1, SLAB), ("b", first_number, behind(SLAB))):
        array = np.random.default_rng(ord(name)).integers(0, 99, SLAB.shape).astype(np.int16)
        for k, dataset in enumerate(write_series(array, geometry, folder / name, series_uid=UID, **(NOBODY | values))):
            dataset.InstanceNumber = None if first_number is None else number + k
            save(dataset, folder / name / f"{k:05d}")
        arrays.append(array)
    return arrays


@pytest.mark.parametrize(
    "patient", [{}, {"PatientID": "ANON"}, {"PatientID": "000", "PatientName": "Anonymous^"}], ids=str
)
def test_adjoining_slabs_of_nobody_are_told_apart_by_folder(tmp_path: Path, patient: dict[str, str]) -> None:
    arrays = write_slabs(tmp_path, **patient)
    found = found_in(tmp_path)
    assert [one.told_apart_by for one in found] == [("folder",)] * 2
    assert "names no patient: each folder is a volume of its own" in found[0].notes[0]
    for one, array, geometry in zip(found, arrays, (SLAB, behind(SLAB)), strict=True):
        assert_same_voxels(read_series(one), array, geometry)


def test_slabs_of_nobody_at_the_same_places_are_told_apart_by_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        array = np.random.default_rng(ord(name)).integers(0, 99, SLAB.shape).astype(np.int16)
        write_series(array, SLAB, tmp_path / name, series_uid=UID, **NOBODY)
    assert [(one.told_apart_by, one.problems) for one in found_in(tmp_path)] == [(("folder",), ())] * 2


def test_slabs_of_nobody_from_two_dates_are_told_apart_by_folder(tmp_path: Path) -> None:
    """Although their files are numbered as if they belonged together."""
    write_slabs(tmp_path, first_number=9)
    for path in (tmp_path / "b").iterdir():
        dataset = dcmread(path)
        dataset.StudyDate = "20200101"
        dataset.save_as(path)
    assert [len(one.frames) for one in found_in(tmp_path)] == [8, 8]


def test_series_of_nobody_that_is_spread_over_folders_is_one_volume(tmp_path: Path) -> None:
    """As on a disc, whose folders hold a number of files each."""
    arrays = write_slabs(tmp_path, first_number=9)
    (found,) = found_in(tmp_path)
    whole = Geometry((*SLAB.shape[:2], 16), SLAB.affine)
    assert_same_voxels(read_series(found), np.concatenate(arrays, axis=2), whole)


@pytest.mark.parametrize("first_number", [1, 9, None])
def test_series_of_a_patient_that_is_spread_over_folders_is_one_volume(
    tmp_path: Path, first_number: int | None
) -> None:
    arrays = write_slabs(tmp_path, first_number=first_number, PatientID="4711")
    (found,) = found_in(tmp_path)
    whole = Geometry((*SLAB.shape[:2], 16), SLAB.affine)
    assert_same_voxels(read_series(found), np.concatenate(arrays, axis=2), whole)


def test_folders_of_nobody_without_numbers_are_refused_until_they_are_ingested_apart(tmp_path: Path) -> None:
    arrays = write_slabs(tmp_path, first_number=None)
    (found,) = found_in(tmp_path)
    with pytest.raises(ScanError, match=r"must come from one folder, got 2 .* ingest these folders one by one"):
        read_series(found)
    assert_same_voxels(read_series(found_in(tmp_path / "b")[0]), arrays[1], behind(SLAB))


def test_two_exports_of_nobody_in_one_folder_are_refused_until_they_are_moved_apart(tmp_path: Path) -> None:
    arrays = write_slabs(tmp_path)
    for path in (tmp_path / "b").iterdir():
        path.rename(tmp_path / "a" / f"b{path.name}")
    (found,) = found_in(tmp_path)
    with pytest.raises(ScanError, match=r"must come from one export, got 2 .* move the slices of each patient into"):
        read_series(found)
    for path in (tmp_path / "a").glob("b*"):
        path.rename(tmp_path / "b" / path.name)
    assert_same_voxels(read_series(found_in(tmp_path / "a")[0]), arrays[0], SLAB)


@pytest.mark.parametrize("numbers", [[1] * 8, [None] * 8, [1, 2, 3, 4, 5, 6, 7, 7]], ids=str)
def test_numbers_that_say_little_do_not_refuse_a_folder_of_nobody(tmp_path: Path, numbers: list[int | None]) -> None:
    array = np.random.default_rng(0).integers(0, 99, SLAB.shape).astype(np.int16)
    for k, dataset in enumerate(write_series(array, SLAB, tmp_path, **NOBODY)):
        dataset.InstanceNumber = numbers[k]
        save(dataset, tmp_path / f"{k:05d}")
    assert_same_voxels(read_series(found_in(tmp_path)[0]), array, SLAB)


def test_copy_of_a_folder_of_nobody_counts_once(tmp_path: Path) -> None:
    write_series(np.zeros(SLAB.shape, np.int16), SLAB, tmp_path / "a", series_uid=UID, **NOBODY)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (found,) = found_in(tmp_path)
    assert (found.problems, len(found.frames), len(found.left_out)) == ((), 8, 8)
