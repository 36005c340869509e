"""Files of few whole values, told from scans by what they hold."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.ingest.label_source import read_mask
from medseg.scans import few_whole_values
from PIL import Image

from tests.coded_labels import put_under_slope
from tests.grids import grid
from tests.ingest.sources import write_itk

SHAPE = (40, 50, 20)
GRID = grid(SHAPE)
LABEL = np.zeros(SHAPE, np.uint8)
LABEL[5:20, 5:20, 15:], LABEL[20:30, 5:9, 18:] = 1, 7


def write(path: Path, array: np.ndarray) -> Path:
    if path.name.endswith((".nii", ".nii.gz", ".hdr")):
        kind = nibabel.Nifti1Pair if path.suffix == ".hdr" else nibabel.Nifti1Image
        kind(array, GRID.affine).to_filename(path)
    else:
        write_itk(path, array, GRID)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.hdr", "a.nrrd", "a.mha"])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.float32, np.float64])
def test_values_of_a_mask_are_found_in_every_format(tmp_path: Path, name: str, kind: type) -> None:
    assert few_whole_values(write(tmp_path / name, LABEL.astype(kind)), most=3) == {0, 1, 7}
    assert few_whole_values(tmp_path / name, most=2) is None


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd"])
@pytest.mark.parametrize("last", [-1, 0.5, np.nan, np.inf])
def test_a_single_other_value_in_the_last_voxel_is_seen(tmp_path: Path, name: str, last: float) -> None:
    array = LABEL.astype(np.float32)
    array[-1, -1, -1] = last
    assert few_whole_values(write(tmp_path / name, array), most=64) is None


@pytest.mark.parametrize(
    ("slope", "intercept", "expected"),
    [(0.5, 0.0, {0, 1, 7}), (1 / 127, 0.0, {0, 1, 7}), (-1.0, 3.0, {0, 1, 7}), (3.0, 1.0, {1, 4, 22})],
)
def test_values_are_the_scaled_ones(tmp_path: Path, slope: float, intercept: float, expected: set[int]) -> None:
    path = write(tmp_path / "a.nii.gz", LABEL)
    is_own = expected == {0, 1, 7}
    stored = np.rint((LABEL.astype(float) - intercept) / slope) if is_own else LABEL
    put_under_slope(path, stored.astype(np.int16), slope=slope, intercept=intercept)
    assert few_whole_values(path, most=64) == expected


def test_file_that_is_cut_short_or_has_channels_tells_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz", LABEL)
    path.write_bytes(path.read_bytes()[:-40])
    assert few_whole_values(path, most=64) is None
    (tmp_path / "b.nii").write_bytes(b"no scan")
    assert few_whole_values(tmp_path / "b.nii", most=64) is None
    assert few_whole_values(write(tmp_path / "c.nii", np.stack([LABEL, LABEL], axis=-1)), most=64) is None


@pytest.mark.parametrize("ending", ["png", "gif", "bmp", "tif", "jpg"])
def test_pictures_of_black_and_white_are_known_even_where_jpeg_has_changed_them(tmp_path: Path, ending: str) -> None:
    mask = np.zeros((90, 120), np.uint8)
    mask[20:60, 30:80] = 255
    Image.fromarray(mask).save(tmp_path / f"a.{ending}")
    assert few_whole_values(tmp_path / f"a.{ending}", most=64) == {0, 255}
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120), np.uint8)).save(tmp_path / f"b.{ending}")
    assert few_whole_values(tmp_path / f"b.{ending}", most=64) is None


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.tif"])
@pytest.mark.parametrize("off", [0.0, 3e-5, 4e-4, 0.015, 0.03])
def test_what_is_taken_for_a_mask_is_read_as_a_label(tmp_path: Path, name: str, off: float) -> None:
    values = LABEL.astype(np.float32) + np.float32(off) * (LABEL > 0)
    if name == "a.tif":
        Image.fromarray(values[:, :, -1].T).save(tmp_path / name)
    else:
        write(tmp_path / name, values)
    assert (few_whole_values(tmp_path / name, most=64) is not None) == is_label(tmp_path / name) == (off < 1e-4)


@pytest.mark.parametrize("slope", [1 / 127, 1 / 30, 1 / 20, 0.3])
def test_scaled_values_are_taken_for_a_mask_where_they_are_read_as_a_label(tmp_path: Path, slope: float) -> None:
    path = write(tmp_path / "a.nii.gz", LABEL)
    put_under_slope(path, np.rint(LABEL / slope).astype(np.int16), slope=slope, intercept=0)
    assert (few_whole_values(path, most=64) is not None) == is_label(path)
    put_under_slope(path, np.rint(LABEL / slope).astype(np.float32), slope=slope, intercept=0)
    assert (few_whole_values(path, most=64) is not None) == is_label(path)


def is_label(path: Path) -> bool:
    try:
        read_mask(path)
    except ScanError:
        return False
    return True
