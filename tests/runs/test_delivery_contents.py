"""Tables, label files, reports, headers and pages are read back; a wrong one is kept under a name that says so."""

from __future__ import annotations

import csv
import gzip
import importlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from medseg.delivery import case_page
from medseg.delivery.certificate import Certificate, load_certificate
from medseg.geometry import Geometry
from medseg.networks import NetworkConfig
from medseg.runs.segmentation.predict import PredictSettings, predict_run
from medseg.scans import write_scan
from pydicom import dcmread
from pydicom.dataset import Dataset
from pypdf import PdfWriter

from tests.remedies.inference import model_run
from tests.runs.delivered import deliver, draw_masks

Spoil = Callable[[Path], object]
WRITERS = {
    ".json": ("medseg.delivery.label_files", "write_label_sidecar"),
    ".itksnap.txt": ("medseg.delivery.label_files", "write_itksnap_labels"),
    ".ctbl": ("medseg.delivery.label_files", "write_slicer_colours"),
    ".csv": ("medseg.delivery.measurements", "write_measurements_csv"),
    ".sr.dcm": ("medseg.scans.dicom", "write_measurement_report"),
    ".seg.dcm": ("medseg.scans.dicom", "write_seg"),
    ".seg.nrrd": ("medseg.scans", "write_seg_nrrd"),
    ".rtstruct.dcm": ("medseg.scans.dicom", "write_rtstruct"),
    ".pdf": ("medseg.delivery.case_page", "save_case_page"),
}
COARSE = Geometry((40, 12, 9), np.diag([1, 1, 2, 1.0]))
FORM_OF = {
    ".json": ("nifti",), ".itksnap.txt": ("nifti",), ".ctbl": ("nifti",), ".csv": ("nifti", "csv"),
    ".seg.nrrd": ("seg-nrrd",), ".sr.dcm": ("seg", "sr"), ".seg.dcm": ("seg",),
    ".rtstruct.dcm": ("rtstruct",), ".pdf": ("nifti", "pdf"),
}  # fmt: skip


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_masks(tmp_path_factory.mktemp("contents"))


def spoiled_deliver(
    masks: Path, out: Path, ending: str, spoil: Spoil, monkeypatch: pytest.MonkeyPatch, *, forms: Sequence[str] = ()
) -> str:
    """Deliver with a file that is spoiled between writing and reading; the reason of the only case."""
    place, name = WRITERS[ending]
    module = importlib.import_module(place)
    write = getattr(module, name)

    def write_wrongly(*arguments: Any, **more: Any) -> None:
        write(*arguments, **more)
        spoil([one for one in arguments if isinstance(one, Path)][-1])

    monkeypatch.setattr(module, name, write_wrongly)
    result = deliver(masks, out, *(forms or FORM_OF[ending]), cases=("A",))
    assert not result.delivered, "a wrong file was certified"
    (one,) = result.not_certified
    failed = [path.name for path in one.folder.iterdir() if path.name.endswith(".failed")]
    assert [name.endswith(f"{ending}.failed") for name in failed] == [True]
    return result.failures[0].reason


def text(old: str, new: str) -> Spoil:
    """Put one piece of text in the place of another, which must be there."""

    def changed(path: Path) -> None:
        content = path.read_text(encoding="utf-8")
        assert old in content
        path.write_text(content.replace(old, new, 1), encoding="utf-8")

    return changed


