"""Remedies of labels that are delivered as RTSTRUCT, `.seg.nrrd` and label files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from medseg.delivery.label_files import write_itksnap_labels, write_label_masks
from medseg.origin import PictureOrigin, SeriesOrigin
from medseg.records import Scan
from medseg.scans import read_seg_nrrd_with_simpleitk, write_mask, write_seg_nrrd
from medseg.scans.dicom import write_rtstruct
from medseg.scans.dicom.seg_writer import write_seg
from medseg.scans.segment import Algorithm, CodedTerm, Segment

from tests.dicom_files import read_folder, write_series
from tests.grids import grid
from tests.remedies.attempts import tries

Again = Iterator[Callable[[], object]]
GRID = grid((6, 7, 8), spacing_mm=(0.8, 1.1, 3.0), origin_mm=(-12, 5, 40), axcodes="LPS")
ALGORITHM = Algorithm(name="model", version="1", digest="0", notice="research software")
TISSUE = CodedTerm("85756007", "SCT", "Tissue")
LIVER = Segment(number=1, name="liver", values=(1,), colour=(221, 130, 101), category=TISSUE, kind=TISSUE)
LABELS = np.zeros(GRID.shape, np.uint8)
LABELS[2:4, 3:6, 2:6] = 1


def series(place: Path, *, repair: str = "", missing: str = "") -> Scan:
    write_series(np.zeros(GRID.shape, np.int16), GRID, place / "ct", StudyTime="101010", PatientSex="", StudyID="1")
    if missing:
        (place / "ct" / missing).rename(place / "left_behind")
    return read_folder(place / "ct", repair=frozenset([repair] if repair else [])).scan


def rtstruct(place: Path, scan: Scan, labels: np.ndarray = LABELS, *segments: Segment) -> None:
    write_rtstruct(labels, segments or [LIVER], scan, place / "RS.dcm", algorithm=ALGORITHM)


def nrrd(place: Path, scan: Scan, labels: np.ndarray = LABELS, *segments: Segment) -> None:
    write_seg_nrrd(labels, segments or [LIVER], scan, place / "a.seg.nrrd")


def nifti(place: Path, scan: Scan) -> None:
    write_mask(LABELS, scan, place, case_id="a")


@tries("scans/dicom/contour_source.py", "give the mask that was drawn on this scan")
def _mask_of_another_scan(place: Path) -> Again:
    scan = series(place)
    yield lambda: rtstruct(place, scan, LABELS[1:])
    yield lambda: rtstruct(place, scan)


@tries("scans/dicom/contour_source.py", "deliver it as NIfTI or as .seg.nrrd")
def _no_series(place: Path) -> Again:
    scan = Scan(np.zeros((1, *GRID.shape), np.float32), GRID)
    yield lambda: rtstruct(place, scan)
    yield lambda: nifti(place, scan)
    yield lambda: nrrd(place, scan)


def _series_without(place: Path, **change: Any) -> Again:
    scan = series(place)
    assert isinstance(scan.origin, SeriesOrigin)
    other = replace(scan, origin=replace(scan.origin, **change))
    yield lambda: rtstruct(place, other)
    yield lambda: nifti(place, other)
    yield lambda: nrrd(place, other)


for _change in ({"modality": "DX"}, {"frame_of_reference_uid": ""}):
    tries("scans/dicom/contour_source.py", "deliver it as NIfTI or as .seg.nrrd")(partial(_series_without, **_change))


@tries("scans/dicom/contour_source.py", "deliver it as DICOM SEG or as NIfTI")
def _slices_of_a_repair(place: Path) -> Again:
    scan = series(place, repair="gaps", missing="00004")
    yield lambda: rtstruct(place, scan)
    yield lambda: write_seg(LABELS, [LIVER], scan, place / "seg.dcm", kind="binary", algorithm=ALGORITHM)
    yield lambda: nifti(place, scan)


@tries("scans/dicom/contour_source.py", "restore the series or predict again")
def _file_that_is_gone(place: Path) -> Again:
    scan = series(place)
    (place / "ct" / "00007").rename(place / "moved")
    yield lambda: rtstruct(place, scan)
    again = read_folder(place / "ct").scan
    yield lambda: rtstruct(place, again, LABELS[:, :, :7])
    (place / "moved").rename(place / "ct" / "00007")
    yield lambda: rtstruct(place, scan)


@tries("scans/dicom/contour_source.py", "restore the series or predict again")
def _file_that_was_replaced(place: Path) -> Again:
    scan = series(place)
    before = (place / "ct" / "00003").read_bytes()
    write_series(np.zeros(GRID.shape, np.int16), GRID, place / "ct")
    yield lambda: rtstruct(place, scan)
    again = read_folder(place / "ct").scan
    yield lambda: rtstruct(place, again)
    assert before != (place / "ct" / "00003").read_bytes()


def _without_structures(place: Path, write: Callable[..., None]) -> Again:
    yield lambda: write(place)
    yield lambda: nifti(place, Scan(np.zeros((1, *GRID.shape), np.float32), GRID))


tries("scans/dicom/contour_writer.py", "leave the file out")(
    partial(
        _without_structures,
        write=lambda place: write_rtstruct(LABELS, [], series(place), place / "RS.dcm", algorithm=ALGORITHM),
    )
)
tries("scans/seg_nrrd.py", "leave the file out")(
    partial(
        _without_structures,
        write=lambda place: write_seg_nrrd(LABELS, [], series(place), place / "a.seg.nrrd"),
    )
)


@tries("scans/dicom/contour_writer.py", "rename the label, or deliver it as NIfTI or as .seg.nrrd")
def _name_with_a_backslash(place: Path) -> Again:
    scan = series(place)
    odd = replace(LIVER, name="liver\\left")
    yield lambda: rtstruct(place, scan, LABELS, odd)
    yield lambda: rtstruct(place, scan, LABELS, replace(LIVER, name="liver left"))
    yield lambda: nifti(place, scan)
    yield lambda: nrrd(place, scan, LABELS, odd)


@tries("scans/seg_nrrd.py", "give the mask that was drawn on this scan")
def _segmentation_of_another_scan(place: Path) -> Again:
    scan = series(place)
    yield lambda: nrrd(place, scan, LABELS[1:])
    yield lambda: nrrd(place, scan)


@tries("scans/seg_nrrd.py", "deliver the mask as a picture")
def _segmentation_of_a_picture(place: Path) -> Again:
    flat = grid((6, 7, 1))
    scan = Scan(np.zeros((1, 6, 7, 1), np.float32), flat, PictureOrigin(place / "a.png"))
    yield lambda: nrrd(place, scan, LABELS[:, :, :1])
    yield lambda: write_mask(LABELS[:, :, :1], scan, place, case_id="a")


@tries("scans/seg_nrrd.py", "name the label")
def _segmentation_without_a_name(place: Path) -> Again:
    scan = series(place)
    yield lambda: nrrd(place, scan, LABELS, replace(LIVER, name=" "))
    yield lambda: nrrd(place, scan)


@tries("scans/seg_nrrd.py", "renumber the labels")
def _number_that_does_not_fit(place: Path) -> Again:
    scan = series(place)
    yield lambda: nrrd(place, scan, LABELS, replace(LIVER, number=70_000))
    yield lambda: nrrd(place, scan, LABELS, replace(LIVER, number=7))


@tries("scans/label_reading.py", "deliver it again")
def _segmentation_cut_short(place: Path) -> Again:
    scan = series(place)
    nrrd(place, scan)
    whole = (place / "a.seg.nrrd").read_bytes()
    (place / "a.seg.nrrd").write_bytes(whole[:-20])
    yield lambda: read_seg_nrrd_with_simpleitk(place / "a.seg.nrrd")
    nrrd(place, scan)
    yield lambda: read_seg_nrrd_with_simpleitk(place / "a.seg.nrrd")


@tries("delivery/label_files/label_masks.py", "give the mask that was drawn on this scan")
def _masks_of_another_scan(place: Path) -> Again:
    scan = series(place)
    yield lambda: write_label_masks(LABELS[1:], [LIVER], scan, place / "masks")
    yield lambda: write_label_masks(LABELS, [LIVER], scan, place / "masks")


@tries("delivery/label_files/value_labels.py", "name the label")
def _label_without_a_name(place: Path) -> Again:
    yield lambda: write_itksnap_labels([replace(LIVER, name="")], place / "labels.txt")
    yield lambda: write_itksnap_labels([LIVER], place / "labels.txt")
