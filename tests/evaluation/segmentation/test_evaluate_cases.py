"""A folder of masks against a manifest's labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from medseg.errors import ScanError
from medseg.evaluation.segmentation import evaluate_cases, find_mask
from medseg.geometry import Geometry
from medseg.records import Array, Case, Manifest
from medseg.scans import write_scan

from tests.coded_labels import put_under_slope

GRID = Geometry((6, 5, 4), np.diag([-2.0, 1.5, 4.0, 1.0]))
LABELS = {"background": 0, "liver": 1, "spleen": 2}


def drawing(*corners: tuple[int, int]) -> Array:
    """A volume with one voxel-wide box of each value along i, from start to end."""
    array = np.zeros(GRID.shape, np.uint8)
    for value, (start, end) in enumerate(corners, start=1):
        array[start:end, value, 1] = value
    return array


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[Manifest, Path]:
    """Three cases with liver and spleen, the last without a spleen."""
    labels = {"a": drawing((0, 4), (1, 3)), "b": drawing((0, 4), (1, 3)), "c": drawing((2, 4))}
    for case_id, array in labels.items():
        write_scan(array[np.newaxis], GRID, tmp_path / "labels" / f"{case_id}.nii.gz")
    cases = tuple(
        Case(case_id=name, patient_id=name, images=(f"{name}.nii.gz",), label=f"labels/{name}.nii.gz")
        for name in labels
    )
    return Manifest(name="boxes", channels=("CT",), labels=LABELS, cases=cases), tmp_path


def put_mask(root: Path, case_id: str, array: Array, grid: Geometry = GRID) -> None:
    write_scan(array[np.newaxis], grid, root / "masks" / f"{case_id}.nii.gz")


def test_metrics_are_those_of_the_drawn_boxes(dataset: tuple[Manifest, Path]) -> None:
    manifest, root = dataset
    put_mask(root, "a", drawing((2, 6), (1, 3)))
    put_mask(root, "b", drawing((0, 2)))
    put_mask(root, "c", drawing((2, 4)))
    done: list[str] = []
    rows, failures = evaluate_cases(manifest.cases, manifest, root, masks=root / "masks", on_done=done.append)
    assert failures == []
    assert done == ["a", "b", "c"]
    dice = {(row.case_id, row.label): row.values["dice"] for row in rows}
    expected = {
        ("a", "liver"): 2 * 2 / (4 + 4), ("a", "spleen"): 1.0,
        ("b", "liver"): 2 * 2 / (4 + 2), ("b", "spleen"): 0.0,
        ("c", "liver"): 1.0, ("c", "spleen"): float("nan"),
    }  # fmt: skip
    assert dice == pytest.approx(expected, nan_ok=True)


def test_failures_name_the_case_and_the_others_go_on(dataset: tuple[Manifest, Path]) -> None:
    manifest, root = dataset
    moved = Geometry(GRID.shape, np.array(GRID.affine) + np.array([[0, 0, 0, 3.0], *[[0] * 4] * 3]))
    put_mask(root, "a", drawing((2, 6)), moved)
    put_mask(root, "c", drawing((2, 4)))
    rows, failures = evaluate_cases(manifest.cases, manifest, root, masks=root / "masks")
    assert {row.case_id for row in rows} == {"c"}
    assert [(failure.case_id, failure.stage) for failure in failures] == [("a", "evaluate"), ("b", "evaluate")]
    assert "case a: mask must lie on the grid of its label, got corners up to 3 mm apart" in failures[0].reason
    assert "case b: a mask must lie in masks, found none" in failures[1].reason


def test_mask_of_another_shape_is_a_failure(dataset: tuple[Manifest, Path]) -> None:
    manifest, root = dataset
    put_mask(root, "a", np.zeros((6, 5, 3), np.uint8), Geometry((6, 5, 3), GRID.affine))
    rows, (failure,) = evaluate_cases(manifest.cases[:1], manifest, root, masks=root / "masks")
    assert rows == []
    assert "shape (6, 5, 3) against (6, 5, 4)" in failure.reason


def test_flipped_mask_is_a_failure_although_its_shape_agrees(dataset: tuple[Manifest, Path]) -> None:
    manifest, root = dataset
    put_mask(root, "a", drawing((0, 4), (1, 3)), GRID.permuted((0, 1, 2), flips=(True, False, False)))
    rows, (failure,) = evaluate_cases(manifest.cases[:1], manifest, root, masks=root / "masks")
    assert rows == []
    assert "mask must lie on the grid of its label" in failure.reason


def test_value_that_the_manifest_does_not_name_is_a_failure(dataset: tuple[Manifest, Path]) -> None:
    manifest, root = dataset
    put_mask(root, "a", drawing((0, 4), (1, 3), (0, 2)))
    _, (failure,) = evaluate_cases(manifest.cases[:1], manifest, root, masks=root / "masks")
    assert "case a: mask values must be among [0, 1, 2], got [3]" in failure.reason


def test_mask_that_another_program_wrote_under_a_slope_is_measured_by_its_scaled_values(
    dataset: tuple[Manifest, Path],
) -> None:
    manifest, root = dataset
    values = drawing((0, 4), (1, 3))
    put_mask(root, "a", values)
    plain, _ = evaluate_cases(manifest.cases[:1], manifest, root, masks=root / "masks")
    path = find_mask(root / "masks", "a")
    put_under_slope(path, values * np.uint8(50), slope=0.02, intercept=0)
    scaled, failures = evaluate_cases(manifest.cases[:1], manifest, root, masks=root / "masks")
    assert failures == []
    assert scaled == plain


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".nii"])
def test_mask_of_another_program_s_format_is_found(dataset: tuple[Manifest, Path], ending: str) -> None:
    manifest, root = dataset
    put_mask(root, "a", drawing((0, 4), (1, 3)))
    plain, _ = evaluate_cases(manifest.cases[:1], manifest, root, masks=root / "masks")
    path = find_mask(root / "masks", "a")
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(path)), str(root / "masks" / f"a{ending}"))
    path.unlink()
    rows, failures = evaluate_cases(manifest.cases[:1], manifest, root, masks=root / "masks")
    assert failures == []
    assert rows == plain


def test_case_without_a_label_is_a_failure(dataset: tuple[Manifest, Path]) -> None:
    manifest, root = dataset
    put_mask(root, "a", drawing((0, 4)))
    case = manifest.cases[0].model_copy(update={"label": None})
    _, (failure,) = evaluate_cases([case], manifest, root, masks=root / "masks")
    assert "case a: label must be given in the manifest" in failure.reason


def test_labels_against_themselves_agree_wholly(cohort: tuple[Manifest, Path], tmp_path: Path) -> None:
    manifest, root = cohort
    case = manifest.cases[0]
    assert case.label is not None
    (tmp_path / f"{case.case_id}.nii.gz").write_bytes((root / case.label).read_bytes())
    rows, failures = evaluate_cases([case], manifest, root, masks=tmp_path)
    assert failures == []
    assert [row.values["dice"] for row in rows] == [1.0] * len(manifest.foreground)


@pytest.mark.parametrize("suffix", [".nii.gz", ".png", ".nii"])
def test_mask_is_found_by_its_case_whatever_its_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.touch()
    assert find_mask(tmp_path, "a") == path
    with pytest.raises(ScanError, match=r"case a_0: a mask must lie in .*run predict on this case first") as raised:
        find_mask(tmp_path, "a_0")
    assert (raised.value.case_id, raised.value.remedy) == ("a_0", "run predict on this case first")
