from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ScanError
from medseg.manifest import read_case
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.dicom_files import save
from tests.grids import grid
from tests.ingest.sources import (
    GRID,
    Ingested,
    block,
    box_mask,
    run_ingest,
    voxels,
    write_ct,
    write_nifti,
    write_rtstruct,
    write_seg,
)

BOX = (2, 5, 2, 5, 1, 3)
OTHER_BOX = (7, 9, 3, 6, 2, 4)
THICK = grid((12, 10, 3), spacing_mm=(1.5, 1.5, 10.0), origin_mm=(-20, 30, 103), axcodes="LPS")


def matched_by(done: Ingested) -> list[str]:
    return [how for case in done.document["cases"] for how in case["labels"]]


def notes(done: Ingested) -> list[str]:
    return [note for case in done.document["cases"] for note in case["notes"]]


def lost(done: Ingested) -> list[str]:
    """Why labels are in no case, without the mark in front."""
    return [line.split(": ", 1)[1] for line in done.report.lost_labels]


def write_labels(kind: str, images: list[Dataset], path: Path, **options: Any) -> Dataset:
    """The same box as an RTSTRUCT or a SEG."""
    if kind == "RTSTRUCT":
        return write_rtstruct({"GTV": BOX}, images, path, **options)
    written: Dataset = write_seg({"GTV": box_mask(BOX)}, images, path, **options)
    return written


def refer_to_series_only(dataset: Dataset, path: Path) -> None:
    """References to images that nobody has, of a series that is there."""
    pending = [dataset]
    while pending:
        item = pending.pop()
        for element in item:
            if element.VR == "SQ":
                pending += element.value
            elif element.keyword == "ReferencedSOPInstanceUID":
                element.value = generate_uid()
    if "file_meta" in dataset.__dict__ and dataset.Modality == "SEG":
        dataset.save_as(path)
    else:
        save(dataset, path)


@pytest.mark.parametrize("kind", ["RTSTRUCT", "SEG"])
@pytest.mark.parametrize(
    ("references", "how"),
    [
        ("images", "referenced images"),
        ("series", "referenced series"),
        ("none", "frame of reference and geometry"),
    ],
)
def test_label_finds_its_image_and_says_by_what(tmp_path: Path, kind: str, references: str, how: str) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_ct(tmp_path / "src" / "another", PatientID="another", seed=4)
    path = tmp_path / "src" / "label"
    dataset = write_labels(kind, images, path, refer=references != "none")
    if references == "series":
        refer_to_series_only(dataset, path)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert matched_by(done) == [f"{kind} matched by {how}"]
    (case,) = done.manifest.select("training")
    assert case.series_uid == next(
        entry["channels"][0]["series_uid"] for entry in done.document["cases"] if entry["labels"]
    )
    np.testing.assert_array_equal(done.label(case) > 0, box_mask(BOX))
    assert done.report.is_clean


def test_label_without_references_goes_to_the_series_whose_slices_it_lies_on(tmp_path: Path) -> None:
    frame = generate_uid()
    thick = write_ct(tmp_path / "src" / "a", THICK, FrameOfReferenceUID=frame)
    thin = write_ct(tmp_path / "src" / "b", FrameOfReferenceUID=frame)
    write_labels("RTSTRUCT", thin, tmp_path / "src" / "a" / "rs", refer=False)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    (case,) = done.manifest.select("training")
    assert done.image(case).shape[1:] == GRID.shape
    assert thick[0].FrameOfReferenceUID == thin[0].FrameOfReferenceUID


def test_label_that_fits_two_series_alike_goes_to_the_one_beside_it(tmp_path: Path) -> None:
    frame = generate_uid()
    images = write_ct(tmp_path / "src" / "a", FrameOfReferenceUID=frame, seed=1)
    write_ct(tmp_path / "src" / "b", FrameOfReferenceUID=frame, seed=2)
    write_labels("RTSTRUCT", images, tmp_path / "src" / "b" / "rs", refer=False)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    (case,) = done.manifest.select("training")
    np.testing.assert_array_equal(done.image(case)[0], voxels(seed=2))


