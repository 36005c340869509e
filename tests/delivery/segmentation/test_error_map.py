"""Wrong voxels are painted by the kind of their error, where they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.delivery.segmentation import save_error_map
from medseg.geometry import Geometry
from medseg.origin import PictureOrigin
from medseg.records import Array, Scan
from medseg.targets import ExclusiveLabels

from tests.delivery.segmentation.test_overlay import RAS, box, pixels

TARGET = ExclusiveLabels(labels={"blob": 1, "lump": 2})
PAINTED = {"missed": (0xFF, 0xB0, 0x00), "added": (0x40, 0xB0, 0xFF), "another structure": (0xFF, 0x5F, 0xA2)}


def painted(picture: Array) -> dict[str, int]:
    """Pixels above the legend of about the colour of each kind over a black image, by what is nearest."""
    above = picture[70 : int(0.88 * len(picture))].reshape(-1, 3)
    coloured = above[above.max(axis=1) - above.min(axis=1) > 60]
    shades = np.array(list(PAINTED.values())) * 0.65
    nearest = ((coloured[:, None] - shades) ** 2).sum(axis=2).argmin(axis=1) if len(coloured) else np.empty(0)
    return {name: int((nearest == n).sum()) for n, name in enumerate(PAINTED)}


def error_map(path: Path, label: Array, mask: Array) -> dict[str, int]:
    scan = Scan(np.zeros((1, *label.shape), np.float32), RAS)
    save_error_map(scan, label, mask, path, target=TARGET, title="case a")
    return painted(pixels(path))


def test_right_mask_has_nothing_painted(tmp_path: Path) -> None:
    label = box(RAS.shape, (10, 10, 5), (8, 8, 5))
    assert error_map(tmp_path / "a.png", label, label) == {"missed": 0, "added": 0, "another structure": 0}


@pytest.mark.parametrize(
    ("label_value", "mask_value", "kind"), [(1, 0, "missed"), (0, 1, "added"), (1, 2, "another structure")]
)
def test_each_error_has_its_colour(tmp_path: Path, label_value: int, mask_value: int, kind: str) -> None:
    blob = box(RAS.shape, (10, 10, 5), (8, 8, 5))
    counts = error_map(tmp_path / "a.png", blob * label_value, blob * mask_value)
    assert counts[kind] > 500
    assert sum(counts.values()) - counts[kind] < 0.02 * counts[kind]


def test_planes_are_cut_where_most_is_wrong(tmp_path: Path) -> None:
    label = box(RAS.shape, (2, 2, 2), (20, 20, 10))
    mask = label.copy()
    mask[30:34, 24:28, 15:18] = 1
    assert error_map(tmp_path / "a.png", label, mask)["added"] > 200


def test_picture_is_painted_whole(tmp_path: Path) -> None:
    scan = Scan(np.zeros((3, 30, 40, 1), np.float32), Geometry((30, 40, 1), np.eye(4)), PictureOrigin(Path("a.png")))
    label = np.zeros((30, 40, 1), np.uint8)
    label[5:15, 5:15] = 1
    save_error_map(scan, label, 0 * label, tmp_path / "a.png", target=TARGET, title="case a")
    assert painted(pixels(tmp_path / "a.png"))["missed"] > 1000
