"""Delivered label files read back by the libraries that other programs are built on."""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.records import Array, Mask
from medseg.scans.itk import read_itk_grid
from medseg.scans.nifti import read_nifti_grid
from medseg.scans.read_back import ReadBack
from medseg.scans.segment import Segment
from medseg.scans.slicer_segments import slicer_segments

_CASE = "label"
_VALUES = 1 << 16
Presence = npt.NDArray[np.bool_]


def read_nifti_with_nibabel(path: Path, segments: Sequence[Segment]) -> ReadBack:
    """Read a mask by nibabel.

    Args:
        path: `.nii` or `.nii.gz`.
        segments: Structures, since the file names none.

    Raises:
        ScanError: If the file is damaged.
    """
    import nibabel

    geometry, _ = read_nifti_grid(path, case_id=_CASE)
    image: Any = nibabel.load(path)
    try:
        voxels = np.asarray(image.dataobj).reshape(geometry.shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _damage(path) from error
    present = _present(voxels, path)
    return ReadBack(
        library=f"nibabel {nibabel.__version__}",
        geometry=geometry,
        names={},
        numbers=_numbers(present, segments),
        mask=lambda number: _of_number(segments, number).mask(voxels),
        strays=_strays(present, {value for segment in segments for value in segment.values}),
    )


def read_nifti_with_simpleitk(path: Path, segments: Sequence[Segment]) -> ReadBack:
    """Read a mask by SimpleITK, which does not notice a NIfTI file that ends early: its voxels are others then.

    Args:
        path: `.nii` or `.nii.gz`.
        segments: Structures, since the file names none.

    Raises:
        ScanError: If the file is damaged.
    """
    geometry, _ = read_itk_grid(path, case_id=_CASE)
    voxels = _itk_voxels(path).reshape(geometry.shape)
    present = _present(voxels, path)
    return ReadBack(
        library=_simpleitk(),
        geometry=geometry,
        names={},
        numbers=_numbers(present, segments),
        mask=lambda number: _of_number(segments, number).mask(voxels),
        strays=_strays(present, {value for segment in segments for value in segment.values}),
    )


def read_seg_nrrd_with_simpleitk(path: Path) -> ReadBack:
    """Read a segmentation of 3D Slicer, whose voxels hold the numbers of the structures, by SimpleITK.

    Raises:
        ScanError: If the file is damaged, or two structures have one number.
    """
    geometry, layers = read_itk_grid(path, case_id=_CASE)
    voxels = _itk_voxels(path).reshape(layers, *geometry.shape)
    found = {segment.value: segment for segment in slicer_segments(path)}
    if len(found) < len(slicer_segments(path)):
        raise ScanError(f"file {path.name}: structures must have numbers of their own, got one of two")

    def mask(number: int) -> Mask:
        return np.asarray(voxels[found[number].layer] == number)

    present = [_present(layer, path) for layer in voxels]
    return ReadBack(
        library=_simpleitk(),
        geometry=geometry,
        names={number: segment.name for number, segment in found.items()},
        numbers=tuple(number for number, segment in found.items() if present[segment.layer][number]),
        mask=mask,
        strays=_strays_of_layers(present, {number: segment.layer for number, segment in found.items()}),
    )


def read_seg_nrrd_with_pynrrd(path: Path) -> ReadBack:
    """The same by pynrrd, which shares no code with SimpleITK.

    Raises:
        ScanError: If the file is damaged.
    """
    import nrrd

    try:
        voxels, _ = nrrd.read(str(path))
        header = _header_of_nrrd(path)
    except (nrrd.NRRDError, OSError, EOFError, ValueError, StopIteration, zlib.error) as error:
        raise _damage(path) from error
    voxels = voxels if voxels.ndim == 4 else voxels[np.newaxis]
    steps = np.asarray(header["space directions"], np.float64)[-3:]
    i, j, k = voxels.shape[1:]
    geometry = Geometry.from_lps_axes(
        (i, j, k), origin_mm=np.asarray(header["space origin"]), steps_mm=(steps[0], steps[1], steps[2])
    )
    places = _segments_of_header(header)
    layers = {number: layer for number, (_, layer) in places.items()}
    present = [_present(layer, path) for layer in voxels]

    def mask(number: int) -> Mask:
        return np.asarray(voxels[layers[number]] == number)

    return ReadBack(
        library=f"pynrrd {nrrd.__version__}",
        geometry=geometry,
        names={number: name for number, (name, _) in places.items()},
        numbers=tuple(number for number, layer in layers.items() if present[layer][number]),
        mask=mask,
        strays=_strays_of_layers(present, layers),
    )


def _header_of_nrrd(path: Path) -> Mapping[str, Any]:
    """The header, whose lines pynrrd would by itself take for ASCII, and lose the letters of other scripts."""
    import nrrd

    with path.open("rb") as stream:
        lines = [line.decode("utf-8") for line in takewhile(bytes.strip, stream)]
    header: Mapping[str, Any] = nrrd.read_header(lines)
    return header


def _segments_of_header(header: Mapping[str, Any]) -> dict[int, tuple[str, int]]:
    """Name and layer of each structure by its number."""
    starts = [key.removesuffix("LabelValue") for key in header if re.fullmatch(r"Segment\d+_LabelValue", key)]
    return {
        int(header[f"{start}LabelValue"]): (_unescaped(str(header[f"{start}Name"])), int(header[f"{start}Layer"]))
        for start in starts
    }


def _unescaped(value: str) -> str:
    """A value of a NRRD header, which pynrrd gives as it is stored."""
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value)


