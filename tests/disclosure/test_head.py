from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.disclosure import shows_head
from medseg.phantom import SCANNERS, Anatomy, image_anatomy
from medseg.scans import read_scan

from tests.disclosure.heads import CT, MR, head
from tests.grids import grid


@pytest.mark.parametrize("values", [CT, MR], ids=["CT", "MR"])
@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"spacing_mm": (1.0, 1.0, 5.0)},
        {"spacing_mm": (1.2, 1.2, 1.2), "axcodes": "LPS"},
        {"axcodes": "PIR"},
        {"size": 0.85},
        {"size": 1.1},
        {"shoulders": True},
    ],
    ids=str,
)
def test_head_is_known_by_its_form(values: dict[str, float], keys: dict[str, Any]) -> None:
    assert shows_head(*head(values, **keys))


@pytest.mark.parametrize("noise", [0.0, 10.0])
def test_brain_without_its_skull_is_no_head(noise: float) -> None:
    assert not shows_head(*head(MR, is_stripped=True, noise=noise))


def test_crown_out_of_view_or_voxels_too_coarse_are_no_head() -> None:
    volume, geometry = head(CT)
    assert not shows_head(volume[:, :, :70], geometry.cropped(2, range(70)))
    assert not shows_head(*head(CT, spacing_mm=(2.0, 2.0, 8.0)))


def test_bodies_limbs_balls_and_noise_are_no_head() -> None:
    geometry = grid((150, 150, 90), spacing_mm=(2.0, 2.0, 3.0))
    x, y, z = np.meshgrid(
        *((np.arange(n) - n / 2) * mm for n, mm in zip((150, 150, 90), (2, 2, 3), strict=True)), indexing="ij"
    )
    for shown in (
        np.hypot(x / 70, y / 75) <= 1,  # a thigh
        (np.hypot(x, y) <= 60) & (z < 60),  # a bottle
        np.hypot(np.hypot(x, y), z) <= 45,
        np.hypot(x / 140, y / 100) <= 1,
    ):
        assert not shows_head(np.where(shown, 40.0, -1000.0).astype(np.float32), geometry)
    assert not shows_head(np.random.default_rng(0).normal(size=(150, 150, 90)).astype(np.float32), geometry)
    assert not shows_head(np.zeros((150, 150, 90), np.float32), geometry)


def test_made_up_abdomens_are_no_heads() -> None:
    for number, scanner in enumerate(SCANNERS):
        image, _, geometry = image_anatomy(Anatomy(number), scanner, seed=number)
        assert not shows_head(image, geometry)


@pytest.mark.data
@pytest.mark.parametrize(
    "pattern",
    [
        "msd_hippocampus/imagesTr/*_00*.nii.gz",
        "left_atrium/imagesTr/*_00*.nii.gz",
        "sts_sarcoma/nifti/*/CT_image.nii.gz",
        "sts_sarcoma/nifti/*/MR_T1_image.nii.gz",
    ],
)
def test_real_scans_of_other_parts_are_no_heads(real_data: Path, pattern: str) -> None:
    for path in sorted(real_data.glob(pattern))[:8]:
        scan = read_scan(path, case_id=path.name)
        assert not shows_head(scan.array[0], scan.geometry), path.name
