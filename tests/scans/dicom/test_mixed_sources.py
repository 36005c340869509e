"""Slices of two patients, or of two frames of reference, are never one volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.geometry import Geometry
from medseg.scans.dicom import SeriesRules, find_series, quiet_dicom, read_instance

from tests.dicom_files import save, write_series

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