def pattern(old: str, new: str) -> Spoil:
    """Put a text in the place of the only one that fits a pattern."""

    def changed(path: Path) -> None:
        content, count = re.subn(old, new, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert count == 1
        path.write_text(content, encoding="utf-8")

    return changed


def cell(column: str, change: Callable[[str], str], *, row: int = 1) -> Spoil:
    def changed(path: Path) -> None:
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        rows[row][column] = change(rows[row][column])
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    return changed


def dicom(change: Callable[[Dataset], object]) -> Spoil:
    def changed(path: Path) -> None:
        dataset = dcmread(path)
        change(dataset)
        dataset.save_as(path)

    return changed


def items(dataset: Dataset, kind: str, name: str) -> list[Dataset]:
    """Content items of a value type and a name, from the whole tree."""
    found = []
    for item in dataset.get("ContentSequence", ()):
        if item.ValueType == kind and item.ConceptNameCodeSequence[0].CodeMeaning == name:
            found.append(item)
        found += items(item, kind, name)
    return found


def number(name: str) -> Callable[[Dataset], Dataset]:
    return lambda dataset: items(dataset, "NUM", name)[1].MeasuredValueSequence[0]


def drop_group(dataset: Dataset) -> None:
    (groups,) = items(dataset, "CONTAINER", "Imaging Measurements")
    del groups.ContentSequence[1]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (text('"kidney left"', '"kidney right"'), "value 2: name is 'kidney right' and not 'kidney left'"),
        (text('"value": "10200004"', '"value": "10200005"'), "structure 1: type value is '10200005'"),
        (text('"mask": "A.nii.gz"', '"mask": "B.nii.gz"'), "file: mask is 'B.nii.gz' and not 'A.nii.gz'"),
        (lambda path: path.write_text("{}"), "json: it cannot be read"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "json: it cannot be read"),
    ],
)  # fmt: skip
def test_wrong_sidecar_is_found(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, reason: str
) -> None:
    assert reason in spoiled_deliver(masks, tmp_path / "out", ".json", spoil, monkeypatch)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (pattern(r"^( +2) +\d+ +\d+ +\d+ ", r"\1 7 8 9 "), "value 2: colour is '7 8 9' and not '"),
        (text('"kidney left"', '"kidney"'), "value 2: name is 'kidney' and not 'kidney left'"),
        (text('"kidney left"', "kidney left"), "it cannot be read"),
        (pattern(r"^    5 ", "    2 "), "value 5: the file has no name"),
        (pattern(r"^    2 ", "    9 "), "value 2: the file has no name"),
    ],
)
def test_wrong_itksnap_labels_are_found(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, reason: str
) -> None:
    assert reason in spoiled_deliver(masks, tmp_path / "out", ".itksnap.txt", spoil, monkeypatch)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (text("2 kidney_left", "5 kidney_left"), "value 2: the file has no name"),
        (text("2 kidney_left", "2 kidney left"), "it cannot be read"),
        (pattern(r"^(5 kidney_right) \d+ \d+ \d+", r"\1 7 8 9"), "value 5: colour is '7 8 9' and not '"),
        (text("0 Background 0 0 0 0\n", ""), "value 0: the file has no name"),
        (text("0 Background", "9 ghost 1 1 1 255\n0 Background"), "value 9: the file has name, which it must not have"),
    ],
)
def test_wrong_slicer_colours_are_found(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, reason: str
) -> None:
    assert reason in spoiled_deliver(masks, tmp_path / "out", ".ctbl", spoil, monkeypatch)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("structure", "kidney"), ("segment", "3"), ("segment", "4"), ("voxels", "37"), ("volume_ml", "0.1081"),
        ("volume_ml", ""), ("volume_ml", "nan"), ("volume_ml", "108 µl"), ("longest_diameter_mm", "8.0158"),
        ("longest_diameter_in_slice_mm", "7.7624"), ("perpendicular_diameter_in_slice_mm", "2.07"), ("slice_k", "4"),
        ("centroid_r_mm", "9"), ("centroid_s_mm", "11.1"), ("first_i", "7"), ("last_k", "7"), ("intensity_unit", "GV"),
        ("intensity_mean", "839.1"), ("intensity_sd", "457.9"), ("intensity_median", "895"),
    ],
)  # fmt: skip
def test_wrong_measurements_are_found(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, value: str
) -> None:
    reason = spoiled_deliver(masks, tmp_path / "out", ".csv", cell(column, lambda _: value), monkeypatch)
    assert "A: not certified, measurements.csv.failed: csv of Python" in reason
    assert "segment 2" in reason


