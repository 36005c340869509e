"""A new version with the safe repairs, and the old one as it was."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from medseg.audit import Audit, Fix, fix_dataset, load_for_audit
from medseg.errors import DeliveryError, ManifestError, ScanError
from medseg.geometry import shear_of
from medseg.manifest import load_manifest, read_case
from medseg.scans import repair_nifti

from tests.audit.dirty import Dataset, findings, only
from tests.audit.test_form_checks import moved_qform, sheared
from tests.audit.test_label_checks import turn_by_slope

CASE = "phantom_01_0"


def fix(dataset: Dataset) -> tuple[Dataset, tuple[Fix, ...]]:
    """The fixed dataset, opened as one that could be spoiled in its turn."""
    target = dataset.folder.with_name("fixed")
    fixes = fix_dataset(dataset.audit(), dataset.folder, target, folder=dataset.folder)
    fixed = Dataset.__new__(Dataset)
    fixed.folder = target
    return fixed, fixes


def checks(audit: Audit) -> list[str]:
    return [found.check for found in findings(audit)]


def done(fixes: tuple[Fix, ...]) -> list[tuple[str | None, str]]:
    return [(one.case_id, one.check) for one in fixes if one.is_done]


def contents(folder: Path) -> dict[str, str]:
    """Checksum of every file."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def stored(path: Path) -> bytes:
    """What follows the header: extensions and voxels as they are stored."""
    return gzip.decompress(path.read_bytes())[348:]


def test_clean_dataset_is_copied_byte_for_byte_as_the_next_version(dataset: Dataset) -> None:
    (dataset.folder / "ingest.json").write_text("{}")
    (dataset.folder / "LICENSE.md").write_text("CC0")
    fixed, fixes = fix(dataset)
    assert fixes == ()
    old, new = contents(dataset.folder), contents(fixed.folder)
    del old["dataset.json"], new["dataset.json"]
    assert new == old
    assert {**fixed.content, "version": "1"} == dataset.content
    assert fixed.content["version"] == "2"


def test_conflicting_forms_become_the_sform(dataset: Dataset) -> None:
    dataset.edit_header(dataset.image(CASE), moved_qform(30))
    before = contents(dataset.folder)
    fixed, fixes = fix(dataset)
    assert contents(dataset.folder) == before
    assert done(fixes) == [(CASE, "sform_qform"), (CASE, "grid")]
    assert "30 mm away, written from its sform" in fixes[0].text
    old, new = nibabel.load(dataset.image(CASE)).header, nibabel.load(fixed.image(CASE)).header
    np.testing.assert_allclose(new.get_sform(), old.get_sform(), atol=1e-4)
    np.testing.assert_allclose(new.get_qform(), old.get_sform(), atol=1e-3)
    assert stored(fixed.image(CASE)) == stored(dataset.image(CASE))
    assert checks(fixed.audit()) == []


def test_slight_shear_is_straightened_and_then_read_by_everybody(dataset: Dataset) -> None:
    for path in (dataset.image(CASE), dataset.label(CASE)):
        dataset.edit_header(path, sheared(3e-3))
    fixed, fixes = fix(dataset)
    assert done(fixes) == [(CASE, "shear"), (CASE, "grid")]
    for path in (fixed.image(CASE), fixed.label(CASE)):
        assert shear_of(nibabel.load(path).affine) < 1e-5
        sitk.ReadImage(str(path))
    assert stored(fixed.label(CASE)) == stored(dataset.label(CASE))
    manifest, root = load_manifest(fixed.folder)
    read_case(next(case for case in manifest.cases if case.case_id == CASE), manifest, root)
    assert checks(fixed.audit()) == []


def test_straightening_moves_voxels_no_further_than_it_says(dataset: Dataset) -> None:
    for path in (dataset.image(CASE), dataset.label(CASE)):
        dataset.edit_header(path, sheared(3e-3))
    fixed, fixes = fix(dataset)
    old, new = nibabel.load(dataset.image(CASE)), nibabel.load(fixed.image(CASE))
    corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * [*np.array(old.shape) - 1, 1]
    moved = np.linalg.norm(((old.affine - new.affine) @ corners.T)[:3], axis=0).max()
    assert float(fixes[0].text.split("up to ")[1].split(" mm")[0]) == pytest.approx(moved, rel=0.05)


