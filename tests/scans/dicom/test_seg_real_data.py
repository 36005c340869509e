"""SEGs on real series: both libraries read back the voxels that were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.origin import SeriesOrigin
from medseg.records import Scan
from medseg.scans.dicom import (
    REPAIRS,
    SegKind,
    read_seg_with_dcmqi,
    read_seg_with_highdicom,
    read_series,
    write_seg,
)

from tests.dicom_files import found_in
from tests.segments import ALGORITHM, mask_on, segments

pytestmark = pytest.mark.data
TWO = segments("bright", "dark")


def check(scan: Scan, path: Path, kind: SegKind) -> None:
    """Write the bright voxels and some of the dark ones, and read them back."""
    low, high = np.percentile(scan.array[0], [2, 98])
    labels = np.where(scan.array[0] > high, 1, np.where(scan.array[0] < low, 2, 0)).astype(np.uint8)
    write_seg(labels, TWO, scan, path, kind=kind, algorithm=ALGORITHM)
    for reader in (read_seg_with_highdicom, read_seg_with_dcmqi):
        found = reader(path)
        for number in found.numbers:
            np.testing.assert_array_equal(mask_on(found, number, scan.geometry), labels == number)
        assert found.numbers == tuple(int(value) for value in np.unique(labels) if value)


@pytest.mark.parametrize("modality", ["CT", "MR_T1", "PET"])
@pytest.mark.parametrize("kind", ["labelmap", "binary"])
def test_series_of_soft_tissue_sarcoma(modality: str, kind: SegKind, real_data: Path, tmp_path: Path) -> None:
    (found,) = found_in(real_data / "sts_sarcoma" / "dicom" / "STS_015" / modality / "image")
    check(read_series(found).scan, tmp_path / "seg.dcm", kind)


@pytest.mark.parametrize("kind", ["labelmap", "binary"])
@pytest.mark.parametrize(
    ("series", "is_resampled"),
    [
        ("siemens_multiframe/anatomical/001", False),
        ("hitachi/anatomical/001", False),
        ("hitachi/anatomical/001_implicit", False),
        ("hyperfine/anatomical/001", False),
        ("failing/gantrytilting/001", True),
        ("failing/sliceincrement/001", True),
    ],
)
def test_edge_cases(series: str, is_resampled: bool, kind: SegKind, real_data: Path, tmp_path: Path) -> None:
    found = found_in(real_data / "dicom_edge" / series)[0]
    scan = read_series(found, repair=frozenset(REPAIRS.values())).scan
    assert isinstance(scan.origin, SeriesOrigin)
    assert scan.origin.is_resampled == is_resampled
    check(scan, tmp_path / "seg.dcm", kind)
