"""Remedies of the problems of DICOM series: slices that make no straight, even volume."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from medseg.errors import ScanError
from medseg.scans.dicom import SeriesRules, read_series
from medseg.scans.dicom.planes import find_problems
from medseg.scans.dicom.segmentation_writer import write_dicom_seg
from medseg.scans.dicom.series_writer import write_dicom_series
from pydicom.uid import SecondaryCaptureImageStorage

from tests.dicom_files import decimals, found_in, save, slice_dataset, write_series
from tests.grids import grid
from tests.ingest.test_pictures import grey, write_radiograph
from tests.remedies.attempts import by_a_person, tries
from tests.remedies.dicom_files import edited

Again = Iterator[Callable[[], object]]
GRID = grid((6, 5, 12), spacing_mm=(0.7, 0.8, 2.5), angles=(0.3, -0.2, 0.1), origin_mm=(-50, 20, 300), axcodes="LPS")
ARRAY = np.random.default_rng(0).integers(0, 99, GRID.shape).astype(np.int16)
EVEN = [(0.0, 0.0, float(k)) for k in range(12)]
NOBODY = {"PatientID": "", "PatientName": "", "PatientBirthDate": ""}


def write_at(folder: Path, places: Sequence[Sequence[float]] = EVEN, *, seed: int = 0, **values: Any) -> Path:
    """A series whose slices lie at voxel places of a grid; no mark tells two at one place apart."""
    own = {"series_uid": "1.2.3", **values}
    for k, dataset in enumerate(write_series(ARRAY + seed, GRID, folder, **own)):
        dataset.ImagePositionPatient = decimals(GRID.to_lps()[:3] @ [*places[k], 1])
        dataset.InstanceNumber = 1
        save(dataset, folder / f"{k:05d}")
    return folder


def read(folder: Path, *, rules: SeriesRules | None = None, repair: str = "") -> list[object]:
    """Every volume of a folder; there must be one."""
    found = found_in(folder, rules)
    if not found:
        raise LookupError("no series was found")
    return [read_series(one, repair=frozenset([repair] if repair else [])) for one in found]


@tries("scans/dicom/planes.py", "copy the missing files, or ingest with the repair gaps to interpolate them")
def _missing(place: Path) -> Again:
    folder = write_at(place / "s")
    (folder / "00005").rename(place / "left_behind")
    yield lambda: read(folder)
    yield lambda: read(folder, repair="gaps")
    shutil.copy(place / "left_behind", folder / "00005")
    yield lambda: read(folder)


@tries("scans/dicom/planes.py", "ingest with the repair gaps to resample them evenly")
def _uneven(place: Path) -> Again:
    folder = write_at(place, [(0, 0, k + 0.3 * (k % 3 == 1)) for k in range(12)])
    yield lambda: read(folder)
    yield lambda: read(folder, repair="gaps")


def _tilted(place: Path, *, places: Sequence[Sequence[float]]) -> Again:
    folder = write_at(place, places)
    yield lambda: read(folder)
    yield lambda: read(folder, repair="tilt")


for _places in ([(0, 0.5 * k, k) for k in range(12)], [(3 * (k == 7), 0, k) for k in range(12)]):
    tries("scans/dicom/planes.py", "ingest with the repair tilt to shift the slices onto a straight grid")(
        partial(_tilted, places=_places)
    )


@tries("scans/dicom/planes.py", "copy the whole series, or lower the minimum number of slices")
def _too_few(place: Path) -> Again:
    write_at(place / "whole")
    for name in ("00003", "00004"):
        (place / "part").mkdir(exist_ok=True)
        shutil.copy(place / "whole" / name, place / "part")
    yield lambda: read(place / "part")
    yield lambda: read(place / "part", rules=SeriesRules(min_slices=1))
    yield lambda: read(place / "whole")


def _repeated(place: Path) -> Path:
    """Two acquisitions under one UID that share a part of their places."""
    write_at(place / "s" / "a")
    write_at(place / "s" / "b", seed=1)
    for k in range(6):
        (place / "s" / "b" / f"{k:05d}").unlink()
    return place / "s"


def _as_series_of_their_own(folder: Path) -> None:
    for path in (folder / "b").iterdir():
        edited(path, SeriesInstanceUID="1.2.4")


@tries("scans/dicom/series.py", "keep the files of one slice at each position, or {}")
def _keep_one(place: Path) -> Again:
    folder = _repeated(place)
    yield lambda: read(folder)
    shutil.move(folder / "b", place / "b")
    yield lambda: read(folder)
    shutil.move(place / "b", folder / "b")
    _as_series_of_their_own(folder)
    yield lambda: read(folder)


@tries("scans/dicom/planes.py", "export each acquisition as a series of its own")
def _acquisitions(place: Path) -> Again:
    folder = _repeated(place)

    def planes_without_problem() -> None:
        for found in found_in(folder):
            for problem in find_problems(found.planes, min_slices=3) if found.planes else ():
                raise ScanError(problem.message, remedy=problem.remedy)

    yield planes_without_problem
    _as_series_of_their_own(folder)
    yield planes_without_problem


@tries(
    "scans/dicom/planes.py",
    "they are repeated shots of one place; keep the file of one of them, and lower the minimum number of slices to 1",
)
def _one_place(place: Path) -> Again:
    folder = write_at(place, [(0, 0, 0)] * 12)
    yield lambda: read(folder)
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()
    yield lambda: read(folder, rules=SeriesRules(min_slices=1))


def _originals(place: Path, *, whole: int, **lost: Any) -> Again:
    """Copies whose headers lost what places them, and the originals, which hold it."""
    write_at(place / "original")
    shutil.copytree(place / "original", place / "copy")
    for path in sorted((place / "copy").iterdir())[whole:]:
        edited(path, **lost)
    yield lambda: read(place / "copy")
    yield lambda: read(place / "original")


tries("scans/dicom/planes.py", "export the original images, not screen copies or cine loops")(
    partial(_originals, whole=0, ImagePositionPatient=None, ImageOrientationPatient=None)
)
tries("scans/dicom/planes.py", "export the original images")(partial(_originals, whole=0, PixelSpacing=None))
tries("scans/dicom/planes.py", "export the original images")(
    partial(_originals, whole=0, ImageOrientationPatient=[1, 0, 0, 1, 0, 0])
)
tries("scans/dicom/series.py", "export the original images")(
    partial(_originals, whole=0, SOPClassUID=SecondaryCaptureImageStorage, ImagePositionPatient=None)
)
for _mixed in ({"PatientID": "OTHER", "PatientName": "Other^Otto"}, {"FrameOfReferenceUID": "1.2.9"}):
    tries("scans/dicom/series.py", "export the original series; the UIDs were changed")(
        partial(_originals, whole=6, **_mixed)
    )


@tries("scans/dicom/series.py", "ingest with the repair orientations to take each as a volume of its own")
def _orientations(place: Path) -> Again:
    write_at(place / "a")
    turned = grid(GRID.shape, spacing_mm=(0.7, 0.8, 2.5), angles=(0.9, 0.0, 0.0), axcodes="LPS")
    write_series(ARRAY, turned, place / "b", series_uid="1.2.3")
    yield lambda: read(place)
    yield lambda: read(place, rules=SeriesRules(separate_orientations=True))


@tries("scans/dicom/series.py", "export the frames that are to be used as single images")
def _loop(place: Path) -> Again:
    (place / "loop").mkdir()
    frames = np.random.default_rng(0).integers(0, 4000, (3, 20, 30)).astype(np.uint16)
    loop = write_radiograph(place / "loop" / "one", frames[0])
    loop.NumberOfFrames, loop.PixelData = 3, frames.tobytes()
    save(loop, place / "loop" / "one")
    yield lambda: read(place / "loop")
    for n, frame in enumerate(frames):
        write_radiograph(place / "single" / str(n), frame)
    yield lambda: read(place / "single")


@tries("scans/dicom/gaps.py", "export the series with one matrix, pixel spacing and kind of image")
def _two_matrices(place: Path) -> Again:
    write_at(place / "s")
    shutil.copytree(place / "s", place / "whole")
    for k in (4, 5, 6):
        path = place / "s" / f"{k:05d}"
        large = slice_dataset(grey(k, (10, 12)).astype(np.uint16), 1)
        edited(path, Rows=10, Columns=12, PixelData=large.PixelData)
    yield lambda: read(place / "s")
    yield lambda: read(place / "whole")


@tries(
    "scans/dicom/one_source.py",
    "move the slices of each patient into a folder of their own, and ingest these folders one by one",
)
def _of_nobody(place: Path) -> Again:
    write_at(place / "s", **NOBODY)
    for k, path in enumerate(sorted((place / "s").iterdir())):
        edited(path, InstanceNumber=1 + k % 6)
    yield lambda: read(place / "s")
    (place / "other").mkdir()
    for path in sorted((place / "s").iterdir())[6:]:
        path.rename(place / "other" / path.name)
    yield lambda: [read(place / "s"), read(place / "other")]


by_a_person(
    "nothing is to be done: the files are set aside and counted, and nothing failed",
    "scans/dicom/series.py",
    "nothing to do",
    "nothing to do; localizers only plan the scan",
    "nothing to do; these are not ingested",
)


def _segments(folder: Path) -> tuple[dict[str, np.ndarray], list[Path]]:
    mask = np.zeros(GRID.shape, bool)
    mask[1:3, 1:3, 2:5] = True
    images = [folder / f"{k}" for k in range(GRID.shape[2])]
    write_dicom_series(ARRAY, GRID, images, header={"Modality": "CT"})
    return {"liver": mask}, images


@tries("scans/dicom/segmentation_writer.py", "leave the file out")
def _no_segment(place: Path) -> Again:
    masks, images = _segments(place / "s")
    cases = {"a": {"liver": np.zeros(GRID.shape, bool)}, "b": masks}

    def write(names: Sequence[str]) -> None:
        for name in names:
            write_dicom_seg(cases[name], images, place / name)

    yield lambda: write(["a", "b"])
    yield lambda: write(["b"])
