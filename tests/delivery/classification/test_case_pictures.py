"""Curves along the slices and Grad-CAM pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from medseg.delivery.classification import CamSlice, save_cam_picture, save_study_curves
from medseg.delivery.classification.study_curve import slice_edges

from tests.delivery.classification.conftest import Caught
from tests.evaluation.classification.made_scores import case_of

CLASSES = ("anterior", "posterior")
CASE = case_of(
    [[0.9, 0.1], [0.8, 0.3], [0.2, 0.7], [0.1, 0.6]],
    [[1, 0], [1, -1], [0, 1], [0, 1]],
    positions=[30.0, 20.0, 10.0, 0.0],
)


def spans(axis: object, colour: str) -> list[tuple[float, float]]:
    """From where to where the filled lanes of a colour reach."""
    from matplotlib.colors import to_rgb

    return [
        (path.vertices[:, 0].min(), path.vertices[:, 0].max())
        for lane in axis.collections  # type: ignore[attr-defined]
        if len(lane.get_facecolor()) and np.allclose(lane.get_facecolor()[0, :3], to_rgb(colour))
        for path in lane.get_paths()
    ]


def test_curve_runs_by_position_and_lanes_show_the_truth(tmp_path: Path, caught: Caught) -> None:
    save_study_curves(
        {"worst: a": CASE, "best: a": replace(CASE, truth=None)},
        tmp_path / "s.png",
        classes=CLASSES,
        direction="A",
        thresholds={"anterior": 0.4, "posterior": 0.6},
    )
    worst, best = caught.last(tmp_path / "s.png").axes
    anterior, first, posterior, second = worst.get_lines()
    np.testing.assert_array_equal(anterior.get_xdata(), [0, 10, 20, 30])
    np.testing.assert_array_equal(anterior.get_ydata(), [0.1, 0.2, 0.8, 0.9])
    np.testing.assert_array_equal(posterior.get_ydata(), [0.6, 0.7, 0.3, 0.1])
    assert [one.get_ydata()[0] for one in (first, second)] == [0.4, 0.6]
    assert spans(worst, anterior.get_color()) == [(15, 25), (25, 35)]
    assert spans(worst, posterior.get_color()) == [(-5, 5), (5, 15)]
    assert spans(worst, "#c8c8c8") == [(15, 25)]
    assert len(spans(best, "#c8c8c8")) == 2 * 4
    assert worst.get_title() == "worst: a"
    assert best.get_xlabel() == "position along A (posterior to anterior), mm"


def test_single_slice_and_no_study_make_a_picture(tmp_path: Path, caught: Caught) -> None:
    save_study_curves({"a": case_of([0.5], [1])}, tmp_path / "one.png", classes=("liver",), direction="S")
    assert len(caught.last(tmp_path / "one.png").axes) == 1
    save_study_curves({}, tmp_path / "none.png", classes=("liver",), direction="R")
    assert len(caught.last(tmp_path / "none.png").axes) == 1


@pytest.mark.parametrize(
    ("positions", "edges"),
    [([0, 2, 6], [-1, 1, 4, 8]), ([5], [4.5, 5.5]), ([], [-0.5, 0.5])],
)
def test_edges_lie_half_way_between_slices(positions: list[float], edges: list[float]) -> None:
    np.testing.assert_array_equal(slice_edges(np.array(positions, float)), edges)


def cam(*, is_hit: bool, truth: bool = True, heat: float = 1.0, number: int = 7) -> CamSlice:
    image = np.random.default_rng(0).normal(size=(20, 30))
    warm = np.zeros((20, 30))
    warm[5:9, 12:20] = heat
    return CamSlice(image, warm, "case_a", number, "anterior", 0.93, truth, is_hit, aspect=1.5)


def test_hits_are_on_the_left_and_misses_on_the_right(tmp_path: Path, caught: Caught) -> None:
    slices = [
        cam(is_hit=False, truth=False, number=1),
        cam(is_hit=True, number=2),
        cam(is_hit=False, truth=True, number=4),
        cam(is_hit=True, number=3),
    ]
    save_cam_picture(slices, tmp_path / "c.png", title="fold 0")
    left, right = caught.last(tmp_path / "c.png").subfigs
    assert (left.get_suptitle(), right.get_suptitle()) == ("Hits", "Misses")
    assert [axis.get_title(loc="left") for axis in left.axes] == [
        "case_a, slice 2", "anterior: p = 0.93, there", "case_a, slice 3", "anterior: p = 0.93, there",
    ]  # fmt: skip
    assert [axis.get_title(loc="left") for axis in right.axes] == [
        "case_a, slice 1", "anterior: p = 0.93, not there", "case_a, slice 4", "anterior: p = 0.93, there",
    ]  # fmt: skip
    plain, overlaid = left.axes[:2]
    assert len(plain.images) == 1
    heat = overlaid.images[1]
    assert heat.get_alpha()[6, 14] > 0.5
    assert heat.get_alpha()[0, 0] == 0
    assert plain.get_aspect() == 1.5


@pytest.mark.parametrize("heat", [0.0, float("nan")])
def test_no_heat_leaves_the_slice_alone(tmp_path: Path, caught: Caught, heat: float) -> None:
    save_cam_picture([cam(is_hit=True, heat=heat)], tmp_path / "c.png")
    left, right = caught.last(tmp_path / "c.png").subfigs
    assert len(left.axes[1].images) == 1
    assert right.get_suptitle() == "Misses: none"