def _itk_voxels(path: Path) -> Array:
    """Voxels `([C,] I, J, K)` or `([C,] I, J)` as SimpleITK reads them."""
    import SimpleITK as sitk

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise _damage(path) from error
    return np.asarray(sitk.GetArrayFromImage(image).T)


def _damage(path: Path) -> ScanError:
    return ScanError(f"file {path.name} must be whole, got damage", remedy="deliver it again")


def _simpleitk() -> str:
    import SimpleITK as sitk

    return f"SimpleITK {sitk.Version.VersionString()}"


def _of_number(segments: Sequence[Segment], number: int) -> Segment:
    return next(segment for segment in segments if segment.number == number)


def _numbers(present: Presence, segments: Sequence[Segment]) -> tuple[int, ...]:
    """Numbers of the structures that have voxels."""
    return tuple(one.number for one in segments if any(present[value] for value in one.values))


def _strays(present: Presence, known: Collection[int]) -> tuple[int, ...]:
    """Values that are there and belong to no structure."""
    return tuple(value for value in np.flatnonzero(present).tolist() if value and value not in known)


def _strays_of_layers(present: Sequence[Presence], layers: Mapping[int, int]) -> tuple[int, ...]:
    """The same of a file whose structures lie on layers, by the layer of each number."""
    return tuple(
        value
        for place, one in enumerate(present)
        for value in _strays(one, {number for number, layer in layers.items() if layer == place})
    )


def _present(voxels: Array, path: Path) -> Presence:
    """Whether each value from 0 to 65535 is there, counted plane by plane, since a count takes eight bytes a voxel.

    Raises:
        ScanError: If voxels are of a type that no mask is written in, such as fractions under a slope.
    """
    if voxels.dtype.kind != "u" or voxels.dtype.itemsize > 2:
        raise ScanError(
            f"file {path.name} must hold unsigned integers of 8 or 16 bits, got {voxels.dtype}",
            remedy="deliver it again",
        )
    present = np.zeros(_VALUES, bool)
    for k in range(voxels.shape[2]):
        counts = np.bincount(voxels[:, :, k].ravel(order="K"))
        present[: len(counts)] |= counts > 0
    return present
