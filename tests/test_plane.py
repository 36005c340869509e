from __future__ import annotations

from typing import get_args

import pytest
from medseg.plane import ENDS, PLANES, Direction, Plane


def test_every_plane_has_its_row() -> None:
    assert tuple(PLANES) == get_args(Plane)
    assert tuple(ENDS) == get_args(Direction)
    assert all(facts.name == name for name, facts in PLANES.items())


@pytest.mark.parametrize(
    ("plane", "axis", "picture_axes", "direction", "axcodes", "edges"),
    [
        ("axial", 2, (0, 1), "S", "RAS", "RLAP"),
        ("coronal", 1, (0, 2), "A", "RSA", "RLSI"),
        ("sagittal", 0, (1, 2), "R", "ASR", "APSI"),
    ],
)
def test_slices_lie_as_radiologists_have_it(
    plane: Plane, axis: int, picture_axes: tuple[int, int], direction: Direction, axcodes: str, edges: str
) -> None:
    facts = PLANES[plane]
    assert (facts.axis, facts.picture_axes, facts.direction) == (axis, picture_axes, direction)
    assert (facts.axcodes, facts.edges) == (axcodes, edges)