def test_table_is_checked_without_another_file(masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil = cell("volume_ml", lambda _: "0.1")
    reason = spoiled_deliver(masks, tmp_path / "out", ".csv", spoil, monkeypatch, forms=("csv",))
    assert "segment 2: volume_ml is '0.1' and not 0.108" in reason


def test_table_of_a_mask_that_no_file_holds_is_set_apart(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import medseg.scans

    write = medseg.scans.write_mask
    monkeypatch.setattr(medseg.scans, "write_mask", lambda mask, *others, **more: write(mask[::-1], *others, **more))
    (one,) = deliver(masks, tmp_path / "out", "nifti", "csv", cases=("A",)).not_certified
    reasons = " ".join(one.certificate.reasons)
    assert "measurements.csv.failed: csv: no mask was read back by which it could be checked" in reasons


REPORT_FAULTS: list[tuple[Callable[[Dataset], object], str]] = [
    (lambda one: setattr(number("Volume")(one), "NumericValue", "0.1081"), "segment 2: Volume"),
    (lambda one: setattr(number("Diameter")(one), "NumericValue", "8.01565"), "segment 2: Diameter"),
    (lambda one: setattr(number("Long axis")(one), "NumericValue", "7.7622"), "segment 2: Long axis"),
    (lambda one: setattr(number("Short axis")(one), "NumericValue", "2.0701"), "segment 2: Short axis"),
    (lambda one: setattr(number("Attenuation Coefficient")(one), "NumericValue", "1"), "Attenuation Coefficient"),
    (lambda one: setattr(number("Volume")(one).MeasurementUnitsCodeSequence[0], "CodeValue", "cl"), "unit of Volume"),
    (
        lambda one: setattr(items(one, "NUM", "Volume")[1].ConceptNameCodeSequence[0], "CodeValue", "118565007"),
        "segment 2: the file has no Volume (118565006, SCT)",
    ),
    (
        lambda one: setattr(items(one, "TEXT", "Tracking Identifier")[1], "TextValue", "spleen"),
        "segment 2: tracking identifier is 'spleen' and not 'kidney left'",
    ),
    (
        lambda one: setattr(items(one, "UIDREF", "Tracking Unique Identifier")[1], "UID", "1.2.3"),
        "segment 2: tracking UID is another one",
    ),
    (
        lambda one: setattr(items(one, "CODE", "Laterality")[0].ConceptCodeSequence[0], "CodeValue", "24028007"),
        "segment 2: side",
    ),
    (
        lambda one: setattr(items(one, "CODE", "Finding")[1].ConceptCodeSequence[0], "CodeMeaning", "Liver"),
        "segment 2: type is 'Liver (64033007, SCT)' and not 'Kidney (64033007, SCT)'",
    ),
    (
        lambda one: setattr(
            items(one, "IMAGE", "Referenced Segment")[1].ReferencedSOPSequence[0], "ReferencedSegmentNumber", 3
        ),
        "segment 2: the file has no SEG",
    ),
    (
        lambda one: setattr(
            items(one, "IMAGE", "Referenced Segment")[1].ReferencedSOPSequence[0], "ReferencedSOPInstanceUID", "1.2.3"
        ),
        "segment 2: SEG is another one",
    ),
    (
        lambda one: setattr(items(one, "UIDREF", "Source Series for Segmentation")[1], "UID", "1.2.3"),
        "segment 2: source series is another one",
    ),
    (
        lambda one: one.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[1]
        .ReferencedSOPSequence.pop(),
        "report: evidence is another one",
    ),
    (
        lambda one: setattr(
            one, "SeriesInstanceUID",
            one.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].SeriesInstanceUID,
        ),
        "report: series of its own is 'no' and not 'yes'",
    ),
    (drop_group, "segment 2: the file has no SEG"),
    (lambda one: setattr(one, "PatientID", "B"), "file: PatientID is another one"),
    (lambda one: setattr(one, "PatientName", ""), "file: the file has no PatientName"),
    (lambda one: setattr(one, "StudyInstanceUID", "1.2.3"), "file: StudyInstanceUID is another one"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), REPORT_FAULTS)
def test_wrong_report_is_found(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Dataset], object], reason: str
) -> None:
    assert reason in spoiled_deliver(masks, tmp_path / "out", ".sr.dcm", dicom(change), monkeypatch)


