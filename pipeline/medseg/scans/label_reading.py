"""Delivered label files read back by the libraries that other programs are built on."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
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
    return ReadBack(
        library=f"nibabel {nibabel.__version__}",
        geometry=geometry,
        names={},
        numbers=_numbers(voxels, segments),
        mask=lambda number: _of_number(segments, number).mask(voxels),
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
    return ReadBack(
        library=_simpleitk(),
        geometry=geometry,
        names={},
        numbers=_numbers(voxels, segments),
        mask=lambda number: _of_number(segments, number).mask(voxels),
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

    present = [_present(layer) for layer in voxels]
    return ReadBack(
        library=_simpleitk(),
        geometry=geometry,
        names={number: segment.name for number, segment in found.items()},
        numbers=tuple(number for number, segment in found.items() if present[segment.layer][number]),
        mask=mask,
    )


def read_seg_nrrd_with_pynrrd(path: Path) -> ReadBack:
    """The same by pynrrd, which shares no code with SimpleITK.

    Raises:
        ScanError: If the file is damaged.
    """
    import nrrd

    try:
        voxels, header = nrrd.read(str(path))
    except (nrrd.NRRDError, OSError, EOFError, ValueError, zlib.error) as error:
        raise _damage(path) from error
    voxels = voxels if voxels.ndim == 4 else voxels[np.newaxis]
    steps = np.asarray(header["space directions"], np.float64)[-3:]
    i, j, k = voxels.shape[1:]
    geometry = Geometry.from_lps_axes(
        (i, j, k), origin_mm=np.asarray(header["space origin"]), steps_mm=(steps[0], steps[1], steps[2])
    )
    places = _segments_of_header(header)
    layers = {number: layer for number, (_, layer) in places.items()}
    present = [_present(layer) for layer in voxels]

    def mask(number: int) -> Mask:
        return np.asarray(voxels[layers[number]] == number)

    return ReadBack(
        library=f"pynrrd {nrrd.__version__}",
        geometry=geometry,
        names={number: name for number, (name, _) in places.items()},
        numbers=tuple(number for number, layer in layers.items() if present[layer][number]),
        mask=mask,
    )


def _segments_of_header(header: Mapping[str, Any]) -> dict[int, tuple[str, int]]:
    """Name and layer of each structure by its number."""
    starts = [key.removesuffix("LabelValue") for key in header if re.fullmatch(r"Segment\d+_LabelValue", key)]
    return {
        int(header[f"{start}LabelValue"]): (str(header[f"{start}Name"]), int(header[f"{start}Layer"]))
        for start in starts
    }


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


def _numbers(voxels: Array, segments: Sequence[Segment]) -> tuple[int, ...]:
    """Numbers of the structures that have voxels."""
    present = _present(voxels)
    return tuple(one.number for one in segments if any(present[value] for value in one.values))


def _present(voxels: Array) -> npt.NDArray[np.bool_]:
    """Whether each value from 0 to 65535 is there, plane by plane, since indices take eight bytes each."""
    present = np.zeros(_VALUES, bool)
    for k in range(voxels.shape[2]):
        present[voxels[:, :, k]] = True
    return present
