from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.delivery.audit import draw_planes
from medseg.geometry import Geometry
from medseg.scans import write_scan

from tests.audit.dirty import Dataset, findings, only

CASE = "phantom_01_0"


def test_value_that_the_manifest_does_not_name_is_an_error(dataset: Dataset) -> None:
    def edit(label: np.ndarray) -> np.ndarray:
        label[0, 0, 0] = 9
        return label

    dataset.edit_voxels(dataset.label(CASE), edit)
    found = only(dataset.audit())
    assert (found.check, found.severity, found.case_id) == ("label_values", "error", CASE)
    assert found.fact == "label values must be among [0, 1, 2, 3], got 9"


@pytest.mark.parametrize(("case_id", "severity"), [(CASE, "error"), ("phantom_07_0", "warning")])
def test_empty_label_is_an_error_in_training_and_a_warning_in_the_test_set(
    dataset: Dataset, case_id: str, severity: str
) -> None:
    dataset.edit_voxels(dataset.label(case_id), lambda label: label * 0)
    assert (only(dataset.audit()).check, only(dataset.audit()).severity) == ("empty_label", severity)


def test_empty_label_is_fine_where_the_manifest_allows_it(dataset: Dataset) -> None:
    dataset.edit_voxels(dataset.label(CASE), lambda label: label * 0)
    dataset.change(allow_empty_labels=True)
    assert findings(dataset.audit()) == []


def test_training_case_without_label_is_an_error(dataset: Dataset) -> None:
    dataset.set(CASE, label=None)
    assert (only(dataset.audit()).check, only(dataset.audit()).case_id) == ("missing_label", CASE)


def test_test_case_without_label_is_fine(dataset: Dataset) -> None:
    dataset.set("phantom_07_0", label=None)
    assert findings(dataset.audit()) == []


def test_labels_stored_with_fractions_are_a_warning(dataset: Dataset) -> None:
    dataset.edit_voxels(dataset.label(CASE), lambda label: label.astype(np.float32))
    found = only(dataset.audit())
    assert (found.check, found.severity, found.is_fixable) == ("label_type", "warning", True)


def turn_by_slope(dataset: Dataset, path: Path) -> None:
    """Store 3 minus each value under a slope of -1 and an intercept of 3, which show the values as they were."""

    def edit(header) -> None:  # type: ignore[no-untyped-def]
        header["scl_slope"], header["scl_inter"] = -1, 3

    dataset.edit_voxels(path, lambda label: 3 - label)
    dataset.edit_header(path, edit)


def test_label_under_a_slope_is_its_scaled_values_and_a_warning(dataset: Dataset) -> None:
    before = dataset.audit().cases[0].labels
    turn_by_slope(dataset, dataset.label(CASE))
    audit = dataset.audit()
    found = only(audit)
    assert (found.check, found.severity, found.is_fixable) == ("label_type", "warning", True)
    assert "without a slope, got slope -1 and intercept 3" in found.fact
    assert audit.cases[0].labels == before


def test_slope_that_makes_unnamed_values_is_named(dataset: Dataset) -> None:
    def edit(header) -> None:  # type: ignore[no-untyped-def]
        header["scl_slope"], header["scl_inter"] = 3, 0

    dataset.edit_header(dataset.label(CASE), edit)
    (found,) = [one for one in findings(dataset.audit()) if one.check == "label_values"]
    assert "got 6, 9 (stored values times the header's slope 3 plus its intercept 0)" in found.fact


@pytest.mark.parametrize("slope", [0.0, 1.0, np.nan])
def test_slope_that_changes_nothing_is_fine(dataset: Dataset, slope: float) -> None:
    def edit(header) -> None:  # type: ignore[no-untyped-def]
        header["scl_slope"], header["scl_inter"] = slope, 0

    dataset.edit_header(dataset.label(CASE), edit)
    assert findings(dataset.audit()) == []


