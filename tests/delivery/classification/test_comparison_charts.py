"""Charts of compared networks, with the published numbers of the classical ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from medseg.delivery.classification import (
    ComparedNetwork,
    GradientFlow,
    LossCurve,
    save_ball_chart,
    save_depth_chart,
    save_gradient_flow,
    save_loss_curves,
    save_parameter_chart,
)
from medseg.delivery.classification.depth_charts import moving_mean

from tests.delivery.classification.conftest import Caught, texts

# Name, family, depth, millions of parameters, milliards of multiply-adds, top-1 error on ImageNet (torchvision).
PUBLISHED = (
    ("AlexNet", "AlexNet", 8, 61.1, 0.71, 0.435),
    ("VGG-16", "VGG", 16, 138.4, 15.47, 0.284),
    ("GoogLeNet", "Inception", 22, 6.6, 1.5, 0.302),
    ("ResNet-18", "ResNet", 18, 11.69, 1.81, 0.302),
    ("ResNet-34", "ResNet", 34, 21.8, 3.66, 0.267),
    ("ResNet-50", "ResNet", 50, 25.56, 4.09, 0.239),
    ("ResNet-101", "ResNet", 101, 44.55, 7.8, 0.226),
    ("ResNet-152", "ResNet", 152, 60.19, 11.51, 0.217),
    ("DenseNet-121", "DenseNet", 121, 7.98, 2.83, 0.256),
    ("EfficientNet-B0", "EfficientNet", 82, 5.29, 0.39, 0.223),
)
NETWORKS = [
    ComparedNetwork(name, family, depth, round(m * 1e6), round(g * 1e9), error, train_error=error / 2)
    for name, family, depth, m, g, error in PUBLISHED
]


def names_of(axis: object) -> list[object]:
    return [text for text in axis.texts if text.get_text()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("save", [save_ball_chart, save_parameter_chart])
@pytest.mark.parametrize("spread", [0.0, 0.02])
def test_names_cover_neither_each_other_nor_a_centre(
    tmp_path: Path, caught: Caught, save: object, spread: float
) -> None:
    networks = [replace(one, low=one.error - spread, high=one.error + spread) for one in NETWORKS]
    save(networks, tmp_path / "b.png", title="ImageNet")  # type: ignore[operator]
    figure = caught.last(tmp_path / "b.png")
    axis, renderer = figure.axes[0], figure.canvas.get_renderer()
    boxes = {text.get_text(): text.get_window_extent(renderer) for text in names_of(axis)}  # type: ignore[attr-defined]
    assert set(boxes) == {one.name for one in NETWORKS}
    for first, second in combinations(boxes, 2):
        assert not boxes[first].overlaps(boxes[second]), (first, second)
    centres = axis.transData.transform(np.concatenate([dots.get_offsets() for dots in axis.collections]))
    frame = axis.get_window_extent(renderer)
    for box in boxes.values():
        assert not any(box.contains(x, y) for x, y in centres)
        assert frame.contains(box.x0, box.y0)
        assert frame.contains(box.x1, box.y1)


def test_names_of_crowded_networks_keep_apart(tmp_path: Path, caught: Caught) -> None:
    far, near = NETWORKS[0], NETWORKS[3]
    row = [replace(near, name=f"in a row {n}", parameters=11_000_000 + 900_000 * n) for n in range(3)]
    pile = [replace(near, name=f"in a pile {n}", error=0.4) for n in range(4)]
    save_parameter_chart([far, *row, *pile], tmp_path / "b.png")
    figure = caught.last(tmp_path / "b.png")
    axis, renderer = figure.axes[0], figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in names_of(axis)]  # type: ignore[attr-defined]
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
    centres = axis.transData.transform(np.concatenate([dots.get_offsets() for dots in axis.collections]))
    assert not any(box.contains(x, y) for box in boxes for x, y in centres)


def test_ball_area_is_in_proportion_to_parameters_and_the_axis_is_logarithmic(tmp_path: Path, caught: Caught) -> None:
    save_ball_chart(NETWORKS, tmp_path / "b.png", error_name="1 − AUROC")
    axis, side = caught.last(tmp_path / "b.png").axes
    balls = [dots for dots in axis.collections if dots.get_sizes()[0] > 9]
    areas = np.array([dots.get_sizes()[0] for dots in balls])
    np.testing.assert_allclose(areas / areas.max(), [m / 138.4 for *_, m, _, _ in PUBLISHED], rtol=1e-3)
    np.testing.assert_allclose(
        [dots.get_offsets()[0] for dots in balls], [(g * 1e9, 100 * error) for *_, g, error in PUBLISHED]
    )
    assert axis.get_xscale() == "log"
    assert axis.get_xlabel() == "multiply-adds of one forward pass"
    assert axis.get_ylabel() == "1 − AUROC on validation, %"
    shown = dict(zip((t.get_text() for t in side.texts[1:]), (d.get_sizes()[0] for d in side.collections), strict=True))
    assert {key: round(value / areas.max() * 138.4) for key, value in shown.items()} == {
        "100 M": 100,
        "20 M": 20,
        "5 M": 5,
    }
    assert texts(side) == ["AlexNet", "VGG", "Inception", "ResNet", "DenseNet", "EfficientNet"]


def test_parameter_chart_has_parameters_along_x(tmp_path: Path, caught: Caught) -> None:
    save_parameter_chart([replace(one, low=0.2, high=0.5) for one in NETWORKS], tmp_path / "p.png")
    axis, side = caught.last(tmp_path / "p.png").axes
    places = {tuple(dots.get_offsets()[0]) for dots in axis.collections}
    assert places == {(round(m * 1e6), 100 * error) for *_, m, _, error in PUBLISHED}
    assert texts(side)[-1] == "95 % interval"
    assert sum(np.allclose(one.get_ydata(), [20, 50]) for one in axis.get_lines()) == len(NETWORKS)


def test_a_single_network_makes_a_chart(tmp_path: Path, caught: Caught) -> None:
    save_ball_chart(NETWORKS[3:4], tmp_path / "b.png")
    assert [text.get_text() for text in caught.last(tmp_path / "b.png").axes[0].texts] == ["ResNet-18"]


def test_depth_chart_joins_a_family_by_depth(tmp_path: Path, caught: Caught) -> None:
    plain = [
        replace(one, name=f"plain-{one.depth}", family="plain", train_error=0.3, error=one.depth / 100)
        for one in NETWORKS[3:5]
    ]
    save_depth_chart([*reversed(NETWORKS[3:8]), *plain], tmp_path / "d.png")
    (axis,) = caught.last(tmp_path / "d.png").axes
    lines = {one.get_label(): one.get_xydata().tolist() for one in axis.get_lines()}
    assert list(lines) == ["ResNet, training", "ResNet, validation", "plain, training", "plain, validation"]
    np.testing.assert_allclose(lines["ResNet, training"], [(d, 50 * e) for _, _, d, _, _, e in PUBLISHED[3:8]])
    np.testing.assert_allclose(lines["ResNet, validation"], [(d, 100 * e) for _, _, d, _, _, e in PUBLISHED[3:8]])
    np.testing.assert_allclose(lines["plain, training"], [(18, 30), (34, 30)])
    assert axis.get_ylim()[0] == 0


def test_loss_axis_is_logarithmic_only_where_losses_fall_far(tmp_path: Path, caught: Caught) -> None:
    steps = np.arange(200)
    for end, scale in ((0.001, "log"), (0.5, "linear")):
        losses = np.geomspace(1, end, 200)
        save_loss_curves([LossCurve("ResNet-18", "ResNet", steps, losses)], tmp_path / "l.png")
        (axis,) = caught.last(tmp_path / "l.png").axes
        assert axis.get_yscale() == scale
        raw, smooth = axis.get_lines()
        np.testing.assert_array_equal(raw.get_ydata(), losses)
        np.testing.assert_allclose(smooth.get_ydata(), moving_mean(losses))
    assert texts(axis) == ["ResNet-18"]


def test_moving_mean_spans_a_fiftieth_and_leaves_out_nan() -> None:
    values = np.arange(200.0)
    assert moving_mean(values)[100] == 100  # mean of 98 … 102
    assert moving_mean(values)[0] == 1  # mean of 0, 1, 2
    values[101] = np.nan
    assert moving_mean(values)[100] == pytest.approx((98 + 99 + 100 + 102) / 4)
    assert np.isnan(moving_mean(np.full(3, np.nan))).all()
    assert len(moving_mean(np.empty(0))) == 0


def test_gradients_run_from_input_to_output_and_dead_layers_are_marked(tmp_path: Path, caught: Caught) -> None:
    flows = [
        GradientFlow("plain-34", "plain", np.array([0.0, 1e-6, 1e-4, 1e-2, 1.0])),
        GradientFlow("ResNet-34", "ResNet", np.array([0.1, 0.2, 0.3])),
        GradientFlow("plain-18", "plain", np.array([1e-3, 1e-2])),
    ]
    save_gradient_flow(flows, tmp_path / "g.png")
    (axis,) = caught.last(tmp_path / "g.png").axes
    lines = {one.get_label(): one for one in axis.get_lines()}
    np.testing.assert_array_equal(lines["plain-34"].get_xdata(), [0, 25, 50, 75, 100])
    np.testing.assert_array_equal(lines["plain-34"].get_ydata(), [np.nan, 1e-6, 1e-4, 1e-2, 1.0])
    np.testing.assert_array_equal(lines["plain-34: zero"].get_xdata(), [0])
    np.testing.assert_array_equal(lines["ResNet-34"].get_xdata(), [0, 50, 100])
    assert axis.get_yscale() == "log"
    assert lines["plain-34"].get_color() == lines["plain-18"].get_color() != lines["ResNet-34"].get_color()
    assert lines["plain-34"].get_linestyle() != lines["plain-18"].get_linestyle()
