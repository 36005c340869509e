"""A fourth axis is never taken for channels where the header says that it is time."""

from __future__ import annotations

import logging
from pathlib import Path

import nibabel
import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.scans import read_grid, read_scan


def write_volumes(path: Path, *, unit: str | None, step: float, volumes: int = 3) -> Path:
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6, volumes), np.int16), np.eye(4))
    image.header.set_xyzt_units("mm", unit)
    image.header["pixdim"][4] = step
    image.to_filename(path)
    return path


@pytest.mark.parametrize(("unit", "step"), [("sec", 2.5), ("msec", 1.0), ("usec", 40.0), ("hz", 1.0)])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_time_is_refused_with_what_to_do(tmp_path: Path, unit: str, step: float, channels: int | None) -> None:
    path = write_volumes(tmp_path / "a.nii.gz", unit=unit, step=step)
    with pytest.raises(ScanError, match=rf"got 3 volumes {step:g} {unit} apart, which are") as caught:
        read_scan(path, case_id="c", channels=channels)
    assert "write each volume to a file" in caught.value.remedy
    with pytest.raises(ScanError, match=f"{step:g} {unit} apart"):
        read_grid(path, case_id="c")


@pytest.mark.parametrize(("unit", "step"), [(None, 2.5), (None, 1.0), ("sec", 0.0), ("msec", -1.0)])
def test_header_that_says_nothing_of_time_means_channels(tmp_path: Path, unit: str | None, step: float) -> None:
    path = write_volumes(tmp_path / "a.nii.gz", unit=unit, step=step)
    assert read_scan(path, case_id="c").array.shape[0] == 3
    assert read_grid(path, case_id="c").channels == 3


def test_step_of_a_second_is_settled_by_the_channels_that_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_volumes(tmp_path / "a.nii.gz", unit="sec", step=1.0)
    assert read_scan(path, case_id="c", channels=3).array.shape[0] == 3
    assert caplog.records == []
    with caplog.at_level(logging.WARNING):
        read_scan(path, case_id="c")
    assert "the 3 volumes of a.nii.gz are read as channels" in caplog.text
    with pytest.raises(ScanError, match="got 3 volumes 1 sec apart, which are time"):
        read_scan(path, case_id="c", channels=2)
    with pytest.raises(ScanError, match="got 3 volumes 1 sec apart, which are time"):
        read_grid(path, case_id="c")  # nobody has named channels to an ingest


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 6, 1)])
def test_single_volume_of_a_time_series_is_a_scan(tmp_path: Path, shape: tuple[int, ...]) -> None:
    image = nibabel.Nifti1Image(np.zeros(shape, np.int16), np.eye(4))
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = 2.5
    image.to_filename(tmp_path / "a.nii.gz")
    assert read_scan(tmp_path / "a.nii.gz", case_id="c").array.shape == (1, 4, 5, 6)