def test_label_that_holds_fractions_cannot_be_read(dataset: Dataset) -> None:
    dataset.edit_voxels(dataset.label(CASE), lambda label: label.astype(np.float32) / 2)
    assert (only(dataset.audit()).check, only(dataset.audit()).severity) == ("unreadable", "error")
    assert "whole numbers" in only(dataset.audit()).fact


def shift_label(dataset: Dataset, millimetres: float) -> None:
    def edit(header) -> None:  # type: ignore[no-untyped-def]
        affine = header.get_sform()
        affine[0, 3] += millimetres
        header.set_sform(affine, code=1)
        header.set_qform(affine, code=1)

    dataset.edit_header(dataset.label(CASE), edit)


def test_label_on_another_grid_is_an_error_that_is_not_fixed(dataset: Dataset) -> None:
    shift_label(dataset, 3.0)
    found = only(dataset.audit())
    assert (found.check, found.severity, found.is_fixable) == ("grid", "error", False)
    assert "got corners up to 3 mm apart" in found.fact


def test_label_off_by_a_rounded_header_can_be_fixed(dataset: Dataset) -> None:
    shift_label(dataset, 0.1)
    found = only(dataset.audit())
    assert (found.check, found.severity, found.is_fixable) == ("grid", "error", True)


def test_label_of_another_shape_is_an_error(dataset: Dataset) -> None:
    path = dataset.label(CASE)
    dataset.edit_voxels(path, lambda label: label[:, :, :-1])
    found = only(dataset.audit())
    assert (found.check, found.is_fixable) == ("grid", False)
    assert "got shape" in found.fact


def test_specks_are_counted_and_measured(dataset: Dataset) -> None:
    case_id = "phantom_05_0"
    dataset.edit_voxels(dataset.label(case_id), lambda label: np.where(label == 1, 1, 0).astype(np.uint8))

    def edit(label: np.ndarray) -> np.ndarray:
        label[1, 1, 1], label[1, 1, 5:7] = 1, 1
        return label

    dataset.edit_voxels(dataset.label(case_id), edit)
    found = [one for one in findings(dataset.audit()) if one.check == "speckle"]
    assert [(one.case_id, one.severity) for one in found] == [(case_id, "warning")]
    assert "label liver must hold no specks, got 2 (3 of " in found[0].fact


def test_picture_dataset_with_instances_is_clean(tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    training = []
    for number in range(3):
        picture = rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)
        cells = np.zeros((40, 50), np.uint16)
        for value in range(1, 6):
            cells[7 * value : 7 * value + 4, 3 + number * 10 : 9 + number * 10] = 300 * value
        for name, pixels in (("image", picture), ("cells", cells)):
            Image.fromarray(pixels).save(tmp_path / f"{name}{number}.png")
        training.append(
            {
                "case_id": f"c{number}",
                "patient_id": f"p{number}",
                "image": f"image{number}.png",
                "label": f"cells{number}.png",
            }
        )
    dataset = Dataset(tmp_path, tmp_path.with_name("copy"))
    (dataset.folder / "dataset.json").write_text("{}")
    dataset.change(
        name="cells",
        channel_names={"0": "red", "1": "green", "2": "blue"},
        labels={"background": 0, "cell": 1},
        instances=True,
        training=training,
        test=[],
    )
    audit = dataset.audit(draw=draw_planes)
    assert audit.findings == ()
    assert all(facts.is_picture and facts.labels["cell"].voxels == 5 * 4 * 6 for facts in audit.cases)
    assert all(facts.labels["cell"].ml == 0 and len(facts.planes) == 1 for facts in audit.cases)


def test_flipped_label_header_is_not_taken_for_rounding(dataset: Dataset) -> None:
    path = dataset.label(CASE)
    import nibabel

    image = nibabel.load(path)
    flipped = Geometry(image.shape, image.affine).reoriented("LPI")
    write_scan(np.asanyarray(image.dataobj).copy()[None], Geometry(image.shape, flipped.affine), path)
    audit = dataset.audit()
    assert "grid" in [found.check for found in audit.findings]
    assert not any(found.is_fixable for found in audit.findings if found.check == "grid")
