"""Receptive fields in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.delivery.lens import FieldBox, save_field_picture

from tests.delivery.classification.conftest import Caught, caught

__all__ = ["caught"]

BOXES = (FieldBox("encoder 0", (5, 5, 1)), FieldBox("encoder 1", (19, 19, 9)))


def rectangles(axis: Any) -> list[tuple[float, float, float, float]]:
    return [(*patch.get_xy(), patch.get_width(), patch.get_height()) for patch in axis.patches]


def save(path: Path, density: Any, **changes: Any) -> None:
    settings: dict[str, Any] = {
        "effective_size": (4.0, 6.0, 2.0), "centre": (5, 6, 2), "patch": (10, 12, 4), "spacing_mm": (1.0, 0.5, 3.0),
        "title": "a network",
    }  # fmt: skip
    boxes = changes.pop("boxes", BOXES)
    save_field_picture(boxes, density, path, **settings | changes)


def test_boxes_are_in_millimetres_about_one_centre(caught: Caught, tmp_path: Path) -> None:
    save(tmp_path / "field.png", np.ones((10, 12, 4)))
    figure = caught.last(tmp_path / "field.png")
    upper, lower = figure.axes[:3], figure.axes[3:6]
    assert rectangles(upper[1]) == [(-2.5, -1.5, 5, 3), (-9.5, -13.5, 19, 27), (-5, -6, 10, 12)]
    assert rectangles(upper[2])[1] == (-4.75, -13.5, 9.5, 27)
    assert [rectangles(axis) for axis in lower] == [[(-2, -1.5, 4, 3)], [(-2, -3, 4, 6)], [(-1.5, -3, 3, 6)]]
    assert [axis.get_xlabel() for axis in lower] == [f"{name}, mm from the centre" for name in "iij"]
    assert [axis.get_ylabel() for axis in lower] == ["j, mm", "k, mm", "k, mm"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "encoder 0: 5×2.5×3 mm", "encoder 1: 19×9.5×27 mm", "patch: 10×6×12 mm",
        "95.45 % of the gradient: 4×3×6 mm",
    ]  # fmt: skip


def test_map_lies_where_the_gradient_is_and_is_summed_over_the_third_axis(caught: Caught, tmp_path: Path) -> None:
    density = np.zeros((10, 12, 4))
    density[7, 6, 0], density[7, 6, 1], density[5, 9, 3] = 1, 1, 1
    save(tmp_path / "field.png", density)
    image = caught.last(tmp_path / "field.png").axes[3].images[0]
    plane = np.asarray(image.get_array())
    assert plane.shape == (12, 10)
    assert (plane[6, 7], plane[9, 5], plane.sum()) == (1, 0.5, 1.5)
    assert image.get_extent() == [-5.5, 4.5, -3.25, 2.75]


def test_2d_network_has_a_panel_of_each_in_voxels_where_millimetres_are_unknown(caught: Caught, tmp_path: Path) -> None:
    boxes = [FieldBox("1/2", (7, 7))]
    save(tmp_path / "field.png", np.ones((8, 8)), boxes=boxes, effective_size=(float("nan"),) * 2, centre=(4, 4),
         patch=(8, 8), spacing_mm=None)  # fmt: skip
    figure = caught.last(tmp_path / "field.png")
    assert len(figure.axes) == 3
    assert figure.axes[0].get_xlabel() == "i, voxels from the centre"
    assert rectangles(figure.axes[1]) == []
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "1/2: 7×7 voxels",
        "patch: 8×8 voxels",
    ]


@pytest.mark.parametrize("title", ["x" * 300, ""])
def test_long_names_and_many_stages_stay_inside_the_picture(caught: Caught, tmp_path: Path, title: str) -> None:
    boxes = [FieldBox(f"encoder {stage}", (3 + 90 * stage,) * 3) for stage in range(11)]
    save(tmp_path / "field.png", np.zeros((10, 12, 4)), boxes=boxes, title=title)
    caught.last(tmp_path / "field.png")
