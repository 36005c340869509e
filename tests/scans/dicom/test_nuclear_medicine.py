"""Reconstructed NM images: a first position and the spacing between slices stand for all frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.geometry import Geometry

from tests.dicom_files import assert_same_voxels, read_folder, write_reconstructed_nm
from tests.grids import grid

UPRIGHT = grid((8, 6, 5), spacing_mm=(2, 2.5, 4), angles=(0.2, 0.1, -0.3), origin_mm=(5, -7, 30), axcodes="LPS")
ARRAY = np.random.default_rng(2).integers(0, 4000, UPRIGHT.shape).astype(np.uint16)


def test_slices_follow_the_normal_from_the_first_position(tmp_path: Path) -> None:
    write_reconstructed_nm(ARRAY, UPRIGHT, tmp_path / "one")
    assert_same_voxels(read_folder(tmp_path), ARRAY, UPRIGHT)


def test_negative_spacing_runs_against_the_normal(tmp_path: Path) -> None:
    affine = UPRIGHT.affine.copy()
    affine[:3, 2] *= -1
    downwards = Geometry(UPRIGHT.shape, affine)
    write_reconstructed_nm(ARRAY, downwards, tmp_path / "one", sign=-1)
    assert_same_voxels(read_folder(tmp_path), ARRAY, downwards)


def test_frames_without_a_spacing_have_no_place(tmp_path: Path) -> None:
    write_reconstructed_nm(ARRAY, UPRIGHT, tmp_path / "one", SpacingBetweenSlices=None)
    with pytest.raises(ScanError, match="every slice must give its position and orientation, got none in 5 of 5"):
        read_folder(tmp_path)