def segment(change: Callable[[Dataset], object]) -> Callable[[Dataset], object]:
    """A change of the second structure of a SEG, behind its background in a labelmap."""
    return lambda dataset: change(next(one for one in dataset.SegmentSequence if one.SegmentNumber == 2))


SEG_FAULTS: list[tuple[Callable[[Dataset], object], str]] = [
    (
        segment(lambda one: setattr(one, "RecommendedDisplayCIELabValue", [40000, 30000, 30000])),
        "segment 2: red is",
    ),
    (
        segment(lambda one: setattr(one.SegmentedPropertyTypeCodeSequence[0], "CodeValue", "10200004")),
        "segment 2: type is 'Kidney (10200004, SCT)' and not 'Kidney (64033007, SCT)'",
    ),
    (
        segment(
            lambda one: setattr(
                one.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0],
                "CodeValue", "24028007",
            )
        ),
        "segment 2: side is 'Left (24028007, SCT)' and not 'Left (7771000, SCT)'",
    ),
    (
        segment(lambda one: setattr(one.SegmentedPropertyCategoryCodeSequence[0], "CodeValue", "85756007")),
        "segment 2: category is",
    ),
    (segment(lambda one: setattr(one, "SegmentAlgorithmType", "MANUAL")), "segment 2: drawn is 'MANUAL'"),
    (
        segment(lambda one: setattr(one.SegmentationAlgorithmIdentificationSequence[0], "AlgorithmVersion", "0")),
        "segment 2: algorithm is",
    ),
    (lambda one: setattr(one, "FrameOfReferenceUID", "1.2.3"), "file: frame of reference is another one"),
    (
        lambda one: one.ReferencedSeriesSequence[0].ReferencedInstanceSequence.pop(),
        "file: images is another one",
    ),
    (
        lambda one: setattr(one.ReferencedSeriesSequence[0], "SeriesInstanceUID", "1.2.3"),
        "file: images is another one",
    ),
    (
        lambda one: setattr(
            one.PerFrameFunctionalGroupsSequence[3].DerivationImageSequence[0].SourceImageSequence[0],
            "ReferencedSOPInstanceUID", "1.2.3",
        ),
        "file: references to another image is 1 and not 0",
    ),
    (
        lambda one: setattr(one, "SeriesInstanceUID", one.ReferencedSeriesSequence[0].SeriesInstanceUID),
        "file: series of its own is 'no' and not 'yes'",
    ),
    (lambda one: setattr(one, "SOPInstanceUID", "1.2.3"), "file: one name in both headers is 'no' and not 'yes'"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), SEG_FAULTS)
def test_seg_with_wrong_words_is_found(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Dataset], object], reason: str
) -> None:
    def spoil(path: Path) -> None:
        dataset = dcmread(path)
        change(dataset)
        dataset.save_as(path, enforce_file_format=False)

    assert reason in spoiled_deliver(masks, tmp_path / "out", ".seg.dcm", spoil, monkeypatch)


RTSTRUCT_FAULTS: list[tuple[Callable[[Dataset], object], str]] = [
    (
        lambda one: setattr(one.ROIContourSequence[1], "ROIDisplayColor", [1, 2, 3]),
        "segment 2: colour is '1 2 3' and not",
    ),
    (
        lambda one: setattr(one.RTROIObservationsSequence[1], "RTROIInterpretedType", "GTV"),
        "segment 2: interpreted type is 'GTV' and not 'ORGAN'",
    ),
    (
        lambda one: setattr(
            one.RTROIObservationsSequence[1].RTROIIdentificationCodeSequence[0], "CodeValue", "10200004"
        ),
        "segment 2: type is",
    ),
    (lambda one: one.RTROIObservationsSequence.pop(), "segment 3: the file has no interpreted type"),
    (
        lambda one: setattr(one.StructureSetROISequence[1], "ReferencedFrameOfReferenceUID", "1.2.3"),
        "file: frame of reference is another one",
    ),
    (
        lambda one: setattr(
            one.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[0], "ReferencedSOPInstanceUID", "1.2.3"
        ),
        "file: references to another image is 1 and not 0",
    ),
    (
        lambda one: one.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
        .RTReferencedSeriesSequence[0].ContourImageSequence.pop(),
        "file: images is another one",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), RTSTRUCT_FAULTS)
