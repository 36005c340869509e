"""Masks are delivered in every form with a certificate, or set apart; one bad case does not stop the others."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from medseg.delivery.certificate import load_certificate
from medseg.delivery.export import FORMS
from medseg.errors import ConfigError, DeliveryError
from medseg.runs.segmentation.deliver import DeliverResult, DeliverSettings, deliver_masks
from pydicom import dcmread

from tests.conftest import Medseg
from tests.runs.delivered import OBLIQUE, blobs, deliver, draw_masks

ALL = ("nifti", "seg-nrrd", "structures", "seg", "seg-binary", "rtstruct", "csv", "sr", "pdf")


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_masks(tmp_path_factory.mktemp("deliver"))


@pytest.fixture(scope="module")
def delivered(masks: Path, tmp_path_factory: pytest.TempPathFactory) -> DeliverResult:
    """The DICOM case in all forms."""
    return deliver(masks, tmp_path_factory.mktemp("all") / "out", *ALL, cases=("A",))


def test_every_form_is_written_and_certified(delivered: DeliverResult) -> None:
    (one,) = delivered.delivered
    assert not delivered.failures
    assert {file.form for file in one.certificate.files} == set(FORMS) - {"probabilities"} == set(ALL)
    on_disk = {path.relative_to(one.folder).as_posix() for path in one.folder.rglob("*") if path.is_file()}
    assert on_disk == {file.name for file in one.certificate.files} | {"certificate.json"}
    assert all(reader.is_passed for file in one.certificate.files for reader in file.readers)


@pytest.mark.parametrize(
    ("form", "libraries"),
    [
        ("nifti", ("nibabel", "SimpleITK")),
        ("seg", ("highdicom", "dcmqi")),
        ("seg-binary", ("highdicom", "dcmqi")),
    ],
)
def test_two_libraries_read_each_form(delivered: DeliverResult, form: str, libraries: tuple[str, str]) -> None:
    (one,) = delivered.delivered
    file = next(file for file in one.certificate.files if file.form == form and file.readers)
    assert [reader.library.split()[0] for reader in file.readers] == list(libraries)
    assert [row.name for row in file.readers[0].structures] == ["liver", "kidney left", "kidney right"]
    assert all(row.voxels and not row.wrong_voxels for reader in file.readers for row in reader.structures)


def test_contours_are_read_by_two_readers(delivered: DeliverResult) -> None:
    (one,) = delivered.delivered
    (file,) = (file for file in one.certificate.files if file.form == "rtstruct")
    assert len({reader.library for reader in file.readers}) == 2
    assert all(row.dice >= 0.995 for reader in file.readers for row in reader.structures)


def test_dicom_files_refer_to_the_series_and_to_each_other(masks: Path, delivered: DeliverResult) -> None:
    (one,) = delivered.delivered
    source = dcmread(next((masks.parent / "scans" / "study").iterdir()))
    seg, report = dcmread(one.folder / "A.seg.dcm"), dcmread(one.folder / "A.sr.dcm")
    assert seg.StudyInstanceUID == report.StudyInstanceUID == source.StudyInstanceUID
    assert seg.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert seg.SOPInstanceUID in str(report)


def test_certificate_knows_that_a_person_corrected_the_mask(delivered: DeliverResult) -> None:
    (one,) = delivered.delivered
    assert one.certificate.inputs.is_edited
    assert [(side.left, side.right, side.is_left_of_right) for side in one.certificate.sides] == [
        ("kidney left", "kidney right", True)
    ]


def test_default_forms_are_those_that_fit(masks: Path, tmp_path: Path) -> None:
    result = deliver(masks, tmp_path / "out")
    by_id = {one.certificate.case_id: set(one.certificate.forms) for one in result.delivered}
    assert by_id == {"A": {"nifti", "seg-nrrd", "seg", "csv", "pdf"}, "oblique": {"nifti", "seg-nrrd", "csv", "pdf"}}
    assert result.without_mask == ("broken",)
    record = json.loads((tmp_path / "out" / "delivery.json").read_text())
    assert [case["case_id"] for case in record["cases"]] == ["oblique", "A"]
    with (tmp_path / "out" / "measurements.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["case_id"] for row in rows] == ["oblique"] * 3 + ["A"] * 3


def test_mask_lies_where_simpleitk_says(masks: Path, tmp_path: Path) -> None:
    import SimpleITK as sitk

    deliver(masks, tmp_path / "out", "nifti")
    source, mask = (
        sitk.ReadImage(str(path))
        for path in (masks.parent / "scans" / "oblique.nii.gz", tmp_path / "out" / "oblique" / "oblique.nii.gz")
    )
    np.testing.assert_allclose(mask.GetOrigin(), source.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(mask.GetDirection(), source.GetDirection(), atol=1e-6)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask).T, blobs(OBLIQUE))


def test_form_that_does_not_fit_fails_its_case_alone(masks: Path, tmp_path: Path) -> None:
    result = deliver(masks, tmp_path / "out", "nifti", "seg")
    assert [one.certificate.case_id for one in result.delivered] == ["A"]
    (failure,) = result.failures
    assert failure.case_id == "oblique"
    assert "DICOM SEG: the mask must be drawn on a DICOM series, got another file" in failure.reason
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"A", "delivery.json"}


def test_same_command_keeps_what_is_finished(masks: Path, tmp_path: Path) -> None:
    first = deliver(masks, tmp_path / "out", "nifti")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.nii.gz")}
    again = deliver(masks, tmp_path / "out", "nifti")
    assert (first.kept, again.kept) == (0, 2)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.nii.gz")}
    more = deliver(masks, tmp_path / "out", "nifti", "csv")
    assert more.kept == 0
    assert (tmp_path / "out" / "A" / "measurements.csv").is_file()


def test_delivered_file_that_was_changed_is_not_overwritten(masks: Path, tmp_path: Path) -> None:
    deliver(masks, tmp_path / "out", "nifti", cases=("A",))
    path = tmp_path / "out" / "A" / "A.itksnap.txt"
    path.write_text("mine")
    result = deliver(masks, tmp_path / "out", "nifti", cases=("A",))
    assert "got files that were changed since" in result.failures[0].reason
    assert path.read_text() == "mine"


def test_file_that_another_library_reads_otherwise_is_set_apart(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import medseg.scans as scans

    write = scans.write_seg_nrrd

    def write_mirrored(labels: np.ndarray, *others: Any, **more: Any) -> None:
        write(labels[::-1], *others, **more)

    monkeypatch.setattr(scans, "write_seg_nrrd", write_mirrored)
    result = deliver(masks, tmp_path / "out", "nifti", "seg-nrrd", "pdf", cases=("A",))
    assert not result.delivered
    assert "case A: not certified, A.seg.nrrd.failed: SimpleITK" in result.failures[0].reason
    folder = tmp_path / "out" / "A.not_certified"
    assert not (tmp_path / "out" / "A").exists()
    assert (folder / "A.seg.nrrd.failed").is_file()
    certificate = load_certificate(folder)
    assert certificate is not None
    assert not certificate.is_passed
    record = json.loads((tmp_path / "out" / "delivery.json").read_text())
    assert [(one["folder"], one["is_certified"]) for one in record["cases"]] == [("A.not_certified", False)]


def spoil_with_a_huge_value(path: Path) -> None:
    image: Any = nibabel.load(path)
    array = np.asarray(image.dataobj).astype(np.uint32)
    array[0, 0, 0] = 4_000_000_000
    changed = nibabel.Nifti1Image(array, image.affine)
    changed.set_data_dtype(np.uint32)
    nibabel.save(changed, path)


def spoil_values(path: Path) -> None:
    image: Any = nibabel.load(path)
    array = np.asarray(image.dataobj).copy()
    array[0, 0, 0] = 9
    nibabel.save(nibabel.Nifti1Image(array, image.affine, image.header), path)


def shift(path: Path) -> None:
    image: Any = nibabel.load(path)
    affine = image.affine.copy()
    affine[0, 3] += 1
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), path)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_values, "values of the mask must be those of the model's labels, got 9, which have no name"),
        (spoil_with_a_huge_value, "got 4000000000, which have no name"),
        (shift, "the mask must lie on the grid of its scan"),
        (Path.unlink, "the mask must be oblique.nii.gz in the folder of the masks, got no file"),
        (lambda path: path.write_bytes(b"torn"), "must be a whole NIfTI file"),
    ],
)
def test_bad_mask_fails_its_case_alone(
    masks: Path, tmp_path: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    copy = tmp_path / "masks"
    copy.mkdir()
    for path in masks.iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    spoil(copy / "oblique.nii.gz")
    result = deliver(copy, tmp_path / "out", "nifti")
    assert [one.certificate.case_id for one in result.delivered] == ["A"]
    assert [failure.case_id for failure in result.failures] == ["oblique"]
    assert reason in result.failures[0].reason
    assert not (tmp_path / "out" / "oblique").exists()
    assert not list((tmp_path / "out").rglob("*.part*"))


@pytest.mark.parametrize(
    ("choices", "error", "words"),
    [
        ({"forms": ("nifti", "dicom")}, ConfigError, "form must be one of nifti"),
        ({"forms": ("sr",)}, ConfigError, "form sr must refer to a DICOM SEG"),
        ({"cases": ("B",)}, ConfigError, "case must be one that has a mask, got 'B'"),
    ],
)
def test_wrong_choices_are_refused_before_the_work(
    masks: Path, tmp_path: Path, choices: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        deliver_masks(masks, DeliverSettings(out=tmp_path / "out", **choices))
    assert not (tmp_path / "out").exists()


def test_masks_from_elsewhere_and_their_own_folder_are_refused(masks: Path, tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    with pytest.raises(DeliveryError, match=r"with predictions\.json, got none"):
        deliver(tmp_path / "foreign", tmp_path / "out")
    with pytest.raises(ConfigError, match="out must lie outside of the masks"):
        deliver(masks, masks / "out")


def test_command_tells_what_was_delivered(medseg: Medseg, masks: Path, tmp_path: Path) -> None:
    outcome = medseg("deliver", masks, "--formats", "nifti,csv", "--out", tmp_path / "out")
    assert outcome.code == 0
    assert "2 case(s) delivered and certified" in outcome.out
    assert "without a mask, since the prediction failed: broken" in outcome.out
    failed = medseg("deliver", masks, "--formats", "seg", "--out", tmp_path / "out2")
    assert failed.code == 1
    assert "failed: case oblique: DICOM SEG" in failed.err
    assert medseg("deliver", masks, "--formats", "dcm", "--out", tmp_path / "out3").code == 2


def test_help_lists_every_form() -> None:
    from medseg.workflows.deliver import EPILOG

    listed = [line.split()[0] for line in EPILOG.split("Formats:")[1].split("Without")[0].strip().splitlines()]
    assert listed == list(FORMS)
