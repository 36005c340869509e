"""Headers: two places for one patient, and axes that are not perpendicular."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from medseg.audit.facts import FileFacts
from medseg.audit.form_checks import REFUSED_SHEAR, check_forms
from medseg.geometry import Geometry, affine_distance_mm, shear_of, straightened
from medseg.scans import NiftiForms, read_nifti_forms

from tests.audit.dirty import Dataset, findings, only

Edit = Callable[[nibabel.Nifti1Header], None]
CASE = "phantom_01_0"


def moved_qform(millimetres: float) -> Edit:
    def edit(header: nibabel.Nifti1Header) -> None:
        affine = header.get_qform()
        affine[2, 3] += millimetres
        header.set_qform(affine, code=1)

    return edit


def sheared(cosine: float) -> Edit:
    def edit(header: nibabel.Nifti1Header) -> None:
        affine = header.get_sform()
        first, second = affine[:3, 0], affine[:3, 1]
        affine[:3, 1] = second + cosine * np.linalg.norm(second) * first / np.linalg.norm(first)
        header.set_sform(affine, code=1)

    return edit


def spoil(dataset: Dataset, edit: Edit) -> None:
    for path in (dataset.image(CASE), dataset.label(CASE)):
        dataset.edit_header(path, edit)


def test_conflict_of_sform_and_qform_is_an_error_with_its_millimetres(dataset: Dataset) -> None:
    dataset.edit_header(dataset.image(CASE), moved_qform(7.5))
    found = only(dataset.audit())
    assert (found.check, found.severity, found.case_id, found.is_fixable) == ("sform_qform", "error", CASE, True)
    assert "got up to 7.5 mm apart" in found.fact


def test_conflict_of_image_and_label_alike_is_told_once(dataset: Dataset) -> None:
    spoil(dataset, moved_qform(7.5))
    assert only(dataset.audit()).check == "sform_qform"


def test_conflict_of_less_than_half_a_voxel_is_a_warning(dataset: Dataset) -> None:
    dataset.edit_header(dataset.image(CASE), moved_qform(0.5))
    assert (only(dataset.audit()).check, only(dataset.audit()).severity) == ("sform_qform", "warning")


def test_rounding_of_a_quaternion_is_no_conflict(dataset: Dataset) -> None:
    dataset.edit_header(dataset.image(CASE), moved_qform(0.05))
    assert findings(dataset.audit()) == []


def test_conflict_is_measured_by_the_voxel_where_voxels_are_small() -> None:
    micrometres = np.diag([0.7e-3, 0.7e-3, 2e-3, 1.0])
    forms = NiftiForms((9, 9, 9), micrometres, 1, 1, conflict_mm=7.5e-3, voxel_type="int16")
    (found,) = check_forms(CASE, (FileFacts("a.nii.gz", False, {}, forms),))
    assert (found.check, found.severity) == ("sform_qform", "error")
    near = replace(forms, conflict_mm=1e-4)
    assert check_forms(CASE, (FileFacts("a.nii.gz", False, {}, near),)) == []


def test_broken_quaternion_is_a_conflict(dataset: Dataset) -> None:
    def edit(header: nibabel.Nifti1Header) -> None:
        header["quatern_b"], header["quatern_c"] = 1.0, 1.0

    dataset.edit_header(dataset.image(CASE), edit)
    assert "got a qform that is broken" in only(dataset.audit()).fact


def test_one_form_alone_is_no_conflict(dataset: Dataset) -> None:
    def edit(header: nibabel.Nifti1Header) -> None:
        header.set_sform(np.eye(4), code=0)

    dataset.edit_header(dataset.image(CASE), edit)
    assert findings(dataset.audit()) == []


def test_slight_shear_can_be_fixed_and_says_how_far_voxels_move(dataset: Dataset) -> None:
    spoil(dataset, sheared(2e-3))
    found = only(dataset.audit())
    assert (found.check, found.severity, found.is_fixable) == ("shear", "error", True)
    assert "got a shear of 0.002 (cosine)" in found.fact
    assert re.search(r"moves voxels by up to 0\.\d+ mm", found.remedy)


def test_gantry_tilt_cannot_be_fixed(dataset: Dataset) -> None:
    spoil(dataset, sheared(0.2))
    found = only(dataset.audit())
    assert (found.check, found.severity, found.is_fixable) == ("shear", "error", False)
    assert "resample it onto a straight grid" in found.remedy


def test_shear_that_only_simpleitk_refuses_is_a_warning(dataset: Dataset) -> None:
    spoil(dataset, sheared(3e-4))
    found = only(dataset.audit())
    assert (found.check, found.severity, found.is_fixable) == ("shear", "warning", True)


def test_header_without_a_form_is_told(dataset: Dataset) -> None:
    def edit(header: nibabel.Nifti1Header) -> None:
        header["sform_code"] = header["qform_code"] = 0

    spoil(dataset, edit)
    assert [found.check for found in findings(dataset.audit())] == ["orientation"]


@pytest.mark.parametrize(("factor", "is_read"), [(0.5, True), (2.0, False)])
def test_bound_of_the_shear_is_that_of_simpleitk(tmp_path: Path, factor: float, is_read: bool) -> None:
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[0, 1] = factor * REFUSED_SHEAR
    image = nibabel.Nifti1Image(np.zeros((5, 6, 7), np.int16), affine)
    image.set_sform(affine, code=1)
    image.set_qform(None, code=0)
    image.to_filename(tmp_path / "a.nii.gz")
    if is_read:
        sitk.ReadImage(str(tmp_path / "a.nii.gz"))
    else:
        with pytest.raises(RuntimeError, match="orthonormal"):
            sitk.ReadImage(str(tmp_path / "a.nii.gz"))


def test_forms_of_a_pair_are_those_of_its_header(tmp_path: Path) -> None:
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    nibabel.Nifti1Pair(np.zeros((4, 5, 6), np.int16), affine).to_filename(tmp_path / "a.img")
    for name in ("a.hdr", "a.img"):
        forms = read_nifti_forms(tmp_path / name)
        assert forms is not None
        assert forms.shape == (4, 5, 6)
        np.testing.assert_allclose(forms.affine, affine)


def test_voxel_type_is_named_alike_in_both_byte_orders(tmp_path: Path) -> None:
    for order in "<>":
        header = nibabel.Nifti1Header(endianness=order)
        header.set_data_dtype(np.float32)
        nibabel.Nifti1Image(np.zeros((4, 5, 6), np.float32), np.eye(4), header).to_filename(tmp_path / "a.nii")
        forms = read_nifti_forms(tmp_path / "a.nii")
        assert forms is not None
        assert forms.voxel_type == "float32"


def test_forms_in_metres_are_told_in_millimetres(tmp_path: Path) -> None:
    affine = np.diag([0.002, 0.002, 0.003, 1.0])
    moved = affine.copy()
    moved[1, 3] += 0.007
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), affine)
    image.set_sform(affine, code=1)
    image.set_qform(moved, code=1)
    image.header.set_xyzt_units("meter")
    image.to_filename(tmp_path / "a.nii")
    forms = read_nifti_forms(tmp_path / "a.nii")
    assert forms is not None
    np.testing.assert_allclose(np.diag(forms.affine)[:3], (2, 2, 3), rtol=1e-6)
    assert forms.conflict_mm == pytest.approx(7, abs=1e-3)


@pytest.mark.parametrize("name", ["a.png", "a.nii.gz"])
def test_file_that_is_no_nifti_has_no_forms(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing")
    assert read_nifti_forms(tmp_path / name) is None


def test_straightened_grid_is_the_nearest_and_keeps_centre_and_spacing() -> None:
    affine = np.array([[0.8, 0.1, 0, 5], [0, 1.2, 0, -3], [0.02, 0, 2.5, 9], [0, 0, 0, 1]])
    shape = (11, 21, 5)
    straight = straightened(shape, affine)
    assert shear_of(straight.affine) < 1e-12
    np.testing.assert_allclose(straight.spacing_mm, np.linalg.norm(affine[:3, :3], axis=0))
    centre = np.array([5, 10, 2, 1])
    np.testing.assert_allclose(straight.affine @ centre, affine @ centre)


def test_straight_grid_stays() -> None:
    affine = np.diag([0.8, 1.2, 2.5, 1.0])
    assert affine_distance_mm((9, 9, 9), straightened((9, 9, 9), affine).affine, affine) < 1e-12


def test_distance_of_affines_is_that_of_the_furthest_corner() -> None:
    affine = np.eye(4)
    other = Geometry((11, 6, 1), np.diag([1.1, 1.0, 1.0, 1.0])).affine
    assert affine_distance_mm((11, 6, 1), affine, other) == pytest.approx(1.0)