def test_rtstruct_with_wrong_words_is_found(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Dataset], object], reason: str
) -> None:
    assert reason in spoiled_deliver(masks, tmp_path / "out", ".rtstruct.dcm", dicom(change), monkeypatch)


def nrrd_field(key: str, value: bytes) -> Spoil:
    """A field of the header of a `.seg.nrrd` with another value."""

    def changed(path: Path) -> None:
        content, count = re.subn(rb"(?m)^%s:=.*$" % key.encode(), key.encode() + b":=" + value, path.read_bytes())
        assert count == 1
        path.write_bytes(content)

    return changed


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (nrrd_field("Segment1_Color", b"0.1 0.2 0.3"), "segment 2: colour is '26 51 76' and not"),
        (nrrd_field("Segment1_Color", b"0.1 red 0.3"), "it cannot be read"),
        (nrrd_field("Segment1_Extent", b"0 1 0 1 0 1"), "segment 2: extent is '0 1 0 1 0 1' and not"),
        (nrrd_field("Segment1_Tags", b""), "segment 2: the file has no category"),
        (nrrd_field("Segment1_Tags", b"TerminologyEntry:"), "segment 2: the file has no category"),
    ],
)
def test_seg_nrrd_with_wrong_words_is_found(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, reason: str
) -> None:
    assert reason in spoiled_deliver(masks, tmp_path / "out", ".seg.nrrd", spoil, monkeypatch)


@pytest.mark.parametrize("content", [b"", b"x" * 5000])
@pytest.mark.parametrize("ending", [".sr.dcm", ".pdf"])
def test_file_that_nobody_can_read_is_kept_as_failed(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, content: bytes
) -> None:
    spoil: Spoil = lambda path: path.write_bytes(content)  # noqa: E731
    assert "A.not_certified" in spoiled_deliver(masks, tmp_path / "out", ending, spoil, monkeypatch)


def rename_patient(dataset: Dataset) -> None:
    dataset.PatientName = "Musterfrau^Eva"


@pytest.mark.parametrize("ending", [".seg.dcm", ".rtstruct.dcm", ".sr.dcm"])
def test_file_of_another_patient_is_found_and_nobody_is_named(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    reason = spoiled_deliver(masks, tmp_path / "out", ending, dicom(rename_patient), monkeypatch)
    assert "file: PatientName is another one" in reason
    assert not re.search("Muster", reason + (tmp_path / "out" / "A.not_certified" / "certificate.json").read_text())


def rewritten(change: Callable[[PdfWriter], object]) -> Spoil:
    """A page that pypdf writes again."""

    def changed(path: Path) -> None:
        writer = PdfWriter(clone_from=path)
        change(writer)
        writer.write(path)

    return changed


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (rewritten(lambda one: one.add_blank_page()), "page: number of pages is 2 and not 1"),
        (rewritten(lambda one: one.pages[0].scale_by(0.5)), "page: size is '105 x 148 mm' and not '210 x 297 mm'"),
        (rewritten(lambda one: one.add_metadata({"/Title": "B"})), "page: title is 'B' and not 'A'"),
        (lambda path: path.write_bytes(path.read_bytes()[:-2000]), "it cannot be read"),
    ],
)
def test_wrong_page_is_found(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, reason: str
) -> None:
    assert reason in spoiled_deliver(masks, tmp_path / "out", ".pdf", spoil, monkeypatch)
    assert not (tmp_path / "out" / "A").exists()


def with_volume(rows: Sequence[Any]) -> list[Any]:
    return [rows[0], replace(rows[1], volume_ml=0.1082), rows[2]]


