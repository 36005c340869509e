"""Remedies of the errors of single DICOM files: most are damaged, and exported again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from medseg.scans.dicom import draw_label_object, quiet_dicom, read_instance, read_label_object, read_series
from medseg.scans.dicom.pixels import read_pixels
from medseg.scans.dicom.series_writer import write_dicom_series
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filereader import dcmread
from pydicom.uid import RLELossless

from tests.dicom_files import found_in, recode, save, write_enhanced, write_mosaic, write_series
from tests.grids import grid
from tests.ingest.sources import write_ct, write_rtstruct, write_seg
from tests.remedies.attempts import Attempt, tries
from tests.scans.dicom.test_suv import factor

Again = Iterator[Callable[[], object]]
Change = Callable[[Path], object]
UPRIGHT = grid((8, 6, 5), spacing_mm=(2, 2.5, 4), angles=(0.2, 0.1, -0.3), origin_mm=(5, -7, 30), axcodes="LPS")
ARRAY = np.random.default_rng(2).integers(0, 4000, UPRIGHT.shape).astype(np.uint16)


def exported_again(path: Path, change: Change, read: Callable[[Path], object]) -> Again:
    """A file that a change damages, read, and the whole file in its place."""
    whole = path.read_bytes()
    change(path)

    def quietly() -> object:
        with quiet_dicom():
            return read(path)

    yield quietly
    path.write_bytes(whole)
    yield quietly


def edited(path: Path, **values: Any) -> None:
    """Replace values of a file; None removes one."""
    dataset = dcmread(path)
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


def one_slice(place: Path) -> Path:
    write_series(ARRAY, UPRIGHT, place / "s")
    return place / "s" / "00001"


def coded_slice(place: Path) -> Path:
    recode(one_slice(place), "JPEGLSLossless", place / "coded")
    return place / "coded"


def enhanced(place: Path) -> Path:
    write_enhanced(ARRAY, UPRIGHT, place / "one")
    return place / "one"


def structures(place: Path) -> Path:
    write_rtstruct({"liver": (2, 5, 2, 5, 1, 3)}, write_ct(place / "ct"), place / "rs")
    return place / "rs"


def segments(place: Path) -> Path:
    mask = np.zeros((12, 10, 6), bool)
    mask[2:6, 2:6, 1:4] = True
    write_seg({"liver": mask}, write_ct(place / "ct"), place / "seg")
    return place / "seg"


def without_segment_names(path: Path) -> None:
    dataset = dcmread(path)
    for group in (*dataset.PerFrameFunctionalGroupsSequence, *dataset.SharedFunctionalGroupsSequence):
        if "SegmentIdentificationSequence" in group:
            del group.SegmentIdentificationSequence
    dataset.save_as(path)


def without_a_group(path: Path) -> None:
    dataset = dcmread(path)
    del dataset.PerFrameFunctionalGroupsSequence[-1]
    dataset.save_as(path)


def four_numbers(path: Path) -> None:
    dataset = dcmread(path)
    dataset.ROIContourSequence[0].ContourSequence[0].ContourData = ["1", "2", "3", "4"]
    dataset.save_as(path)


def garbled(path: Path) -> None:
    dataset = dcmread(path)
    dataset.PixelData = encapsulate([b"\1\2\3\4"])
    dataset["PixelData"].VR = "OB"
    save(dataset, path, transfer_syntax=RLELossless)


def recoded(path: Path, code: bytes) -> None:
    edited(path, PixelData=encapsulate([code]))


def empty_table(path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [256, 0, 16], b""
    edited(path, ModalityLUTSequence=[table])


def empty_data_set(path: Path) -> None:
    path.write_bytes(b"\0" * 128 + b"DICM")


def drawn(path: Path) -> object:
    """The structures of a label object on the grid of its image."""
    found = read_label_object(path)
    grid_of = found_in(path.parent / "ct")[0].planes
    assert grid_of is not None
    return list(draw_label_object(found, grid_of.geometry()))


def _again(place: Path, *, write: Callable[[Path], Path], change: Change, read: Callable[[Path], object]) -> Again:
    return exported_again(write(place), change, read)


EXPORTED_AGAIN: list[tuple[str, Callable[[Path], Path], Change, Callable[[Path], object]]] = [
    ("codestream", coded_slice, partial(edited, Rows=UPRIGHT.shape[1] + 1), read_pixels),
    ("codestream", coded_slice, partial(recoded, code=b"\xff\xd8\xff\xf7"), read_pixels),
    ("codestream", coded_slice, partial(recoded, code=b"\0" * 40), read_pixels),
    ("contours", structures, four_numbers, read_label_object),
    ("damage", one_slice, garbled, read_pixels),
    ("functional_groups", enhanced, without_a_group, read_instance),
    ("functional_groups", enhanced, partial(edited, NumberOfFrames=0), read_instance),
    ("instance", enhanced, partial(edited, NumberOfFrames=100_000), read_instance),
    ("label_object", structures, partial(edited, Modality="CT", StructureSetROISequence=None), read_label_object),
    ("modality_lut", one_slice, empty_table, read_pixels),
    ("pixels", one_slice, partial(edited, PixelData=None), read_pixels),
    ("pixels", one_slice, partial(edited, PixelData=b"\0" * 10), read_pixels),
    ("pixels", coded_slice, partial(edited, Rows=30_000, Columns=30_000), read_pixels),
    ("segments", segments, partial(edited, PerFrameFunctionalGroupsSequence=None), read_label_object),
    ("segments", segments, without_segment_names, drawn),
]
for _name, _write, _change, _read in EXPORTED_AGAIN:
    _attempt: Attempt = partial(_again, write=_write, change=_change, read=_read)
    tries(f"scans/dicom/{_name}.py", "export it again")(_attempt)
tries("scans/dicom/instance.py", "copy or export it again")(
    partial(_again, write=one_slice, change=empty_data_set, read=read_instance)
)
tries("scans/dicom/label_object.py", "copy or export it again")(
    partial(_again, write=structures, change=cut, read=read_label_object)
)


def _locked(place: Path, *, read: Callable[[Path], object], opening: str) -> Again:
    path = one_slice(place)
    path.chmod(0)
    refused = patch.object(Path, opening, side_effect=PermissionError(13, "Permission denied"))  # for root, whom 0 lets

    def locked() -> object:
        with refused:
            return read(path)

    yield locked
    path.chmod(0o600)
    yield lambda: read(path)


tries("scans/dicom/instance.py", "fix its permissions")(partial(_locked, read=read_instance, opening="open"))
tries("scans/dicom/pixels.py", "fix its permissions")(partial(_locked, read=read_pixels, opening="read_bytes"))


@tries("scans/dicom/plane_values.py", "export it again")
def _slice_of_another_size(place: Path) -> Again:
    path = one_slice(place)
    (found,) = found_in(place / "s")
    small = write_series(ARRAY[:4], grid((4, 6, 5), axcodes="LPS"), place / "small")[1]
    yield from exported_again(path, lambda target: save(small, target), lambda _: read_series(found))


@tries("scans/dicom/volume.py", "export it with 16 bits per voxel")
def _long_numbers(place: Path) -> Again:
    for k, dataset in enumerate(write_series(ARRAY, UPRIGHT, place / "s")):
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 32, 32, 31
        dataset.PixelData = np.ascontiguousarray(ARRAY[:, :, k].T.astype("<u4") * 1_000_000).tobytes()
        save(dataset, place / "s" / f"{k:05d}")
    yield lambda: read_series(found_in(place / "s")[0])
    write_series(ARRAY, UPRIGHT, place / "s", slopes=[(1_000_000, 0)] * UPRIGHT.shape[2])
    yield lambda: read_series(found_in(place / "s")[0])


def _mosaic(place: Path, *, change: Callable[[Dataset], object]) -> Again:
    dataset = write_mosaic(ARRAY, UPRIGHT, place / "one", csa=False)
    change(dataset)
    save(dataset, place / "one")
    yield lambda: read_instance(place / "one")
    write_series(ARRAY, UPRIGHT, place / "slices")
    yield lambda: read_series(found_in(place / "slices")[0])


def _without_step(dataset: Dataset) -> None:
    del dataset.SpacingBetweenSlices


def _without_count(dataset: Dataset) -> None:
    del dataset[0x0019100A]


for _removed in (_without_step, _without_count):
    tries("scans/dicom/mosaic.py", "export single slices")(partial(_mosaic, change=_removed))


def _without_suv(place: Path, *, tracer: dict[str, Any] | None = None, **pet: Any) -> Again:
    yield lambda: factor(place, tracer=tracer, **pet)
    yield lambda: read_series(found_in(place)[0])


for _values in (
    {"Units": None},
    {"Units": "CNTS"},
    {"PatientWeight": None},
    {"DecayCorrection": None},
    {"SeriesTime": "090000", "tracer": {"RadiopharmaceuticalStartDateTime": "20240517100000"}},
    {"SeriesTime": None, "AcquisitionTime": None},
    {"tracer": {"RadiopharmaceuticalStartTime": None}},
):
    tries("scans/dicom/suv.py", "ingest it without SUV")(partial(_without_suv, **_values))


@tries("scans/dicom/series_writer.py", "scale and round it first")
def _fractions(place: Path) -> Again:
    values = ARRAY / 4000
    paths = [place / f"{k}" for k in range(UPRIGHT.shape[2])]
    yield lambda: write_dicom_series(values, UPRIGHT, paths, header={})
    scaled = np.rint(values * 4000).astype(np.uint16)
    yield lambda: write_dicom_series(scaled, UPRIGHT, paths, header={})