def test_gantry_tilt_is_left_and_told(dataset: Dataset) -> None:
    for path in (dataset.image(CASE), dataset.label(CASE)):
        dataset.edit_header(path, sheared(0.2))
    fixed, fixes = fix(dataset)
    assert [(one.case_id, one.check, one.is_done) for one in fixes] == [(CASE, "shear", False)]
    assert fixes[0].text.startswith("not repaired: voxel axes of")
    assert contents(fixed.folder)[fixed.entry(CASE)["image"]] == contents(dataset.folder)[dataset.entry(CASE)["image"]]


def test_rounded_header_of_a_label_becomes_the_images(dataset: Dataset) -> None:
    def edit(header: nibabel.Nifti1Header) -> None:
        affine = header.get_sform()
        affine[0, 3] += 0.1
        affine[:3, 1] *= 1.0003
        header.set_sform(affine, code=2)
        header.set_qform(affine, code=2)

    dataset.edit_header(dataset.label(CASE), edit)
    fixed, fixes = fix(dataset)
    assert done(fixes) == [(CASE, "grid")]
    image, label = (nibabel.load(path).header for path in (fixed.image(CASE), fixed.label(CASE)))
    for name in ("pixdim", "qform_code", "sform_code", "quatern_b", "qoffset_x", "srow_x", "srow_y", "srow_z"):
        np.testing.assert_array_equal(image[name], label[name])
    assert stored(fixed.label(CASE)) == stored(dataset.label(CASE))
    assert checks(fixed.audit()) == []


def test_label_that_lies_elsewhere_is_left(dataset: Dataset) -> None:
    def edit(header: nibabel.Nifti1Header) -> None:
        affine = header.get_sform()
        affine[0, 3] += 3
        header.set_sform(affine, code=1)
        header.set_qform(affine, code=1)

    dataset.edit_header(dataset.label(CASE), edit)
    fixed, fixes = fix(dataset)
    assert done(fixes) == []
    assert [one.check for one in fixes] == ["grid"]
    assert stored(fixed.label(CASE)) == stored(dataset.label(CASE))


def test_labels_stored_with_fractions_become_whole_numbers(dataset: Dataset) -> None:
    dataset.edit_voxels(dataset.label(CASE), lambda label: label.astype(np.float32))
    fixed, fixes = fix(dataset)
    assert done(fixes) == [(CASE, "label_type")]
    old, new = nibabel.load(dataset.label(CASE)), nibabel.load(fixed.label(CASE))
    assert new.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asanyarray(new.dataobj), np.asanyarray(old.dataobj))
    np.testing.assert_array_equal(new.affine, old.affine)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(fixed.label(CASE)))).T, new.dataobj)
    assert checks(fixed.audit()) == []


def test_label_without_a_form_is_stored_anew_and_placed_as_before(dataset: Dataset) -> None:
    def edit(header: nibabel.Nifti1Header) -> None:
        header["sform_code"] = header["qform_code"] = 0

    dataset.edit_voxels(dataset.label(CASE), lambda label: label.astype(np.float32))
    for path in (dataset.image(CASE), dataset.label(CASE)):
        dataset.edit_header(path, edit)
    fixed, fixes = fix(dataset)
    assert done(fixes) == [(CASE, "label_type")]
    np.testing.assert_array_equal(nibabel.load(fixed.label(CASE)).affine, nibabel.load(dataset.label(CASE)).affine)
    assert checks(fixed.audit()) == ["orientation"]