@pytest.mark.parametrize(
    ("place", "change", "reason"),
    [
        (3, with_volume, "structure 2: volume in ml is '0.1082' and not 0.108"),
        (3, lambda rows: [rows[0], rows[2]], "structure 2: the file has no volume in ml"),
        (4, lambda facts: replace(facts, case_id="B 1"), "page: title is 'B 1' and not 'A'"),
        (4, lambda facts: replace(facts, origin=()), "page: the file has no checksum of the mask"),
        (4, lambda facts: replace(facts, doubts=("NOT CERTIFIED: x",)), "page: notice that it is not certified is"),
    ],
)
def test_page_that_says_something_else_is_found(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int, change: Callable[[Any], Any], reason: str
) -> None:
    draw = case_page.save_case_page

    def draw_wrongly(*arguments: Any) -> None:
        draw(*arguments[:place], change(arguments[place]), *arguments[place + 1 :])

    monkeypatch.setattr(case_page, "save_case_page", draw_wrongly)
    (one,) = deliver(masks, tmp_path / "out", "nifti", "pdf", cases=("A",)).not_certified
    assert [path.name for path in one.folder.glob("*.failed")] == ["A.pdf.failed"]
    assert reason in one.certificate.reasons[0]


def contents(certificate: Certificate) -> dict[str, list[str]]:
    """Libraries that read the words and numbers of each file."""
    return {file.name: [one.library.split()[0] for one in file.contents] for file in certificate.files}


def test_every_file_is_read_back(masks: Path, tmp_path: Path) -> None:
    forms = ("nifti", "seg-nrrd", "structures", "seg", "seg-binary", "rtstruct", "csv", "sr", "pdf")
    (one,) = deliver(masks, tmp_path / "out", *forms, cases=("A",)).delivered
    assert all(file.readers or file.contents for file in one.certificate.files)
    assert all(checked.is_passed and checked.compared for file in one.certificate.files for checked in file.contents)
    found = contents(one.certificate)
    assert found["A.sr.dcm"] == ["pydicom", "pydicom", "highdicom"]
    assert found["A.seg.dcm"] == found["A.binary.seg.dcm"] == found["A.rtstruct.dcm"] == ["pydicom", "pydicom"]
    assert found["A.seg.nrrd"] == ["rules"]
    assert found["A.pdf"] == ["pypdf"]
    assert found["measurements.csv"] == ["csv"]
    assert all(found[name] for name in ("A.json", "A.itksnap.txt", "A.ctbl", "structures/structures.json"))


def test_default_forms_are_read_back(masks: Path, tmp_path: Path) -> None:
    result = deliver(masks, tmp_path / "out")
    assert [one.certificate.case_id for one in result.delivered] == ["oblique", "A"]
    for one in result.delivered:
        assert all(file.readers or file.contents for file in one.certificate.files)


def test_certificate_says_how_many_values_were_compared(masks: Path, tmp_path: Path) -> None:
    deliver(masks, tmp_path / "out", "nifti", "csv", cases=("A",))
    certificate = json.loads((tmp_path / "out" / "A" / "certificate.json").read_text())
    (table,) = (file for file in certificate["files"] if file["form"] == "csv")
    (checked,) = table["contents"]
    rows = {row["what"]: row for row in checked["compared"]}
    assert (rows["volume_ml"]["count"], rows["structure"]["count"]) == (3, 3)
    assert rows["volume_ml"]["largest_difference"] <= 0.144e-5
    assert rows["structure"]["largest_difference"] is None


def test_empty_structures_and_names_of_other_scripts_pass(tmp_path: Path) -> None:
    names = {"background": 0, 'a "quoted" name': 1, "#hash": 2, "肝": 3, "very long name of a structure " * 3: 4,
             "liver 1": 5, "liver 10": 6, "$x_1$": 7}  # fmt: skip
    masks = draw_masks_of(names, tmp_path)
    result = deliver(masks, tmp_path / "out")
    assert not result.failures, result.failures
    for one in result.delivered:
        page = next(file for file in one.certificate.files if file.form == "pdf")
        counts = {row.what: row.count for row in page.contents[0].compared}
        assert counts["volume in ml"] == 5