@pytest.mark.parametrize("kind", ["RTSTRUCT", "SEG"])
def test_label_that_fits_two_series_alike_goes_to_neither_and_is_told(tmp_path: Path, kind: str) -> None:
    frame = generate_uid()
    images = write_ct(tmp_path / "src" / "a", FrameOfReferenceUID=frame, seed=1)
    write_ct(tmp_path / "src" / "b", FrameOfReferenceUID=frame, seed=2)
    write_labels(kind, images, tmp_path / "src" / "rs", refer=False)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert lost(done) == [
        "2 images fit it equally well (by frame of reference and geometry); keep each label beside its image"
    ]
    assert not done.manifest.select("training")
    assert not done.report.is_clean


def test_label_in_the_frame_of_another_region_is_in_no_case(tmp_path: Path) -> None:
    frame = generate_uid()
    write_ct(tmp_path / "src" / "head", FrameOfReferenceUID=frame)
    far = grid(GRID.shape, spacing_mm=GRID.spacing_mm, origin_mm=(-20, 30, 700), axcodes="LPS")
    feet = write_ct(tmp_path / "elsewhere", far, FrameOfReferenceUID=frame)
    write_rtstruct({"GTV": BOX}, feet, tmp_path / "src" / "rs", geometry=far, refer=False)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert lost(done) == ["no image that it refers to, and none in its frame of reference, was found"]


@pytest.mark.parametrize("kind", ["RTSTRUCT", "SEG"])
def test_label_of_images_that_are_not_there_is_told(tmp_path: Path, kind: str) -> None:
    write_ct(tmp_path / "src" / "ct")
    gone = write_ct(tmp_path / "elsewhere")
    write_labels(kind, gone, tmp_path / "src" / "label")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert lost(done) == ["no image that it refers to, and none in its frame of reference, was found"]