def test_empty_unknown_and_speckled_labels_are_not_touched(dataset: Dataset) -> None:
    def speckle(label: np.ndarray) -> np.ndarray:
        label[1, 1, 1] = 9
        return label

    dataset.edit_voxels(dataset.label(CASE), speckle)
    dataset.edit_voxels(dataset.label("phantom_04_0"), lambda label: label * 0)
    fixed, fixes = fix(dataset)
    assert done(fixes) == []
    assert [one.check for one in fixes] == ["empty_label", "label_values"]
    for case_id in (CASE, "phantom_04_0"):
        assert fixed.label(case_id).read_bytes() == dataset.label(case_id).read_bytes()


def test_unreadable_cases_leave_the_manifest(dataset: Dataset) -> None:
    dataset.image(CASE).write_bytes(b"nothing")
    dataset.label("phantom_04_0").unlink()
    fixed, fixes = fix(dataset)
    assert done(fixes) == [(CASE, "unreadable"), ("phantom_04_0", "unreadable")]
    ids = {entry["case_id"] for entry in fixed.content["training"]}
    assert ids == {entry["case_id"] for entry in dataset.content["training"]} - {CASE, "phantom_04_0"}
    assert not (fixed.folder / dataset.entry(CASE)["image"]).exists()
    assert checks(fixed.audit()) == []


def test_exact_copy_of_a_patient_is_dropped_and_the_first_kept(dataset: Dataset) -> None:
    entry = dataset.entry(CASE)
    dataset.add(case_id="new", patient_id=entry["patient_id"], image=entry["image"], label=entry["label"])
    fixed, fixes = fix(dataset)
    assert done(fixes) == [("new", "duplicate_image")]
    assert fixed.entry(CASE)
    assert checks(fixed.audit()) == []


def test_copy_under_another_patient_is_left_and_told(dataset: Dataset) -> None:
    entry = dataset.entry(CASE)
    dataset.add(case_id="new", patient_id="else", image=entry["image"], label=entry["label"])
    fixed, fixes = fix(dataset)
    assert [(one.check, one.is_done) for one in fixes] == [("duplicate_image", False)]
    assert fixed.entry("new")


@pytest.mark.parametrize("crossing", [True, False])
def test_folds_that_cross_or_are_not_whole_are_cleared(dataset: Dataset, crossing: bool) -> None:
    for number, entry in enumerate(dataset.content["training"]):
        dataset.set(entry["case_id"], fold=number % 3 if crossing else 0)
    if not crossing:
        dataset.set(CASE, fold=None)
    fixed, fixes = fix(dataset)
    assert (None, "crossing_folds") in done(fixes)
    assert all("fold" not in entry for entry in fixed.content["training"])
    assert checks(fixed.audit()) == []


def test_whole_folds_stay(dataset: Dataset) -> None:
    for entry in dataset.content["training"]:
        dataset.set(entry["case_id"], fold=int(entry["patient_id"][-1]) % 2)
    fixed, _ = fix(dataset)
    assert {entry["fold"] for entry in fixed.content["training"]} == {0, 1}


def test_checksums_follow_the_repaired_files(dataset: Dataset) -> None:
    dataset.edit_header(dataset.image(CASE), moved_qform(30))
    entry = dataset.entry(CASE)
    names = (entry["image"], entry["label"])
    dataset.set(CASE, sha256={name: contents(dataset.folder)[name] for name in names})
    fixed, _ = fix(dataset)
    assert fixed.entry(CASE)["sha256"] == {name: contents(fixed.folder)[name] for name in names}
    assert checks(fixed.audit()) == []


def test_checksum_that_was_wrong_stays_wrong(dataset: Dataset) -> None:
    name = dataset.entry(CASE)["image"]
    dataset.set(CASE, sha256={name: "0" * 64})
    fixed, _ = fix(dataset)
    assert fixed.entry(CASE)["sha256"] == {name: "0" * 64}
    assert checks(fixed.audit()) == ["checksum"]


