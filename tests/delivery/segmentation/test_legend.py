"""Names below a picture: all of few structures, of many those that were drawn, and how many more."""

from __future__ import annotations

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