def header_field(name: str, value: object) -> Spoil:
    """A field of the header of a packed NIfTI file with another value."""

    def changed(path: Path) -> None:
        content = gzip.decompress(path.read_bytes())
        header: Any = nibabel.Nifti1Header(content[:348], check=False)
        header[name] = value
        path.write_bytes(gzip.compress(header.binaryblock + content[348:]))

    return changed


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (header_field("qoffset_x", 55), "qform: first_r_mm is 55.0 and not"),
        (header_field("qform_code", 0), "qform: code is 0 and not 1"),
        (header_field("sform_code", 0), "sform: code is 0 and not 1"),
        (header_field("xyzt_units", 0), "header: unit is 'unknown' and not 'mm'"),
        (header_field("quatern_b", 3), "qform: the file has no first_r_mm"),
        (
            lambda path: path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"abc")),
            "file: bytes beside header and voxels is 3 and not 0",
        ),
        (lambda path: path.write_bytes(path.read_bytes() + b"abc"), "must be whole, got damage"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "must be whole, got damage"),
    ],
)
def test_wrong_header_is_found(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, reason: str
) -> None:
    import medseg.scans

    write = medseg.scans.write_mask

    def write_wrongly(*arguments: Any, **more: Any) -> Path:
        path = write(*arguments, **more)
        spoil(path)
        return path

    monkeypatch.setattr(medseg.scans, "write_mask", write_wrongly)
    (one,) = deliver(masks, tmp_path / "out", "nifti", cases=("A",)).not_certified
    assert reason in " ".join(one.certificate.reasons)


FORMS_OF_HEADERS: dict[str, dict[str, object]] = {
    "sform alone": {"qform_code": 0},
    "qform alone": {"sform_code": 0},
    "other codes": {"qform_code": 4, "sform_code": 3},
    "broken qform": {"quatern_b": 3.0},
    "no number in a qform that does not count": {"qform_code": 0, "qoffset_x": np.nan},
    "unknown unit": {"xyzt_units": 7},
}


@pytest.mark.parametrize("fields", FORMS_OF_HEADERS.values(), ids=FORMS_OF_HEADERS)
def test_mask_of_a_scan_with_an_odd_header_is_certified(tmp_path: Path, fields: dict[str, object]) -> None:
    matrix = np.array([[0, -1, 0, 10], [1.5, 0, 0, -200], [0, 0, -2, 33], [0, 0, 0, 1.0]])
    image: Any = nibabel.Nifti1Image(np.zeros(COARSE.shape, np.float32), matrix)
    image.set_sform(matrix, code=1)
    image.set_qform(matrix, code=1)
    image.header.set_xyzt_units("mm")
    for name, value in fields.items():
        image.header[name] = value
    (tmp_path / "scans").mkdir()
    nibabel.save(image, tmp_path / "scans" / "a.nii.gz")
    names = {"background": 0, "cell": 1}
    result = deliver(draw_masks_of(names, tmp_path, None), tmp_path / "out", "nifti", "structures")
    assert not result.failures, result.failures


@pytest.mark.parametrize("filled", [(), (4,)])
def test_mask_on_no_slice_or_one_is_certified_in_every_form(masks: Path, tmp_path: Path, filled: Sequence[int]) -> None:
    copy = tmp_path / "masks"
    shutil.copytree(masks, copy)
    image: Any = nibabel.load(copy / "A.nii.gz")
    drawn = np.zeros(image.shape, np.uint8)
    drawn[3:6, 3:7, list(filled)] = 1
    nibabel.save(nibabel.Nifti1Image(drawn, image.affine, image.header), copy / "A.nii.gz")
    result = deliver(copy, tmp_path / "out", "seg", "seg-binary", "rtstruct", "sr", "csv", cases=("A",))
    assert not result.failures, result.failures


def test_place_far_from_the_origin_of_fine_voxels_is_certified(tmp_path: Path) -> None:
    grid = Geometry((40, 12, 9), np.array([[1e-3, 0, 0, -1234.5], [0, 1e-3, 0, 99], [0, 0, 1e-3, 2000], [0, 0, 0, 1]]))
    result = deliver(draw_masks_of({"background": 0, "cell": 1}, tmp_path, grid), tmp_path / "out", "nifti", "csv")
    assert not result.failures, result.failures