def test_decathlon_dataset_becomes_one_of_our_own(dataset: Dataset) -> None:
    content = dataset.content
    plain = {
        "name": "decathlon",
        "release": "1.0 04/05/2018",
        "modality": {"0": "MRI"},
        "labels": {str(value): name for name, value in content["labels"].items()},
        "training": [{"image": f"./{entry['image']}", "label": f"./{entry['label']}"} for entry in content["training"]],
        "test": [],
    }
    (dataset.folder / "dataset.json").write_text(json.dumps(plain))
    fixed, _ = fix(dataset)
    manifest, _ = load_manifest(fixed.folder)
    assert not manifest.has_patients
    assert [case.case_id for case in manifest.cases] == [entry["case_id"] for entry in content["training"]]
    assert manifest.version != "1.0 04/05/2018"


def test_target_that_exists_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ManifestError, match="must not exist yet"):
        fix_dataset(dataset.audit(), dataset.folder, dataset.folder, folder=dataset.folder)


def test_dataset_of_which_nothing_is_left_is_refused(dataset: Dataset) -> None:
    dataset.keep(CASE)
    dataset.image(CASE).unlink()
    with pytest.raises(ManifestError, match="must keep at least one case"):
        fix(dataset)


def test_failure_leaves_nothing_behind(dataset: Dataset) -> None:
    audit = dataset.audit()
    dataset.image("phantom_05_0").unlink()
    target = dataset.folder.with_name("fixed")
    with pytest.raises(DeliveryError):
        fix_dataset(audit, dataset.folder, target, folder=dataset.folder)
    assert [path.name for path in dataset.folder.parent.iterdir()] == [dataset.folder.name]


