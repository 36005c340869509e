"""Remedies of the errors of NRRD and MetaImage files, pictures and masks that are written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from medseg.records import Scan
from medseg.scans import read_grid, read_label, read_scan, write_mask, write_scan
from PIL import Image

from tests.grids import OBLIQUE
from tests.remedies.attempts import tries

Again = Iterator[Callable[[], object]]
VOXELS = np.arange(60, dtype=np.int16).reshape(5, 4, 3)  # (K, J, I)
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)


def written(path: Path, array: np.ndarray = VOXELS) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    return path


@tries("scans/grid.py", "convert it")
def _ending(place: Path) -> Again:
    (place / "a.mgz").touch()
    yield lambda: read_grid(place / "a.mgz", case_id="c")
    written(place / "a.nrrd")
    yield lambda: read_grid(place / "a.nrrd", case_id="c")


def _cut(path: Path, *, keep: int) -> Again:
    whole = path.read_bytes()
    path.write_bytes(whole[:keep])
    yield lambda: read_scan(path, case_id="c")
    path.write_bytes(whole)
    yield lambda: read_scan(path, case_id="c")


@tries("scans/itk.py", "copy or export it again")
def _without_all_voxels(place: Path) -> Again:
    yield from _cut(written(place / "a.nrrd"), keep=-20)


@tries("scans/itk.py", "copy or export it again")
def _without_all_of_the_header(place: Path) -> Again:
    yield from _cut(written(place / "a.mha"), keep=30)


@tries("scans/itk.py", "rename it")
def _name_that_is_no_text(place: Path) -> Again:
    path = Path(os.fsdecode(os.fsencode(place) + b"/scan\xff.nrrd"))
    written(place / "a.nrrd").rename(path)
    yield lambda: read_scan(path, case_id="c")
    path.rename(place / "scan.nrrd")
    yield lambda: read_scan(place / "scan.nrrd", case_id="c")


def _four_axes(place: Path, read: Callable[[Path], object]) -> Again:
    volumes = [sitk.GetImageFromArray(VOXELS + n) for n in range(2)]
    sitk.WriteImage(sitk.JoinSeries(volumes), str(place / "a.nrrd"))
    yield lambda: read(place / "a.nrrd")
    joined = sitk.ReadImage(str(place / "a.nrrd"))
    for n in range(joined.GetSize()[3]):
        sitk.WriteImage(joined[..., n], str(place / f"a{n}.nrrd"))
    yield lambda: [read(place / f"a{n}.nrrd") for n in range(2)]


@tries("scans/itk.py", "split it")
def _volumes_in_one_file(place: Path) -> Again:
    yield from _four_axes(place, lambda path: read_scan(path, case_id="c"))


@tries("scans/itk.py", "split it")
def _volumes_in_one_header(place: Path) -> Again:
    yield from _four_axes(place, lambda path: read_grid(path, case_id="c"))


@tries("scans/picture.py", "copy or export it again")
def _picture_that_ends_early(place: Path) -> Again:
    Image.fromarray(PIXELS).save(place / "a.png")
    yield from _cut(place / "a.png", keep=100)


@tries("scans/picture.py", "rotate the pixels and save it again")
def _rotated(place: Path) -> Again:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(place / "a.png", exif=exif)
    yield lambda: read_scan(place / "a.png", case_id="c")
    Image.fromarray(np.rot90(PIXELS, -1)).save(place / "a.png")
    yield lambda: read_scan(place / "a.png", case_id="c")


@tries("scans/picture.py", "save it with 8 bits")
def _deep_colours(place: Path) -> Again:
    colours = np.stack([PIXELS.astype(np.uint16) * 257] * 3, axis=-1)
    _save_deep(colours, place / "a.png")
    yield lambda: read_scan(place / "a.png", case_id="c", channels=3)
    Image.fromarray((colours // 257).astype(np.uint8)).save(place / "a.png")
    yield lambda: read_scan(place / "a.png", case_id="c", channels=3)


def _save_deep(colours: np.ndarray, path: Path) -> None:
    """A PNG of 16 bits per colour, which Pillow does not write."""
    vectors = sitk.GetImageFromArray(colours, isVector=True)
    sitk.WriteImage(vectors, str(path))


@tries("scans/picture.py", "split it or use NIfTI")
def _pages(place: Path) -> Again:
    pages = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    pages[0].save(place / "a.tif", save_all=True, append_images=pages[1:])
    yield lambda: read_scan(place / "a.tif", case_id="c")
    for n, page in enumerate(pages):
        page.save(place / f"a{n}.tif")
    yield lambda: [read_scan(place / f"a{n}.tif", case_id="c") for n in range(2)]
    volume = np.stack([np.asarray(page).T for page in pages], axis=-1)[np.newaxis]
    write_scan(volume, OBLIQUE, place / "a.nii.gz")
    yield lambda: read_scan(place / "a.nii.gz", case_id="c")


@tries("scans/write.py", "renumber the labels")
def _large_values(place: Path) -> Again:
    mask = np.zeros(OBLIQUE.shape, np.int64)
    mask[1:3], mask[4:6] = 7, 70000
    scan = Scan(mask[np.newaxis].astype(np.float32), OBLIQUE)
    yield lambda: write_mask(mask, scan, place, case_id="c")
    renumbered = np.unique(mask, return_inverse=True)[1].reshape(mask.shape)
    yield lambda: read_label(write_mask(renumbered, scan, place, case_id="c"), case_id="c")