def draw_masks_of(names: dict[str, int], place: Path, grid: Geometry | None = COARSE) -> Path:
    """The mask of a scan, which stands there already where no grid is given; the seventh structure is empty."""
    if grid is not None:
        write_scan(np.zeros((1, *grid.shape), np.float32), grid, place / "scans" / "a.nii.gz")
    network = NetworkConfig(
        spatial_dims=3, in_channels=1, out_channels=len(names), channels=(2, 4), strides=((1, 1, 1), (2, 2, 2)),
        kernels=((3, 3, 3),) * 2, blocks=(1, 1), decoder_blocks=(1,),
    )  # fmt: skip
    run = model_run(place / "run", labels=names, network=network)
    (one,) = predict_run(run, [place / "scans"], PredictSettings(out=place / "masks", device="cpu")).predictions
    image: Any = nibabel.load(one.mask_path)
    drawn = np.zeros(image.shape, np.uint8)
    for value in {1, 2, 4, 5, 6, 3} & set(names.values()):
        drawn[value * 5 : value * 5 + value, 2:8, 2:6] = value
    nibabel.save(nibabel.Nifti1Image(drawn, image.affine, image.header), one.mask_path)
    return place / "masks"


def test_maps_are_the_bytes_of_the_prediction(masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "masks"
    shutil.copytree(masks, copy)
    maps = copy / "probabilities" / "A"
    maps.mkdir(parents=True)
    shutil.copy(copy / "A.nii.gz", maps / "001_liver.nii.gz")
    result = deliver(copy, tmp_path / "out", "probabilities", cases=("A",))
    (file,) = result.delivered[0].certificate.files
    assert {row.what for row in file.contents[0].compared} >= {"SHA-256", "first_r_mm", "last_k_s_mm"}
    spoil_copies(monkeypatch)
    (one,) = deliver(copy, tmp_path / "out2", "probabilities", cases=("A",)).not_certified
    assert "map: SHA-256 is" in one.certificate.reasons[0]
    shutil.copy(copy / "oblique.nii.gz", maps / "001_liver.nii.gz")
    monkeypatch.undo()
    (one,) = deliver(copy, tmp_path / "out3", "probabilities", cases=("A",)).not_certified
    assert "map: first_r_mm is" in one.certificate.reasons[0]


def spoil_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of folders lose their last byte."""
    copy = shutil.copytree

    def copy_wrongly(source: Path, target: Path) -> None:
        copy(source, target)
        for path in target.iterdir():
            path.write_bytes(path.read_bytes()[:-1])

    monkeypatch.setattr(shutil, "copytree", copy_wrongly)


def test_case_of_which_not_every_file_was_read_back_is_delivered_again(masks: Path, tmp_path: Path) -> None:
    deliver(masks, tmp_path / "out", "csv", cases=("A",))
    path = tmp_path / "out" / "A" / "certificate.json"
    certificate = json.loads(path.read_text())
    for file in certificate["files"]:
        del file["contents"]
    path.write_text(json.dumps(certificate))
    assert deliver(masks, tmp_path / "out", "csv", cases=("A",)).kept == 0
    assert deliver(masks, tmp_path / "out", "csv", cases=("A",)).kept == 1
    assert json.loads(path.read_text())["files"][0]["contents"]


def test_file_that_vanished_fails_and_can_be_delivered_again(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("medseg.delivery.label_files.write_slicer_colours", lambda segments, path: None)
        assert deliver(masks, tmp_path / "out", "nifti", cases=("A",)).not_certified
    certificate = load_certificate(tmp_path / "out" / "A.not_certified")
    assert certificate is not None
    assert certificate.reasons == (
        "A.ctbl: rules of 3D Slicer: it cannot be read, an error of the kind FileNotFoundError",
    )
    assert deliver(masks, tmp_path / "out", "nifti", cases=("A",)).delivered
