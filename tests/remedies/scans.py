"""Remedies of the errors of scan files."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from medseg.geometry import straightened
from medseg.records import Scan
from medseg.scans import read_grid, read_label, read_scan, regrid, repair_nifti, write_scan
from medseg.scans.nifti_words import read_nifti_words
from medseg.scans.seg_nrrd import write_seg_nrrd
from medseg.scans.seg_nrrd_words import read_seg_nrrd_words
from medseg.terms import segments_of

from tests.coded_labels import put_under_slope
from tests.grids import OBLIQUE, grid
from tests.remedies.attempts import covers, tries

covers("geometry.py", "scans")
Again = Iterator[Callable[[], object]]
LABEL = np.zeros(OBLIQUE.shape, np.uint8)
LABEL[1:4, 2:5, 1:3] = 1


def save(path: Path, voxels: np.ndarray, affine: Any = None, **header: Any) -> Path:
    image = nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    image.to_filename(path)
    return path


def image(shape: tuple[int, ...] = (4, 5, 6)) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@tries("scans/read.py", "convert it")
def _ending(place: Path) -> Again:
    (place / "a.mgz").touch()
    yield lambda: read_scan(place / "a.mgz", case_id="c")
    save(place / "a.nii", image())
    yield lambda: read_scan(place / "a.nii", case_id="c")


@tries("scans/read.py", "check the data root")
def _missing(place: Path) -> Again:
    (place / "data").mkdir()
    save(place / "data" / "a.nii", image())
    yield lambda: read_scan(place / "a.nii", case_id="c")
    yield lambda: read_scan(place / "data" / "a.nii", case_id="c")


@tries("scans/read.py", "merge them into one volume of label values")
def _label_channels(place: Path) -> Again:
    both = np.stack([LABEL, np.roll(LABEL, 2, axis=0)])
    write_scan(both, OBLIQUE, place / "a.nii.gz")
    yield lambda: read_label(place / "a.nii.gz", case_id="c")
    write_scan(np.maximum(both[0], 2 * both[1])[None], OBLIQUE, place / "a.nii.gz")
    yield lambda: read_label(place / "a.nii.gz", case_id="c")


@tries("scans/read.py", "replace them by the value of air or drop the case")
def _nan(place: Path) -> Again:
    voxels = image()
    voxels[0, 0, 0] = np.nan
    save(place / "a.nii", voxels)
    yield lambda: read_scan(place / "a.nii", case_id="c")
    save(place / "a.nii", np.nan_to_num(voxels, nan=-1000.0))
    yield lambda: read_scan(place / "a.nii", case_id="c")


@tries("scans/read.py", "resample it onto that grid")
def _channel_grid(place: Path) -> Again:
    write_scan(image(OBLIQUE.shape)[None], OBLIQUE, place / "a.nii.gz")
    other = grid((9, 9, 9), spacing_mm=(2.0, 2.0, 2.0))
    write_scan(image(other.shape)[None], other, place / "b.nii.gz")
    files = [place / "a.nii.gz", place / "b.nii.gz"]
    yield lambda: read_scan(files, case_id="c")
    moved = regrid(Scan(image(other.shape)[None], other), OBLIQUE, order="linear")
    write_scan(moved, OBLIQUE, files[1])
    yield lambda: read_scan(files, case_id="c")


@tries("scans/label_values.py", "export it again as a label map, not as a probability or a resampled image")
def _fractions(place: Path) -> Again:
    write_scan(LABEL[None].astype(np.float32) * 0.7, OBLIQUE, place / "a.nii.gz")
    yield lambda: read_label(place / "a.nii.gz", case_id="c")
    write_scan(LABEL[None], OBLIQUE, place / "a.nii.gz")
    yield lambda: read_label(place / "a.nii.gz", case_id="c")


@tries("scans/label_values.py", "export it again as a label map, not as a probability or a resampled image")
def _fractions_by_slope(place: Path) -> Again:
    write_scan(LABEL[None], OBLIQUE, place / "a.nii.gz")
    put_under_slope(place / "a.nii.gz", LABEL, slope=0.3, intercept=0)
    yield lambda: read_label(place / "a.nii.gz", case_id="c")
    write_scan(LABEL[None], OBLIQUE, place / "a.nii.gz")
    yield lambda: read_label(place / "a.nii.gz", case_id="c")


@tries(
    "scans/fourth_axis.py",
    "write each volume to a file and a case of its own; if they are channels, set the unit of the fourth axis in the "
    "header (xyzt_units) to unknown",
)
def _time(place: Path) -> Again:
    voxels = image((4, 5, 6, 3))
    path = save(place / "a.nii", voxels, xyzt_units=10)
    series = nibabel.load(path)
    series.header["pixdim"][4] = 2.5
    series.to_filename(place / "series.nii")
    yield lambda: read_scan(place / "series.nii", case_id="c")
    for n, volume in enumerate(nibabel.four_to_three(nibabel.load(place / "series.nii"))):
        volume.to_filename(place / f"volume{n}.nii")
    yield lambda: [read_scan(place / f"volume{n}.nii", case_id="c") for n in range(3)]
    channels = nibabel.load(place / "series.nii")
    channels.header.set_xyzt_units("mm", "unknown")
    channels.to_filename(place / "channels.nii")
    yield lambda: read_scan(place / "channels.nii", case_id="c").array[2]


@tries("scans/nifti.py", "split it")
def _axes(place: Path) -> Again:
    save(place / "a.nii", image((4, 5, 6, 2, 3)))
    yield lambda: read_scan(place / "a.nii", case_id="c")
    save(place / "a.nii", image((4, 5, 6, 2)))
    yield lambda: read_scan(place / "a.nii", case_id="c")


@tries("scans/nifti.py", "split it")
def _axes_of_the_header(place: Path) -> Again:
    save(place / "a.nii", image((4, 5, 6, 2, 3)))
    yield lambda: read_grid(place / "a.nii", case_id="c")
    save(place / "a.nii", image((4, 5, 6)))
    yield lambda: read_grid(place / "a.nii", case_id="c")


@tries("scans/nifti.py", "convert it")
def _analyze(place: Path) -> Again:
    nibabel.AnalyzeImage(image(), np.eye(4)).to_filename(place / "a.img")
    yield lambda: read_scan(place / "a.img", case_id="c")
    nibabel.Nifti1Image(image(), np.eye(4)).to_filename(place / "b.nii")
    yield lambda: read_scan(place / "b.nii", case_id="c")


@tries("scans/nifti.py", "convert it")
def _analyze_header(place: Path) -> Again:
    nibabel.AnalyzeImage(image(), np.eye(4)).to_filename(place / "a.img")
    yield lambda: read_grid(place / "a.img", case_id="c")
    nibabel.Nifti1Image(image(), np.eye(4)).to_filename(place / "b.nii")
    yield lambda: read_grid(place / "b.nii", case_id="c")


@tries("scans/nifti_voxels.py", "copy or export it again")
def _cut(place: Path) -> Again:
    whole = save(place / "a.nii", image()).read_bytes()
    (place / "a.nii").write_bytes(whole[:-100])
    yield lambda: read_scan(place / "a.nii", case_id="c")
    (place / "a.nii").write_bytes(whole)
    yield lambda: read_scan(place / "a.nii", case_id="c")


@tries("scans/nifti.py", "save it without its header extensions")
def _voxels_far_into_the_file(place: Path) -> Again:
    path = save(place / "a.nii.gz", image())
    whole = gzip.decompress(path.read_bytes())
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(whole[:108] + np.array([1e9], "<f4").tobytes() + whole[112:])
        for _ in range(260):
            stream.write(bytes(1 << 20))
    yield lambda: read_scan(path, case_id="c")
    path.write_bytes(gzip.compress(whole))
    yield lambda: read_scan(path, case_id="c")


@tries("scans/nifti.py", "copy or export it again")
def _cut_compressed(place: Path) -> Again:
    whole = save(place / "a.nii.gz", image()).read_bytes()
    (place / "a.nii.gz").write_bytes(whole[:-100])
    yield lambda: read_scan(place / "a.nii.gz", case_id="c")
    (place / "a.nii.gz").write_bytes(whole)
    yield lambda: read_scan(place / "a.nii.gz", case_id="c")


@tries("scans/nifti.py", "convert it to one number per voxel and channel")
def _colours(place: Path) -> Again:
    rgb = np.zeros((4, 5, 6), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    rgb["G"] = 7
    save(place / "a.nii", rgb)
    yield lambda: read_scan(place / "a.nii", case_id="c")
    save(place / "a.nii", np.stack([rgb[name] for name in "RGB"], axis=-1))
    yield lambda: read_scan(place / "a.nii", case_id="c", channels=3)


@tries("scans/nifti_repair.py", "export it again")
def _no_repair(place: Path) -> Again:
    (place / "a.nii").write_bytes(b"nothing")
    yield lambda: repair_nifti(place / "a.nii", place / "b.nii")
    save(place / "a.nii", image())
    yield lambda: repair_nifti(place / "a.nii", place / "b.nii")


@tries("scans/nifti_repair.py", "export it again")
def _no_place(place: Path) -> Again:
    with_sform(place / "a.nii", np.eye(4), code=0)
    yield lambda: repair_nifti(place / "a.nii", place / "b.nii", straighten=True)
    exported = nibabel.Nifti1Image(image(), np.eye(4))
    exported.set_sform(np.eye(4), code=1)
    exported.to_filename(place / "a.nii")
    yield lambda: repair_nifti(place / "a.nii", place / "b.nii", straighten=True)


def with_sform(path: Path, affine: np.ndarray, *, code: int = 1) -> Path:
    """A file whose sform alone counts, and is what it is."""
    raw = bytearray(save(path, image()).read_bytes())
    header = nibabel.Nifti1Header(bytes(raw[:348]))
    header["qform_code"], header["sform_code"] = 0, code
    for name, row in zip(("srow_x", "srow_y", "srow_z"), affine, strict=False):
        header[name] = row
    path.write_bytes(header.binaryblock + bytes(raw[348:]))
    return path


SHEARED = np.array([[1.0, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


@tries("geometry.py", "resample onto a straight grid")
def _shear(place: Path) -> Again:
    path = with_sform(place / "a.nii", SHEARED)
    yield lambda: read_scan(path, case_id="c")
    straight = straightened((4, 5, 6), SHEARED)  # a little shear; a large one is resampled by another program
    write_scan(image()[None], straight, place / "b.nii.gz")
    yield lambda: read_scan(place / "b.nii.gz", case_id="c")


@tries("geometry.py", "repair the header")
def _flat(place: Path) -> Again:
    path = with_sform(place / "a.nii", np.diag([0.0, 1.0, 1.0, 1.0]))
    yield lambda: read_scan(path, case_id="c")
    with_sform(path, np.eye(4))
    yield lambda: read_scan(path, case_id="c")


@tries("geometry.py", "repair the header")
def _too_small(place: Path) -> Again:
    path = with_sform(place / "a.nii", np.diag([1e-12, 1e-12, 1e-12, 1.0]))  # a nanometre in kilometres
    yield lambda: read_scan(path, case_id="c")
    with_sform(path, np.diag([1e-6, 1e-6, 1e-6, 1.0]))
    yield lambda: read_scan(path, case_id="c")


@tries("geometry.py", "repair the header")
def _not_finite(place: Path) -> Again:
    path = with_sform(place / "a.nii", np.diag([np.nan, 1.0, 1.0, 1.0]))
    yield lambda: read_scan(path, case_id="c")
    with_sform(path, np.eye(4))
    yield lambda: read_scan(path, case_id="c")


@tries("geometry.py", "resample one first")
def _rotated(place: Path) -> Again:
    plain, rotated = grid((9, 9, 9)), grid((9, 9, 9), angles=(0.3, 0.0, 0.0))
    yield lambda: plain.axis_maps(rotated)
    moved = Scan(regrid(Scan(image((9, 9, 9))[None], rotated), plain, order="linear"), plain)
    yield lambda: plain.axis_maps(moved.geometry)


@tries("scans/nifti_words.py", "deliver it again")
def _delivered_mask_is_cut(place: Path) -> Again:
    path = save(place / "mask.nii.gz", LABEL)
    path.write_bytes(path.read_bytes()[:-6])
    yield lambda: read_nifti_words(path)
    save(path, LABEL)
    yield lambda: read_nifti_words(path)


@tries("scans/seg_nrrd_words.py", "deliver it again")
def _delivered_segmentation_lacks_a_colour(place: Path) -> Again:
    scan = Scan(LABEL[np.newaxis].astype(np.float32), OBLIQUE)
    path = place / "case.seg.nrrd"

    def deliver() -> None:
        write_seg_nrrd(LABEL, segments_of({"liver": 1}), scan, path)

    deliver()
    path.write_bytes(path.read_bytes().replace(b"Segment0_Color:", b"Segment0_Shade:"))
    yield lambda: read_seg_nrrd_words(path)
    deliver()
    yield lambda: read_seg_nrrd_words(path)