def test_second_channel_takes_over_the_grid_of_the_first(dataset: Dataset) -> None:
    dataset.keep(CASE)
    shutil.copy(dataset.image(CASE), dataset.folder / "second.nii.gz")
    dataset.edit_voxels(dataset.folder / "second.nii.gz", lambda image: (image // 2).astype(np.int16))
    dataset.edit_header(dataset.image(CASE), moved_qform(30))
    dataset.set(CASE, image=[dataset.entry(CASE)["image"], "second.nii.gz"])
    dataset.change(channel_names={"0": "T1", "1": "T2"})
    fixed, fixes = fix(dataset)
    assert done(fixes) == [(CASE, "sform_qform"), (CASE, "grid"), (CASE, "grid")]
    assert checks(fixed.audit()) == []


def test_channel_off_by_a_rounded_header_takes_over_that_of_the_first(dataset: Dataset) -> None:
    def edit(header: nibabel.Nifti1Header) -> None:
        affine = header.get_sform()
        affine[0, 3] += 0.1
        header.set_sform(affine, code=1)
        header.set_qform(affine, code=1)

    dataset.keep(CASE)
    shutil.copy(dataset.image(CASE), dataset.folder / "second.nii.gz")
    dataset.edit_voxels(dataset.folder / "second.nii.gz", lambda image: (image // 2).astype(np.int16))
    dataset.edit_header(dataset.folder / "second.nii.gz", edit)
    dataset.set(CASE, image=[dataset.entry(CASE)["image"], "second.nii.gz"])
    dataset.change(channel_names={"0": "T1", "1": "T2"})
    found = only(dataset.audit())
    assert (found.check, found.severity, found.is_fixable) == ("grid", "error", True)
    assert "channel second.nii.gz must lie on the grid of" in found.fact
    fixed, fixes = fix(dataset)
    assert done(fixes) == [(CASE, "grid")]
    assert checks(fixed.audit()) == []


def test_repeated_case_keeps_its_new_name(dataset: Dataset) -> None:
    entry = dataset.entry("phantom_04_0")
    dataset.set("phantom_04_0", case_id=CASE)
    fixed, fixes = fix(dataset)
    assert done(fixes) == [(f"{CASE}+2", "repeated_id")]
    assert fixed.entry(f"{CASE}+2")["image"] == entry["image"]
    assert checks(fixed.audit()) == []


@pytest.mark.parametrize("name", ["a.hdr", "a.img"])
def test_both_files_of_a_pair_are_repaired(tmp_path: Path, name: str) -> None:
    image = nibabel.Nifti1Pair(np.arange(60, dtype=np.float32).reshape(3, 4, 5) // 20, np.diag([2.0, 2.0, 3.0, 1.0]))
    image.set_qform(np.diag([2.0, 2.0, 3.0, 1.0]), code=1)
    image.set_sform(np.diag([2.0, 2.0, 3.5, 1.0]), code=3)
    image.to_filename(tmp_path / "a.img")
    (tmp_path / "new").mkdir()
    repair_nifti(tmp_path / name, tmp_path / "new" / name, straighten=True, as_label=True)
    new = nibabel.load(tmp_path / "new/a.img")
    assert new.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asanyarray(new.dataobj), np.asanyarray(image.dataobj))
    np.testing.assert_allclose(new.header.get_qform(), np.diag([2.0, 2.0, 3.5, 1.0]), atol=1e-6)
    assert (int(new.header["sform_code"]), int(new.header["qform_code"])) == (3, 3)


def test_voxels_of_an_image_keep_their_bytes_scaling_and_extensions(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.arange(60, dtype=">i2").reshape(3, 4, 5), np.diag([2.0, 2.0, 3.0, 1.0]))
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    big = nibabel.Nifti1Image(np.asanyarray(image.dataobj), image.affine, header)
    big.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"kept"))
    big.header.set_slope_inter(0.5, -3)
    big.set_qform(np.diag([2.0, 2.0, 9.0, 1.0]), code=1)
    big.to_filename(tmp_path / "a.nii")
    repair_nifti(tmp_path / "a.nii", tmp_path / "b.nii", straighten=True)
    old, new = nibabel.load(tmp_path / "a.nii"), nibabel.load(tmp_path / "b.nii")
    assert new.header.endianness == ">"
    assert (tmp_path / "a.nii").read_bytes()[348:] == (tmp_path / "b.nii").read_bytes()[348:]
    np.testing.assert_array_equal(old.get_fdata(), new.get_fdata())
    assert new.header.extensions[0].get_content() == b"kept"
    np.testing.assert_allclose(new.header.get_qform(), new.header.get_sform(), atol=1e-6)


def test_label_in_big_endian_order_and_with_extensions_keeps_its_values(tmp_path: Path) -> None:
    label = (np.arange(60).reshape(3, 4, 5) * 20).astype(np.float64)
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.float64)
    image = nibabel.Nifti1Image(label, np.eye(4), header)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"kept"))
    image.to_filename(tmp_path / "a.nii.gz")
    repair_nifti(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz", as_label=True)
    new = nibabel.load(tmp_path / "b.nii.gz")
    assert new.get_data_dtype() == np.dtype(">u2")
    np.testing.assert_array_equal(np.asanyarray(new.dataobj), label)
    assert new.header.extensions[0].get_content() == b"kept"


def test_label_under_a_slope_is_stored_without_it(dataset: Dataset) -> None:
    old = np.asanyarray(nibabel.load(dataset.label(CASE)).dataobj)
    turn_by_slope(dataset, dataset.label(CASE))
    fixed, fixes = fix(dataset)
    assert done(fixes) == [(CASE, "label_type")]
    new = nibabel.load(fixed.label(CASE)).dataobj
    assert (new.slope, new.inter) == (1, 0)
    np.testing.assert_array_equal(new.get_unscaled(), old)
    assert checks(fixed.audit()) == []


def test_damaged_file_is_not_repaired(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(b"nothing")
    with pytest.raises(ScanError, match=r"file a\.nii: must be a NIfTI file that can be repaired"):
        repair_nifti(tmp_path / "a.nii", tmp_path / "b.nii")


def test_fixing_a_fixed_dataset_does_nothing_more(dataset: Dataset) -> None:
    dataset.edit_header(dataset.image(CASE), moved_qform(30))
    dataset.edit_voxels(dataset.label(CASE), lambda label: label.astype(np.float32))
    fixed, _ = fix(dataset)
    loaded = load_for_audit(fixed.folder)
    assert loaded.manifest.version == "2"
    fixes = fix_dataset(fixed.audit(), fixed.folder, fixed.folder.with_name("again"), folder=fixed.folder)
    assert fixes == ()
