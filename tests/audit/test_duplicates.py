from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from medseg.geometry import Geometry
from medseg.scans import write_scan

from tests.audit.dirty import Dataset, findings, only

CASE, PATIENT = "phantom_01_0", "patient_01"


def add_copy(dataset: Dataset, *, patient_id: str, split: str = "training") -> tuple[Path, Path]:
    """A further case with copies of a case's files."""
    new = (dataset.folder / "imagesTr/new.nii.gz", dataset.folder / "labelsTr/new.nii.gz")
    for source, target in zip((dataset.image(CASE), dataset.label(CASE)), new, strict=True):
        shutil.copy(source, target)
    dataset.add(split, case_id="new", patient_id=patient_id, image="imagesTr/new.nii.gz", label="labelsTr/new.nii.gz")
    return new


def reexport(path: Path, axcodes: str) -> None:
    """The same scan with its voxels in another order."""
    image = nibabel.load(path)
    old = Geometry(image.shape, image.affine)
    new = old.reoriented(axcodes)
    voxels = np.asanyarray(image.dataobj).copy()
    for maps in [new.axis_maps(old)]:
        voxels = voxels.transpose([axis.source_axis for axis in maps])
        voxels = voxels[tuple(slice(None, None, -1 if axis.scale < 0 else 1) for axis in maps)]
    write_scan(voxels[None], new, path)


def test_file_listed_for_two_patients_is_an_error(dataset: Dataset) -> None:
    entry = dataset.entry(CASE)
    dataset.add(case_id="new", patient_id="somebody", image=entry["image"], label=entry["label"])
    found = only(dataset.audit())
    assert (found.check, found.severity, found.case_id) == ("duplicate_image", "error", "new")
    assert found.fact.endswith(f"got the same file as case {CASE}, of another patient")
    assert (found.others, found.is_fixable) == ((CASE,), False)


def test_copied_file_is_told_by_its_bytes(dataset: Dataset) -> None:
    add_copy(dataset, patient_id="somebody")
    assert "the bytes of" in only(dataset.audit()).fact


def test_export_in_another_orientation_is_told_by_its_voxels(dataset: Dataset) -> None:
    for path in add_copy(dataset, patient_id="somebody"):
        reexport(path, "PIR")
    found = only(dataset.audit())
    assert (found.check, found.severity) == ("duplicate_image", "error")
    assert "the voxels of" in found.fact


def test_copy_of_the_same_patient_is_a_warning_that_can_be_fixed(dataset: Dataset) -> None:
    add_copy(dataset, patient_id=PATIENT)
    found = only(dataset.audit())
    assert (found.severity, found.is_fixable) == ("warning", True)
    assert "of the same patient" in found.fact


def test_copy_with_another_label_is_not_fixed(dataset: Dataset) -> None:
    _, label = add_copy(dataset, patient_id=PATIENT)
    dataset.edit_voxels(label, lambda voxels: np.where(voxels == 1, 0, voxels).astype(np.uint8))
    found = [one for one in findings(dataset.audit()) if one.check == "duplicate_image"]
    assert [(one.severity, one.is_fixable) for one in found] == [("warning", False)]


def test_copy_in_the_test_set_is_an_error(dataset: Dataset) -> None:
    add_copy(dataset, patient_id=PATIENT, split="test")
    found = {one.check: one for one in findings(dataset.audit())}
    assert set(found) == {"duplicate_image", "test_in_training"}
    assert (found["duplicate_image"].severity, found["duplicate_image"].is_fixable) == ("error", False)
    assert found["duplicate_image"].fact.endswith("of the same patient, in training")


def test_noisy_rescaled_copy_under_another_id_is_a_near_duplicate(dataset: Dataset) -> None:
    image, label = add_copy(dataset, patient_id="somebody")
    rng = np.random.default_rng(0)
    dataset.edit_voxels(image, lambda a: (1.5 * a + rng.normal(0, 20, a.shape)).astype(np.float32))
    dataset.edit_voxels(label, lambda a: np.where(a == 1, 1, 0).astype(np.uint8))
    found = only(dataset.audit())
    assert (found.check, found.severity, found.case_id, found.others) == ("near_duplicate", "error", "new", (CASE,))
    assert "likeness 1.00" in found.fact


def test_mirrored_copy_is_told_with_its_axis(dataset: Dataset) -> None:
    image, label = add_copy(dataset, patient_id="somebody")
    label.unlink()
    dataset.set("new", label=None)
    axis = next(n for n, code in enumerate(nibabel.aff2axcodes(nibabel.load(image).affine)) if code in "LR")
    dataset.edit_voxels(image, lambda voxels: np.flip(voxels, axis).copy())
    found = next(one for one in findings(dataset.audit()) if one.check == "near_duplicate")
    assert "mirrored left and right" in found.fact


def test_two_scans_of_a_patient_that_look_alike_are_a_note(dataset: Dataset) -> None:
    image, _ = add_copy(dataset, patient_id=PATIENT)
    dataset.edit_voxels(image, lambda voxels: (voxels * 1.5).astype(np.float32))
    audit = dataset.audit()
    assert [one.severity for one in audit.findings if one.check == "near_duplicate"] == ["note"]
    assert findings(audit) == []


@pytest.mark.parametrize(("patient_id", "severity"), [("patient_01", "note"), ("somebody", "error")])
def test_label_of_another_image_is_told(dataset: Dataset, patient_id: str, severity: str) -> None:
    image, _ = add_copy(dataset, patient_id=patient_id)
    rng = np.random.default_rng(0)
    dataset.edit_voxels(image, lambda voxels: rng.permutation(voxels.ravel()).reshape(voxels.shape))
    found = [one for one in dataset.audit().findings if one.check == "duplicate_label"]
    assert [(one.severity, one.case_id, one.others) for one in found] == [(severity, "new", (CASE,))]


def test_empty_labels_are_no_duplicates(dataset: Dataset) -> None:
    for case_id in (CASE, "phantom_04_0"):
        dataset.edit_voxels(dataset.label(case_id), lambda label: label * 0)
    dataset.change(allow_empty_labels=True)
    assert findings(dataset.audit()) == []


def test_third_copy_is_compared_with_the_first(dataset: Dataset) -> None:
    add_copy(dataset, patient_id="somebody")
    dataset.add(case_id="third", patient_id="else", image="imagesTr/new.nii.gz", label="labelsTr/new.nii.gz")
    found = findings(dataset.audit())
    assert [(one.case_id, one.check) for one in found] == [("third", "duplicate_image"), ("new", "duplicate_image")]


def test_files_that_cannot_be_read_are_no_duplicates(dataset: Dataset) -> None:
    for case_id in (CASE, "phantom_04_0"):
        dataset.image(case_id).write_bytes(b"")
    assert [found.check for found in findings(dataset.audit())] == ["unreadable", "unreadable"]


def test_compression_is_not_content(dataset: Dataset) -> None:
    image, _ = add_copy(dataset, patient_id="somebody")
    image.write_bytes(gzip.compress(gzip.decompress(image.read_bytes()), compresslevel=1))
    assert "the voxels of" in only(dataset.audit()).fact
