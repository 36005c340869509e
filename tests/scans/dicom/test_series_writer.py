"""What is written as DICOM comes back: the same voxels at the same millimetres, and the masks drawn on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import DeliveryError
from medseg.geometry import Geometry
from medseg.scans.dicom import draw_label_object, read_label_object, write_dicom_seg, write_dicom_series
from pydicom import dcmread

from tests.dicom_files import assert_same_voxels, instances_in, read_folder
from tests.grid_strategies import grids
from tests.grids import OBLIQUE


def noise(geometry: Geometry, dtype: type = np.int16) -> np.ndarray:
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return np.random.default_rng(0).integers(low, high, geometry.shape, endpoint=True, dtype=dtype)


def shuffled(folder: Path, count: int, seed: int = 0) -> list[Path]:
    return [folder / f"{name:04d}" for name in np.random.default_rng(seed).permutation(count)]


@settings(max_examples=30, deadline=None)
@given(geometry=grids(min_size=3), seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from([np.int16, np.uint16]))
def test_any_grid_comes_back_whatever_the_files_are_called(
    tmp_path_factory: pytest.TempPathFactory, geometry: Geometry, seed: int, dtype: type
) -> None:
    folder = tmp_path_factory.mktemp("series")
    array = noise(geometry, dtype)
    write_dicom_series(array, geometry, shuffled(folder, geometry.shape[2], seed), header={"PatientID": "7"})
    assert_same_voxels(read_folder(folder), array, geometry)


def test_header_is_written_and_equal_headers_give_equal_uids(tmp_path: Path) -> None:
    header = {"PatientID": "7", "Modality": "CT", "SeriesDescription": "thorax"}
    for folder in ("a", "b"):
        write_dicom_series(noise(OBLIQUE), OBLIQUE, shuffled(tmp_path / folder, 5), header=header)
    write_dicom_series(noise(OBLIQUE), OBLIQUE, shuffled(tmp_path / "c", 5), header={**header, "PatientID": "8"})
    first, again, other = (dcmread(tmp_path / folder / "0000") for folder in ("a", "b", "c"))
    assert (first.Modality, first.SeriesDescription, first.SOPClassUID.name) == ("CT", "thorax", "CT Image Storage")
    assert first.SOPInstanceUID == again.SOPInstanceUID
    assert first.SeriesInstanceUID == again.SeriesInstanceUID != other.SeriesInstanceUID
    assert len({instance.sop_uid for instance in instances_in(tmp_path / "a")}) == OBLIQUE.shape[2]


def test_masks_come_back_from_a_seg_on_the_scans_grid(tmp_path: Path) -> None:
    images = shuffled(tmp_path / "scan", OBLIQUE.shape[2])
    write_dicom_series(noise(OBLIQUE), OBLIQUE, images, header={"PatientID": "7"})
    box, spot = np.zeros(OBLIQUE.shape, bool), np.zeros(OBLIQUE.shape, bool)
    box[1:5, 2:8, 1:4], spot[6, 0, 4] = True, True
    write_dicom_seg({"box": box, "spot": spot}, images, tmp_path / "seg")
    drawn = list(draw_label_object(read_label_object(tmp_path / "seg"), OBLIQUE))
    assert [one.name for one in drawn] == ["box", "spot"]
    np.testing.assert_array_equal(drawn[0].mask, box)
    np.testing.assert_array_equal(drawn[1].mask, spot)
    assert read_label_object(tmp_path / "seg").referenced_series == {dcmread(images[0]).SeriesInstanceUID}


def test_wrong_arrays_and_empty_masks_are_refused(tmp_path: Path) -> None:
    paths = shuffled(tmp_path, OBLIQUE.shape[2])
    with pytest.raises(DeliveryError, match="a file per slice"):
        write_dicom_series(noise(OBLIQUE), OBLIQUE, paths[1:], header={})
    with pytest.raises(DeliveryError, match="scale and round it first"):
        write_dicom_series(noise(OBLIQUE).astype(float), OBLIQUE, paths, header={})
    with pytest.raises(DeliveryError, match="leave the file out"):
        write_dicom_seg({"box": np.zeros(OBLIQUE.shape, bool)}, paths, tmp_path / "seg")