def test_label_of_a_refused_series_tells_why_that_was_refused(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_ct(tmp_path / "src" / "other", PatientID="1234567")
    write_labels("RTSTRUCT", images, tmp_path / "src" / "rs")
    (tmp_path / "src" / "ct" / "00002").unlink()
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    (reason,) = lost(done)
    assert reason.startswith("its image was refused: slices must follow each other every 4 mm, got 1 missing")


def test_label_of_a_repaired_series_is_drawn_where_it_was(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_labels("RTSTRUCT", images, tmp_path / "src" / "rs")
    (tmp_path / "src" / "ct" / "00002").unlink()
    done = run_ingest(tmp_path / "src", tmp_path / "out", repair=["gaps"])
    np.testing.assert_array_equal(done.label() > 0, box_mask(BOX))
    assert "1 of 6 slices were interpolated (gaps)" in notes(done)


@pytest.mark.parametrize("kind", ["RTSTRUCT", "SEG"])
def test_latest_of_two_objects_with_one_label_counts_and_that_is_told(tmp_path: Path, kind: str) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    versions = {"20240103": (BOX, "a"), "20240101": (OTHER_BOX, "c"), "20240102": ((0, 1, 0, 1, 0, 1), "b")}
    for date, (box, name) in versions.items():
        path = tmp_path / "src" / name
        when = {"SeriesDate": date, "ContentDate": date, "ContentTime": "101010"}
        if kind == "SEG":
            write_seg({"GTV": box_mask(box)}, images, path, **when)
        else:
            write_rtstruct({"GTV": box}, images, path, **when)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    np.testing.assert_array_equal(done.label() > 0, box_mask(BOX))
    assert notes(done) == ["label gtv is held by several objects; the latest counts"] * 2


def test_labels_of_several_objects_of_an_image_come_together(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_rtstruct({"GTV": BOX}, images, tmp_path / "src" / "rs")
    write_seg({"Liver": box_mask(OTHER_BOX)}, images, tmp_path / "src" / "seg")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    np.testing.assert_array_equal(done.label(), box_mask(BOX) * 1 + box_mask(OTHER_BOX) * 2)
    assert done.manifest.labels == {"background": 0, "gtv": 1, "liver": 2}
    assert sorted(matched_by(done)) == ["RTSTRUCT matched by referenced images", "SEG matched by referenced images"]


def test_structures_of_one_object_that_share_a_label_are_joined(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_rtstruct({"Lung R": BOX, "Lung L": OTHER_BOX}, images, tmp_path / "src" / "rs")
    mapping = "labels: {lung: {value: 4, names: [lung r, Lung_L]}}"
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=mapping)
    np.testing.assert_array_equal(done.label(), 4 * (box_mask(BOX) | box_mask(OTHER_BOX)))
    assert notes(done) == []


def test_overlap_is_counted_and_the_label_further_down_is_on_top(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    wide = (3, 8, 2, 5, 2, 4)
    write_rtstruct({"first": BOX, "second": wide}, images, tmp_path / "src" / "rs")
    shared = int((box_mask(BOX) & box_mask(wide)).sum())
    assert shared == 3 * 4 * 2
    for order, top in ((("first", "second"), "second"), (("second", "first"), "first")):
        rules = ", ".join(
            f"{name}: {{value: {value}, names: [{name}]}}" for name, value in zip(order, (2, 1), strict=True)
        )
        done = run_ingest(tmp_path / "src", tmp_path / f"out {top}", mapping=f"labels: {{{rules}}}")
        values = done.manifest.labels
        expected = np.zeros(GRID.shape, int)
        for name in order:
            expected[box_mask(BOX if name == "first" else wide)] = values[name]
        np.testing.assert_array_equal(done.label(), expected)
        assert notes(done) == [f"labels {order[0]} and {order[1]} overlap in {shared} voxels; {top} is drawn on top"]


def test_overlap_of_ragged_masks_is_counted_by_voxels(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    one, other = (np.random.default_rng(seed).random(GRID.shape) < 0.4 for seed in (1, 2))
    write_seg({"a": one, "b": other}, images, tmp_path / "src" / "seg")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert notes(done) == [f"labels a and b overlap in {int((one & other).sum())} voxels; b is drawn on top"]
    np.testing.assert_array_equal(done.label(), np.where(other, 2, one))


def test_volume_of_each_label_is_its_voxels_in_millilitres(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_rtstruct({"a": BOX, "b": OTHER_BOX}, images, tmp_path / "src" / "rs")
    case = run_ingest(tmp_path / "src", tmp_path / "out").case
    assert case.label_ml == pytest.approx({"a": 4 * 4 * 3 * 9 / 1000, "b": 3 * 4 * 3 * 9 / 1000})


def test_structure_that_the_mapping_does_not_name_fails_its_case_and_no_other(tmp_path: Path) -> None:
    for number, name in enumerate(("GTV", "Boost", "GTV")):
        images = write_ct(tmp_path / "src" / str(number), PatientID=str(number), seed=number)
        write_rtstruct({name: BOX}, images, tmp_path / "src" / str(number) / "rs")
    mapping = "labels: {mass: {value: 1, names: [gtv]}}"
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=mapping)
    (failure,) = done.report.failures
    assert failure.reason == (
        f"case {failure.case_id}: structures must be named in the mapping, got 'Boost'; add them to labels or to ignore"
    )
    assert len(done.manifest.select("training")) == 2
    assert done.document["structures"] == {"GTV": {"label": "mass", "cases": 2}}


def test_ignored_structure_is_left_out_and_listed(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_rtstruct({"GTV": BOX, "Couch outer": OTHER_BOX}, images, tmp_path / "src" / "rs")
    mapping = "{labels: {mass: {value: 1, names: [gtv]}}, ignore: ['couch*']}"
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=mapping)
    np.testing.assert_array_equal(done.label() > 0, box_mask(BOX))
    assert done.document["structures"] == {
        "Couch outer": {"label": "(ignored)", "cases": 1},
        "GTV": {"label": "mass", "cases": 1},
    }


def test_case_whose_structures_are_all_ignored_has_no_label(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_rtstruct({"Couch": BOX}, images, tmp_path / "src" / "rs")
    done = run_ingest(
        tmp_path / "src", tmp_path / "out", mapping="{labels: {a: {value: 1, names: [x]}}, ignore: ['*']}"
    )
    assert done.case.split == "test"
    assert done.case.label is None


def test_object_without_a_structure_is_told(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_rtstruct({}, images, tmp_path / "src" / "rs")
    assert lost(run_ingest(tmp_path / "src", tmp_path / "out")) == [
        "a RTSTRUCT must hold a structure, got none; export it again"
    ]


@pytest.mark.parametrize("kind", ["OPEN_PLANAR", "POINT"])
def test_object_whose_structures_have_no_area_is_refused_by_their_names(tmp_path: Path, kind: str) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_rtstruct({"Lesion": BOX}, images, tmp_path / "src" / "rs", contour_kind=kind)
    (reason,) = lost(run_ingest(tmp_path / "src", tmp_path / "out"))
    what = "open contour(s)" if kind == "OPEN_PLANAR" else "point(s)"
    assert reason == (
        f"a RTSTRUCT must hold a structure with an area, got 'Lesion' of 3 {what}; close the contours, and export it "
        "again"
    )


def test_structures_without_an_area_or_a_contour_are_noted_beside_the_others(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    dataset = write_rtstruct({"GTV": BOX, "Wire": OTHER_BOX, "Couch": BOX}, images, tmp_path / "src" / "rs")
    for contour in dataset.ROIContourSequence[1].ContourSequence:
        contour.ContourGeometricType = "OPEN_NONPLANAR"
    dataset.ROIContourSequence[2].ContourSequence = []
    save(dataset, tmp_path / "src" / "rs")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    np.testing.assert_array_equal(done.label() > 0, box_mask(BOX))
    assert notes(done) == [
        "structure Wire has no area, but 3 open contour(s), and was left out",
        "structures without a contour were left out: Couch",
    ]


def test_structures_of_one_name_are_joined_and_that_is_told(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    dataset = write_rtstruct({"GTV": BOX, "Node": OTHER_BOX}, images, tmp_path / "src" / "rs")
    dataset.StructureSetROISequence[1].ROIName = "GTV"
    save(dataset, tmp_path / "src" / "rs")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    np.testing.assert_array_equal(done.label() > 0, box_mask(BOX) | box_mask(OTHER_BOX))
    assert notes(done) == ["2 structures are called GTV and were joined"]


TARGETS = {"CTV": (3, 8, 2, 7, 1, 4), "GTV": (4, 6, 3, 5, 1, 4), "PTV": (2, 10, 1, 8, 1, 4)}


@pytest.mark.parametrize("kind", ["RTSTRUCT", "SEG", "masks"])
def test_proposed_mapping_draws_the_inner_target_on_top(tmp_path: Path, kind: str) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    if kind == "RTSTRUCT":
        write_rtstruct(TARGETS, images, tmp_path / "src" / "rs")
    elif kind == "SEG":
        write_seg({name: box_mask(box) for name, box in TARGETS.items()}, images, tmp_path / "src" / "seg")
    else:
        for name, box in TARGETS.items():
            write_nifti(tmp_path / "src" / "masks" / f"{name}.nii.gz", box_mask(box).astype(np.uint8))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    values, label = done.manifest.labels, done.label()
    gtv, ctv, ptv = (box_mask(TARGETS[name]) for name in ("GTV", "CTV", "PTV"))
    np.testing.assert_array_equal(label == values["gtv"], gtv)
    np.testing.assert_array_equal(label == values["ctv"], ctv & ~gtv)
    np.testing.assert_array_equal(label == values["ptv"], ptv & ~ctv)
    assert not any("no voxel left" in note for note in notes(done))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_label_of_a_proposed_mapping_is_covered_by_one_around_it(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Boxes within boxes, in any order of their names, some of them absent in a patient."""
    folder, rng = tmp_path_factory.mktemp("nested"), np.random.default_rng(seed)
    boxes = [(n, 11 - n, n, 9 - n, 0, 5) for n in range(5)]
    names = [str(name) for name in rng.permutation(["A", "B", "C", "D", "E"])]
    for patient in range(2):
        images = write_ct(folder / "src" / str(patient), seed=patient, PatientID=f"number {patient}")
        kept = [number for number in range(5) if patient == 0 or rng.random() < 0.6] or [0]
        drawn = {names[number]: boxes[number] for number in rng.permutation(kept)}
        write_rtstruct(drawn, images, folder / "src" / str(patient) / "rs")
    done = run_ingest(folder / "src", folder / "out")
    for case, entry in zip(
        sorted(done.manifest.cases, key=lambda one: one.case_id),
        sorted(done.document["cases"], key=lambda one: one["case_id"]),
        strict=True,
    ):
        found = {int(value) for value in np.unique(done.label(case))} - {0}
        assert found == {done.manifest.labels[label] for label in entry["structures"].values()}


def test_label_of_which_nothing_is_left_is_told_and_comes_back_once_it_is_moved(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_rtstruct({"GTV": TARGETS["GTV"], "PTV": TARGETS["PTV"]}, images, tmp_path / "src" / "rs")
    gtv, ptv = "gtv: {value: 1, names: [GTV]}", "ptv: {value: 2, names: [PTV]}"
    told = "label gtv has no voxel left: the labels further down in the mapping cover it; move it below them"
    for order, is_told in (((gtv, ptv), True), ((ptv, gtv), False)):
        done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=f"labels: {{{', '.join(order)}}}")
        assert (told in notes(done)) is is_told
        assert (1 in done.label()) is not is_told


@pytest.mark.parametrize("names", [("PTV+5", "PTV-5"), ("Bowel+PTV", "Bowel-PTV"), ("D<50", "D>50"), ("Gtv", "GTV"),
                                   ("PTV-5", "PTV 5", "ptv_5"), ("Hüfte", "Hufte"), ("node", "node!")])  # fmt: skip
def test_structures_whose_names_differ_in_a_sign_alone_are_two(tmp_path: Path, names: tuple[str, ...]) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    boxes = dict(zip(names, (BOX, OTHER_BOX, (0, 1, 0, 1, 0, 1)), strict=False))
    write_rtstruct(boxes, images, tmp_path / "src" / "rs", SpecificCharacterSet="ISO_IR 192")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    structures = {name: entry["label"] for name, entry in done.document["structures"].items()}
    assert structures.keys() == set(names)
    assert len(set(structures.values())) == len(names)
    for name, label in structures.items():
        np.testing.assert_array_equal(done.label() == done.manifest.labels[label], box_mask(boxes[name]))
    again = run_ingest(tmp_path / "src", tmp_path / "again", mapping=done.folder / "mapping.yaml")
    np.testing.assert_array_equal(again.label(), done.label())


def test_structures_of_two_patients_that_differ_in_a_plus_stay_two(tmp_path: Path) -> None:
    for number, name in enumerate(("PTV+5", "PTV-5")):
        images = write_ct(tmp_path / "src" / str(number), PatientID=str(number), seed=number)
        write_rtstruct({name: BOX}, images, tmp_path / "src" / str(number) / "rs")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert len(done.manifest.foreground) == 2


def test_structures_that_one_name_of_the_mapping_fits_by_likeness_alone_fail_their_case(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_rtstruct({"PTV-5": BOX, "PTV 5": OTHER_BOX}, images, tmp_path / "src" / "rs")
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping="labels: {ptv: {value: 1, names: [PTV-5]}}")
    (failure,) = done.report.failures
    assert failure.reason.endswith(
        "structures that read alike must each be named in full in the mapping, got 'PTV-5' and 'PTV 5'; add both names "
        "to labels or to ignore"
    )
    for mapping in ("{labels: {ptv: {value: 1, names: [PTV-5, PTV 5]}}}",
                    "{labels: {ptv: {value: 1, names: [PTV-5]}}, ignore: [PTV 5]}"):  # fmt: skip
        assert run_ingest(tmp_path / "src", tmp_path / "out", mapping=mapping).report.is_clean


def test_empty_segment_is_told(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_seg({"GTV": box_mask(BOX), "Node": block(slice(0, 0))}, images, tmp_path / "src" / "seg")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert "structure Node is empty" in notes(done)
    np.testing.assert_array_equal(done.label() > 0, box_mask(BOX))


@pytest.mark.parametrize(
    ("box", "reason"),
    [((20, 24, 2, 5, 1, 3), "3 contour(s) lie outside the image"), ((3, 2, 2, 5, 1, 3), "3 contour(s) hold no pixel")],
)
def test_empty_structure_is_told_with_the_reason(
    tmp_path: Path, box: tuple[int, int, int, int, int, int], reason: str
) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_rtstruct({"GTV": BOX, "Node": box}, images, tmp_path / "src" / "rs")
    (note,) = notes(run_ingest(tmp_path / "src", tmp_path / "out"))
    assert note.startswith(f"structure Node is empty: {reason}")


def test_segmentation_on_a_shifted_grid_is_refused(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    for image in images:
        image.ImagePositionPatient[0] = float(image.ImagePositionPatient[0]) + 0.6
    write_seg({"GTV": box_mask(BOX)}, images, tmp_path / "src" / "seg")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    (failure,) = done.report.failures
    assert "frames of a SEG must lie on the voxels of its image, got some 0.4 voxels off" in failure.reason


def test_damaged_label_is_told_and_its_image_stays(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_labels("RTSTRUCT", images, tmp_path / "src" / "rs")
    content = (tmp_path / "src" / "rs").read_bytes()
    (tmp_path / "src" / "rs").write_bytes(content[: len(content) // 2])
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert len(done.manifest.cases) == 1
    assert not done.report.is_clean


def test_every_labelled_case_can_be_read_and_the_others_are_for_testing(tmp_path: Path) -> None:
    for number in range(3):
        images = write_ct(tmp_path / "src" / str(number), PatientID=str(number), seed=number)
        if number:
            write_rtstruct({"GTV": BOX}, images, tmp_path / "src" / str(number) / "rs")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert [case.split for case in done.manifest.cases] == ["training", "training", "test"]
    for case in done.manifest.select("training"):
        read = read_case(case, done.manifest, done.folder)
        np.testing.assert_array_equal(read.label > 0, box_mask(BOX))
        assert read.image.geometry.is_close(GRID)


def test_unlabelled_series_of_a_labelled_patient_is_written_but_not_in_the_manifest(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "a", PatientID="one")
    write_ct(tmp_path / "src" / "b", PatientID="one", seed=1)
    write_ct(tmp_path / "src" / "c", PatientID="two", seed=2)
    write_labels("RTSTRUCT", images, tmp_path / "src" / "rs")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert [case.split for case in done.manifest.cases] == ["training", "test"]
    assert len({case.patient_id for case in done.manifest.cases}) == 2
    assert len(list((done.folder / "images").iterdir())) == 3
    assert notes(done) == [
        "it is not in dataset.json: it has no label, and another case of its patient is for training"
    ]


def test_wrong_checksum_is_found_when_a_case_is_read(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ct")
    write_labels("RTSTRUCT", images, tmp_path / "src" / "rs")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.case.sha256 is not None
    assert set(done.case.sha256) == {*done.case.images, done.case.label}
    for name in done.case.sha256:
        content = (done.folder / name).read_bytes()
        (done.folder / name).write_bytes(content + b"\0")
        with pytest.raises(ScanError, match="must have the manifest's SHA-256"):
            read_case(done.case, done.manifest, done.folder)
        (done.folder / name).write_bytes(content)
    read_case(done.case, done.manifest, done.folder)


def test_structures_named_for_patients_only_stay_apart(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src", PatientName="Adler^Eva")
    write_rtstruct({"Eva": (2, 4, 2, 4, 1, 2), "Adler": (6, 8, 6, 8, 1, 2)}, images, tmp_path / "src" / "rs")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert len(done.manifest.foreground) == 2
    assert {int(value) for value in np.unique(done.label())} == {0, 1, 2}
