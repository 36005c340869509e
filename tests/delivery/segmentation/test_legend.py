"""Pictures of many structures: their legends, and the memory that their outlines take."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from matplotlib.figure import Figure
from medseg.delivery.segmentation.case_planes import _add_legend
from medseg.delivery.segmentation.overlay import _Outlines
from medseg.targets import ExclusiveLabels


def names_below(count: int, drawn: list[int]) -> list[str]:
    """Names of a legend after some of so many structures were drawn, each with as many pixels as its value."""
    outlines = _Outlines(ExclusiveLabels(labels={f"s{value}": value for value in range(count + 1)}))
    plane = np.zeros((40, 130), np.uint8)
    for value in drawn:
        plane[: value % 39, value] = value
    figure = Figure()
    outlines.draw(figure.subplots(), plane, np.zeros_like(plane))
    _add_legend(figure, outlines.legend())
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_few_structures_are_all_named_in_their_order() -> None:
    assert names_below(11, [3, 9]) == [f"s{value}" for value in range(1, 12)]


def test_of_many_structures_those_that_were_drawn_are_named_the_largest_first() -> None:
    assert names_below(117, [3, 30, 8]) == ["s30", "s8", "s3"]


@pytest.mark.parametrize(("drawn", "last"), [(12, "s1"), (13, "and 2 more"), (38, "and 27 more")])
def test_more_than_fit_are_counted(drawn: int, last: str) -> None:
    names = names_below(117, list(range(1, drawn + 1)))
    assert len(names) == 12
    assert names[-1] == last


def test_figure_keeps_the_box_of_each_outline_and_not_the_plane() -> None:
    outlines = _Outlines(ExclusiveLabels(labels={f"s{value}": value for value in range(101)}))
    plane = np.zeros((400, 400), np.uint8)
    for value in range(1, 101):
        i, j = divmod(value - 1, 10)
        plane[40 * i : 40 * i + 30, 40 * j : 40 * j + 30] = value
    axis = Figure().subplots()
    tracemalloc.start()
    outlines.draw(axis, plane, plane)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(axis.collections) == 200
    assert held < 200 * plane.size  # coordinates and values of whole planes would be 200 * 24 and more
