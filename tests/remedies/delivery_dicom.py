"""Remedies of the errors of DICOM SEG and SR that refer to a series, and of measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from medseg.delivery.measurements import measure_structures
from medseg.origin import SeriesOrigin
from medseg.records import Scan
from medseg.scans import write_mask, write_picture
from medseg.scans.dicom import (
    SegKind,
    read_seg_with_dcmqi,
    read_seg_with_highdicom,
    write_measurement_report,
    write_seg,
)
from medseg.scans.segment import Segment
from pydicom import dcmread
from pydicom.uid import DigitalXRayImageStorageForPresentation

from tests.dicom_files import read_folder, save, slice_dataset, write_series
from tests.grids import OBLIQUE
from tests.remedies.attempts import tries
from tests.segments import ALGORITHM, segments

Again = Iterator[Callable[[], object]]
ARRAY = np.random.default_rng(0).integers(0, 99, OBLIQUE.shape).astype(np.int16)
LABELS = (ARRAY % 3).astype(np.uint8)
TWO = segments("liver", "spleen")


def series(place: Path) -> Scan:
    write_series(ARRAY, OBLIQUE, place / "scan", series_uid="1.2.3")
    return read_folder(place / "scan").scan


def writing(
    place: Path, scan: Scan, labels: np.ndarray = LABELS, parts: Sequence[Segment] = TWO, kind: SegKind = "labelmap"
) -> Callable[[], None]:
    return lambda: write_seg(labels, parts, scan, place / "seg.dcm", kind=kind, algorithm=ALGORITHM)


@tries("scans/dicom/source_images.py", "predict from the DICOM series, or deliver NIfTI")
def _from_no_series(place: Path) -> Again:
    scan = series(place)
    other = replace(scan, origin=None)
    yield writing(place, other)
    yield writing(place, scan)
    yield lambda: write_mask(LABELS, other, place, case_id="c")


@tries("scans/dicom/source_images.py", "restore the series as it was, or predict the case again")
def _missing_source(place: Path) -> Again:
    scan = series(place)
    assert isinstance(scan.origin, SeriesOrigin)
    file = scan.origin.files[2]
    whole = file.read_bytes()
    file.unlink()
    yield writing(place, scan)
    file.write_bytes(whole)
    yield writing(place, scan)


@tries("scans/dicom/source_images.py", "restore the series as it was, or predict the case again")
def _changed_source(place: Path) -> Again:
    scan = series(place)
    assert isinstance(scan.origin, SeriesOrigin)
    for path in scan.origin.files:
        dataset = dcmread(path)
        dataset.SeriesInstanceUID = "1.2.4"
        save(dataset, path)
    yield writing(place, scan)
    yield writing(place, read_folder(place / "scan").scan)


@tries("scans/dicom/source_images.py", "deliver it as NIfTI or PNG")
def _picture(place: Path) -> Again:
    dataset = slice_dataset(np.arange(24, dtype=np.uint16).reshape(4, 6), 1)
    dataset.SOPClassUID, dataset.Modality = DigitalXRayImageStorageForPresentation, "DX"
    (place / "scan").mkdir()
    save(dataset, place / "scan" / "hand")
    scan = read_folder(place / "scan").scan
    labels = np.ones(scan.geometry.shape, np.uint8)
    yield writing(place, scan, labels)
    yield lambda: write_mask(labels, scan, place, case_id="c")
    yield lambda: write_picture(labels[np.newaxis], place / "c.png")


@tries("scans/dicom/source_images.py", "give the whole scan as it was read")
def _part_of_a_scan(place: Path) -> Again:
    scan = series(place)
    part = replace(scan, array=scan.array[..., 1:], geometry=scan.geometry.cropped(2, range(1, 5)))
    yield writing(place, part, LABELS[..., 1:])
    yield writing(place, scan)


@tries("scans/dicom/seg_segments.py", "deliver fewer structures at a time, or NIfTI")
def _too_many_segments(place: Path) -> Again:
    scan, many = series(place), segments(*(f"part {n}" for n in range(256)))
    yield writing(place, scan, parts=many)
    yield writing(place, scan, parts=many[:255])
    yield lambda: write_mask(LABELS, scan, place, case_id="c")


@tries("scans/dicom/seg_segments.py", "name the label in the data set or model")
def _nameless(place: Path) -> Again:
    scan = series(place)
    yield writing(place, scan, parts=segments("liver", ""))
    yield writing(place, scan, parts=segments("liver", "spleen"))


@tries("scans/dicom/seg_segments.py", "number the segments again")
def _numbers_with_a_gap(place: Path) -> Again:
    scan = series(place)
    yield writing(place, scan, parts=[TWO[0], replace(TWO[1], number=3)])
    yield writing(place, scan, parts=TWO)


@tries("scans/dicom/seg_planes.py", "write binary segments, which may overlap")
def _overlapping(place: Path) -> Again:
    scan = series(place)
    parts = [replace(TWO[0], values=(1, 2)), TWO[1]]
    yield writing(place, scan, parts=parts)
    yield writing(place, scan, parts=parts, kind="binary")


@tries("scans/dicom/seg_writer.py", "predict the case again")
def _seg_of_another_grid(place: Path) -> Again:
    scan = series(place)
    yield writing(place, scan, LABELS[1:])
    yield writing(place, scan, LABELS)


@tries("scans/dicom/seg_writer.py", "give the labels of the model that drew the mask")
def _unknown_value(place: Path) -> Again:
    scan = series(place)
    yield writing(place, scan, parts=TWO[:1])
    yield writing(place, scan, parts=TWO)


@tries("scans/dicom/report_writer.py", "measure the segments of the SEG")
def _measurements_of_others(place: Path) -> Again:
    scan = series(place)
    writing(place, scan)()

    def reporting(parts: Sequence[Segment]) -> Callable[[], None]:
        rows = measure_structures(LABELS, parts, scan)
        return lambda: write_measurement_report(
            rows, TWO, scan, place / "seg.dcm", place / "sr.dcm", algorithm=ALGORITHM
        )

    yield reporting(TWO[:1])
    yield reporting(TWO)


@tries("delivery/measurements/measure.py", "predict the case again")
def _measured_on_another_grid(place: Path) -> Again:
    scan = series(place)
    yield lambda: measure_structures(LABELS[1:], TWO, scan)
    yield lambda: measure_structures(LABELS, TWO, scan)


@tries("scans/dicom/seg_reading.py", "write the file again")
def _damaged_seg(place: Path) -> Again:
    scan = series(place)
    (place / "seg.dcm").write_bytes(b"\0" * 128 + b"DICM")
    yield lambda: read_seg_with_dcmqi(place / "seg.dcm")
    writing(place, scan)()
    yield lambda: read_seg_with_dcmqi(place / "seg.dcm")


@tries("scans/dicom/seg_reading.py", "write the file again")
def _frames_that_make_no_volume(place: Path) -> Again:
    scan = series(place)
    writing(place, scan)()
    dataset = dcmread(place / "seg.dcm")
    positions = [group.PlanePositionSequence[0] for group in dataset.PerFrameFunctionalGroupsSequence]
    positions[2].ImagePositionPatient = [0, 0, 9.123]
    save(dataset, place / "seg.dcm", transfer_syntax=dataset.file_meta.TransferSyntaxUID)
    yield lambda: read_seg_with_highdicom(place / "seg.dcm")
    writing(place, scan)()
    yield lambda: read_seg_with_highdicom(place / "seg.dcm")
