"""Every metric of a case against answers that can be worked out by hand, and against independent libraries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from medseg.errors import GeometryError
from medseg.evaluation.segmentation import (
    EvaluationContract,
    case_metrics,
    load_evaluation,
    summarise,
    write_metrics,
    write_summary,
)
from medseg.geometry import Geometry
from medseg.records import Array
from monai.metrics import (
    compute_average_surface_distance,
    compute_confusion_matrix_metric,
    compute_hausdorff_distance,
    compute_surface_dice,
    get_confusion_matrix,
)

SPACING_MM = (0.8, 1.5, 4.0)
SHAPE = (24, 20, 16)
LABELS = {"liver": 1, "tumour": 2}


def grid(shape: tuple[int, int, int] = SHAPE, spacing_mm: tuple[float, float, float] = SPACING_MM) -> Geometry:
    return Geometry(shape, np.diag([*spacing_mm, 1.0]))


def contract(**changes: object) -> EvaluationContract:
    return EvaluationContract.model_validate({"labels": LABELS, **changes})


def box(*starts: int, size: int = 6, value: int = 1) -> Array:
    array = np.zeros(SHAPE, np.uint8)
    array[tuple(slice(start, start + size) for start in starts)] = value
    return array


def values(label: Array, mask: Array, *, geometry: Geometry | None = None, **changes: object) -> dict[str, float]:
    rows = case_metrics(label, mask, geometry or grid(), contract(**changes), case_id="a")
    return rows[0].values


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_cube_shifted_by_a_voxel_has_the_answers_of_the_formulas(axis: int) -> None:
    starts = [5, 5, 5]
    label = box(*starts)
    starts[axis] += 1
    found = values(label, box(*starts), tolerances_mm=(0.5, 4.0))
    both, one, all_voxels = 5 * 36, 216, math.prod(SHAPE)
    assert found["dice"] == both / one
    assert found["iou"] == both / (2 * one - both)
    assert found["sensitivity"] == found["precision"] == both / one
    assert found["specificity"] == (all_voxels - 2 * one + both) / (all_voxels - one)
    assert found["accuracy"] == (all_voxels - 2 * (one - both)) / all_voxels
    assert found["hd_mm"] == found["hd95_mm"] == pytest.approx(SPACING_MM[axis])
    assert found["centre_distance_mm"] == pytest.approx(SPACING_MM[axis])
    assert found["volume_difference_ml"] == 0.0
    assert found["volume_similarity"] == 1.0
    assert found["surface_dice_4mm"] == 1.0
    assert 0 < found["surface_dice_0.5mm"] < 1


def test_mask_that_is_twice_as_large_is_told_in_millilitres() -> None:
    mask = box(5, 5, 5)
    mask[5:11, 5:11, 11:15] = 1
    found = values(box(5, 5, 5), mask)
    voxel_ml = 0.8 * 1.5 * 4.0 / 1000
    assert found["volume_difference_ml"] == pytest.approx(6 * 6 * 4 * voxel_ml)
    assert found["volume_similarity"] == pytest.approx(1 - 4 / 16)
    assert found["centre_distance_mm"] == pytest.approx(2 * 4.0)
    assert found["hd_mm"] == pytest.approx(4 * 4.0)


def test_spheres_one_inside_the_other_are_their_radii_apart() -> None:
    centre, shape = np.array([20.0, 20.0, 20.0]), (41, 41, 41)
    away = np.linalg.norm(np.indices(shape).T - centre, axis=-1).T
    label, mask = (away <= 15).astype(np.uint8), (away <= 10).astype(np.uint8)
    found = values(label, mask, geometry=grid(shape, (1.0, 1.0, 1.0)), tolerances_mm=(3.0, 6.0))
    assert found["assd_mm"] == pytest.approx(5.0, abs=0.25)
    assert found["hd_mm"] == pytest.approx(5.0, abs=0.8)
    assert found["centre_distance_mm"] == pytest.approx(0.0, abs=1e-9)
    assert (found["surface_dice_3mm"], found["surface_dice_6mm"]) == (0.0, 1.0)


def test_turned_and_flipped_grids_give_the_same_numbers() -> None:
    rng = np.random.default_rng(1)
    label = box(3, 3, 3)
    mask = box(4, 5, 2, size=7) * (rng.random(SHAPE) < 0.9).astype(np.uint8)
    plain = values(label, mask)
    order = (2, 0, 1)
    turned = values(
        label.transpose(order)[::-1],
        mask.transpose(order)[::-1],
        geometry=grid(tuple(SHAPE[axis] for axis in order), tuple(SPACING_MM[axis] for axis in order)),
    )
    assert turned == pytest.approx(plain, rel=1e-6)
    angle = 0.3
    oblique = np.eye(4)
    oblique[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    tilted = Geometry(SHAPE, oblique @ grid().affine)
    assert values(label, mask, geometry=tilted) == pytest.approx(plain, rel=1e-6)


def test_empty_structures_follow_the_contract() -> None:
    empty, full = np.zeros(SHAPE, np.uint8), box(2, 2, 2)
    diagonal = math.hypot(24 * 0.8, 20 * 1.5, 16 * 4.0)
    left_out = values(empty, empty)
    defined = {"accuracy": 1.0, "specificity": 1.0, "volume_difference_ml": 0.0}
    assert {name: value for name, value in left_out.items() if value == value} == defined
    perfect = values(empty, empty, both_empty="perfect")
    assert perfect["dice"] == perfect["surface_dice_1mm"] == perfect["volume_similarity"] == 1.0
    assert perfect["hd95_mm"] == perfect["centre_distance_mm"] == 0.0
    for label, mask in ((empty, full), (full, empty)):
        worst = values(label, mask)
        assert worst["dice"] == worst["iou"] == worst["precision"] == worst["surface_dice_3mm"] == 0.0
        assert worst["volume_similarity"] == 0.0
        for name in ("hd_mm", "hd95_mm", "assd_mm", "centre_distance_mm"):
            assert worst[name] == pytest.approx(diagonal)
        missing = values(label, mask, one_empty="left out")
        assert math.isnan(missing["dice"])
        assert math.isnan(missing["hd_mm"])
        assert missing["volume_difference_ml"] != 0.0
    assert math.isnan(values(empty, full)["sensitivity"])
    assert values(full, empty)["sensitivity"] == 0.0


def test_regions_join_labels_and_have_tolerances_of_their_own() -> None:
    label, mask = box(4, 4, 4, size=8), box(4, 4, 4, size=8)
    label[6:9, 6:9, 6:9] = 2
    rows = case_metrics(
        label,
        mask,
        grid(),
        contract(regions={"whole": ("liver", "tumour")}, tolerances_by_structure_mm={"whole": (2.0,)}),
        case_id="a",
    )
    by_name = {row.label: row for row in rows}
    assert list(by_name) == ["liver", "tumour", "whole"]
    assert by_name["whole"].values["dice"] == 1.0
    assert by_name["whole"].values["surface_dice_2mm"] == 1.0
    assert "surface_dice_1mm" not in by_name["whole"].values
    assert by_name["tumour"].values["dice"] == 0.0
    assert by_name["tumour"].label_voxels == 27


def test_structures_with_metrics_of_their_own_are_summarised_and_written(tmp_path: Path) -> None:
    label = box(4, 4, 4, size=8)
    label[6:9, 6:9, 6:9] = 2
    rules = contract(
        regions={"whole": ("liver", "tumour")}, tolerances_by_structure_mm={"whole": (2.0,)}, objects=("tumour",)
    )
    rows = case_metrics(label, box(5, 4, 4, size=8), grid(), rules, case_id="a")
    summary = summarise(rows)
    known = {(entry.label, entry.metric) for entry in summary.labels}
    assert ("whole", "surface_dice_2mm") in known
    assert ("liver", "surface_dice_2mm") not in known
    assert ("tumour", "objects_f1") in known
    write_metrics(rows, tmp_path / "metrics.csv")
    write_summary(summary, tmp_path / "summary.json", contract=rules, notes={"patients": {"a": "p"}})
    again = load_evaluation(tmp_path)
    assert again.contract == rules
    assert again.patients == {"a": "p"}
    by_name = {row.label: row for row in again.rows}
    for row in rows:
        assert {k: v for k, v in by_name[row.label].values.items() if v == v} == pytest.approx(
            {k: v for k, v in row.values.items() if v == v}, abs=1e-6
        )


def test_objects_are_counted_where_the_contract_asks_for_them() -> None:
    label = box(1, 1, 1, size=4) | box(12, 12, 10, size=4)
    mask = box(1, 1, 1, size=4) | box(18, 2, 2, size=3)
    found = values(label, mask, objects=("liver",))
    assert (found["objects_in_label"], found["objects_in_mask"]) == (2, 2)
    assert (found["objects_found"], found["objects_false"]) == (1, 1)
    assert found["objects_sensitivity"] == found["objects_f1"] == found["objects_panoptic"] == 0.5
    assert "objects_f1" not in values(label, mask)
    none = values(np.zeros_like(label), np.zeros_like(label), objects=("liver",))
    assert none["objects_in_label"] == 0
    assert math.isnan(none["objects_f1"])


def test_pictures_have_outlines_in_their_plane() -> None:
    label, mask = np.zeros((20, 20, 1), np.uint8), np.zeros((20, 20, 1), np.uint8)
    label[4:12, 4:12], mask[6:14, 4:12] = 1, 1
    found = values(label, mask, geometry=grid((20, 20, 1), (0.5, 0.5, 1.0)), tolerances_mm=(0.4, 1.0))
    assert found["hd_mm"] == pytest.approx(1.0)
    assert found["surface_dice_1mm"] == 1.0
    assert 0.3 < found["surface_dice_0.4mm"] < 0.9


@pytest.mark.parametrize("shape", [(1, 1, 9), (1, 9, 1), (9, 1, 1), (1, 1, 1), (1, 9, 9)])
def test_lines_and_points_are_measured(shape: tuple[int, int, int]) -> None:
    label, mask = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    label.flat[: label.size // 2 + 1] = 1
    mask.flat[: label.size // 2] = 1
    found = values(label, mask | (label if label.size == 1 else 0), geometry=grid(shape))
    assert 0.5 < found["dice"] <= 1
    assert found["hd_mm"] < 5


def test_structure_of_one_slice_in_a_volume_is_all_surface() -> None:
    label, mask = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    label[4:12, 4:12, 7], mask[4:12, 4:12, 8] = 1, 1
    assert values(label, mask)["assd_mm"] == pytest.approx(4.0)


def monai_values(
    label: Array, mask: Array, spacing_mm: tuple[float, float, float], tolerance: float
) -> dict[str, float]:
    ours, theirs = (torch.from_numpy(part == 1)[None, None] for part in (mask, label))
    shared = {"include_background": True, "spacing": list(spacing_mm)}
    confusion = get_confusion_matrix(ours.float(), theirs.float())
    found = {
        "hd_mm": compute_hausdorff_distance(ours, theirs, **shared),
        "hd95_mm": compute_hausdorff_distance(ours, theirs, percentile=95, **shared),
        "assd_mm": compute_average_surface_distance(ours, theirs, symmetric=True, **shared),
        f"surface_dice_{tolerance:g}mm": compute_surface_dice(
            ours, theirs, class_thresholds=[tolerance], use_subvoxels=True, **shared
        ),
    }
    found |= {
        name: compute_confusion_matrix_metric(name, confusion) for name in ("sensitivity", "specificity", "precision")
    }
    return {name: float(value) for name, value in found.items()}


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI's own call of itself
@pytest.mark.parametrize("seed", range(6))
def test_numbers_are_those_of_monai(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spacing_mm = tuple(float(mm) for mm in rng.uniform(0.4, 3.0, 3))
    shape = tuple(int(size) for size in rng.integers(12, 26, 3))
    away = [np.linalg.norm((np.indices(shape).T - rng.uniform(5, 9, 3)) * 1.0, axis=-1).T for _ in range(2)]
    label, mask = ((part + rng.normal(0, 0.6, shape) < 4.5).astype(np.uint8) for part in away)
    tolerance = float(rng.uniform(0.5, 2.5))
    geometry = grid(shape, spacing_mm)  # type: ignore[arg-type]
    found = values(label, mask, geometry=geometry, tolerances_mm=(tolerance,))
    for name, value in monai_values(label, mask, spacing_mm, tolerance).items():  # type: ignore[arg-type]
        assert found[name] == pytest.approx(value, rel=1e-6), name
    assert found["hd_mm"] == pytest.approx(itk_hausdorff(label, mask, spacing_mm), rel=1e-6)


def itk_hausdorff(label: Array, mask: Array, spacing_mm: Sequence[float]) -> float:
    images = [SimpleITK.GetImageFromArray(part.T) for part in (label, mask)]
    for image in images:
        image.SetSpacing(list(spacing_mm))
    measure = SimpleITK.HausdorffDistanceImageFilter()
    measure.Execute(*images)
    return float(measure.GetHausdorffDistance())


def test_cavity_is_a_surface_here_and_not_in_simpleitk() -> None:
    label, mask = np.zeros((25, 25, 25), np.uint8), np.zeros((25, 25, 25), np.uint8)
    label[2:23, 2:23, 2:23], mask[2:23, 2:23, 2:23] = 1, 1
    mask[11:14, 11:14, 11:14] = 0
    found = values(label, mask, geometry=grid((25, 25, 25), (1.0, 1.0, 1.0)))
    assert found["hd_mm"] == pytest.approx(8.0)  # from the cavity's wall to the outer surface
    assert itk_hausdorff(label, mask, (1.0, 1.0, 1.0)) == pytest.approx(2.0)  # from its middle to the wall


def test_other_shapes_are_refused() -> None:
    with pytest.raises(GeometryError, match="voxels of its grid"):
        case_metrics(box(1, 1, 1), box(1, 1, 1), grid((5, 5, 5)), contract(), case_id="a")
    with pytest.raises(GeometryError, match="put both on one grid first"):
        case_metrics(box(1, 1, 1), np.zeros((2, 2, 2), np.uint8), grid(), contract(), case_id="a")
