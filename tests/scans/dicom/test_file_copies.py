"""Copies of slices count once, under any UID and however they are coded; damaged ones give way to whole ones."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.scans.dicom import read_series
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless, generate_uid

from tests.dicom_files import assert_same_voxels, found_in, save, write_enhanced, write_series
from tests.grids import grid

GRID = grid((7, 9, 12), spacing_mm=(0.8, 1.1, 3.0), angles=(0.2, -0.1, 0.3), origin_mm=(-12, 5, 40), axcodes="LPS")
ARRAY = np.random.default_rng(3).integers(0, 2000, GRID.shape).astype(np.uint16)
RENAMED = "{} file(s) hold the pixels of others at their places under UIDs of their own and were left out as copies"
DAMAGED = "{} file(s) cannot be read and were left out, since whole ones lie at their places"


def write_again(datasets: Iterable[Dataset], folder: Path, **values: object) -> None:
    """Copies under new UIDs."""
    for number, dataset in enumerate(datasets):
        dataset.SOPInstanceUID = generate_uid()
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        save(dataset, folder / f"again{number}")


@pytest.mark.parametrize("slices", [range(3, 7), range(12), [4]], ids=["some", "all", "one"])
@pytest.mark.parametrize("values", [{}, {"ContentTime": "111111"}, {"InstanceNumber": 99}], ids=str)
def test_copies_under_new_uids_count_once(tmp_path: Path, slices: Iterable[int], values: dict[str, object]) -> None:
    datasets = write_series(ARRAY, GRID, tmp_path)
    write_again([datasets[k] for k in slices], tmp_path, **values)
    (found,) = found_in(tmp_path)
    count = len(list(slices))
    assert found.notes == (RENAMED.format(count),)
    assert len(found.left_out) == count
    assert_same_voxels(read_series(found), ARRAY, GRID)


def test_copies_in_another_coding_count_once(tmp_path: Path) -> None:
    datasets = write_series(ARRAY, GRID, tmp_path)
    for k in (2, 3):
        datasets[k].PixelData = (2 * ARRAY[:, :, k].T).astype("<u4").tobytes()
        datasets[k].BitsAllocated, datasets[k].BitsStored, datasets[k].HighBit = 32, 24, 23
        datasets[k].RescaleSlope = 0.5
        datasets[k].SOPInstanceUID = generate_uid()
        save(datasets[k], tmp_path / f"again{k}")
    datasets[6].SOPInstanceUID = generate_uid()
    save(datasets[6], tmp_path / "coded")
    datasets[6].compress(RLELossless, generate_instance_uid=False)
    datasets[6].save_as(tmp_path / "coded")
    (found,) = found_in(tmp_path)
    assert found.notes[0] == RENAMED.format(3)
    assert_same_voxels(read_series(found), ARRAY, GRID)


def test_enhanced_file_under_a_new_uid_counts_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_enhanced(ARRAY, GRID, tmp_path / name, SOPInstanceUID=generate_uid())
    (found,) = found_in(tmp_path)
    assert found.notes == (RENAMED.format(1),)
    assert_same_voxels(read_series(found), ARRAY, GRID)


def test_time_points_whose_empty_slices_are_equal_stay_whole(tmp_path: Path) -> None:
    """Slices above the head hold nothing but zeros at every time point."""
    array = ARRAY.copy()
    array[:, :, -3:] = 0
    for number in range(3):
        lively = array.copy()
        lively[:, :, :-3] += number
        datasets = write_series(lively, GRID, tmp_path / str(number), series_uid="1.2.3")
        for k, dataset in enumerate(datasets):
            dataset.InstanceNumber = number * 12 + k + 1
            save(dataset, tmp_path / str(number) / f"{k:05d}")
    found = found_in(tmp_path)
    assert [len(one.frames) for one in found] == [12] * 3
    assert [one.left_out for one in found] == [()] * 3


def test_slices_with_other_pixels_are_refused_as_no_copies(tmp_path: Path) -> None:
    datasets = write_series(ARRAY, GRID, tmp_path)
    for k in (3, 4, 5, 6):
        datasets[k].PixelData = (ARRAY[:, :, k].T + 1).astype("<u2").tobytes()
    write_again(datasets[3:7], tmp_path)
    (found,) = found_in(tmp_path)
    with pytest.raises(ScanError, match=r"got 4 more that .* \(they are no copies: pixels differ\); keep the files of"):
        read_series(found)
    for number in range(4):
        (tmp_path / f"again{number}").unlink()  # the remedy
    assert_same_voxels(read_series(found_in(tmp_path)[0]), ARRAY, GRID)


def test_copies_among_slices_with_other_pixels_are_counted(tmp_path: Path) -> None:
    datasets = write_series(ARRAY, GRID, tmp_path)
    datasets[6].PixelData = (ARRAY[:, :, 6].T + 1).astype("<u2").tobytes()
    write_again(datasets[3:7], tmp_path)
    with pytest.raises(ScanError, match=r"got 4 more that .* \(3 of them are copies, the others hold other pixels\)"):
        read_series(found_in(tmp_path)[0])


@pytest.mark.parametrize("name", ["0", "z"], ids=["before", "behind"])
@pytest.mark.parametrize("is_renamed", [False, True])
def test_truncated_copy_gives_way_to_the_whole_slice(tmp_path: Path, name: str, is_renamed: bool) -> None:
    datasets = write_series(ARRAY, GRID, tmp_path / "ct")
    if is_renamed:
        datasets[5].SOPInstanceUID = "1.2.3.0" if name == "0" else "2.9"
    save(datasets[5], tmp_path / name / "copy")
    content = (tmp_path / name / "copy").read_bytes()
    (tmp_path / name / "copy").write_bytes(content[:-60])
    (found,) = found_in(tmp_path)
    assert found.notes == (DAMAGED.format(1),)
    assert [one.path for one in found.left_out] == [tmp_path / name / "copy"]
    assert_same_voxels(read_series(found), ARRAY, GRID)


def test_slice_whose_only_file_is_truncated_is_refused(tmp_path: Path) -> None:
    write_series(ARRAY, GRID, tmp_path)
    content = (tmp_path / "00005").read_bytes()
    (tmp_path / "00005").write_bytes(content[:-60])
    with pytest.raises(ScanError, match="pixel data must hold 63 values"):
        read_series(found_in(tmp_path)[0])


def test_slices_that_share_uid_and_place_but_no_pixels_are_not_merged(tmp_path: Path) -> None:
    for name, array in (("a", ARRAY), ("b", ARRAY + 1)):
        for k, dataset in enumerate(write_series(array, GRID, tmp_path / name, series_uid="1.2.3")):
            dataset.SOPInstanceUID = f"1.2.3.{k}"
            save(dataset, tmp_path / name / f"{k:05d}")
    (found,) = found_in(tmp_path)
    assert [problem.kind for problem in found.problems] == ["repeated_positions"]
    assert len(found.instances) == 24


def test_copies_by_name_and_by_pixels_are_both_told(tmp_path: Path) -> None:
    datasets = write_series(ARRAY, GRID, tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    write_again(datasets[:2], tmp_path)
    (found,) = found_in(tmp_path)
    assert found.notes == ("12 file(s) are copies of others of the series and were left out", RENAMED.format(2))
    assert_same_voxels(read_series(found), ARRAY, GRID)
