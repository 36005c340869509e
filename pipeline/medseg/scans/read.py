"""Read any supported file as a `Scan`, or as integer labels on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np

from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.records import Array, Labelmap, Scan
from medseg.scans.itk import ITK_SUFFIXES, read_itk
from medseg.scans.label_values import whole_label
from medseg.scans.nifti import NIFTI_SUFFIXES, read_nifti
from medseg.scans.picture import PICTURE_SUFFIXES, is_picture_file, read_picture

SCAN_SUFFIXES = (*NIFTI_SUFFIXES, *ITK_SUFFIXES, *PICTURE_SUFFIXES)


def read_scan(paths: Path | Sequence[Path], *, case_id: str, channels: int | None = None) -> Scan:
    """Read the channels of one case onto one grid.

    Args:
        paths: One file, or a file per channel. A fourth NIfTI axis and the colours of a picture are channels too.
        case_id: Id of the case, for errors.
        channels: Number of channels that a manifest or model names; None where nobody has. It settles what a fourth
            axis means whose header may mean time.

    Returns:
        `array` float32 of shape `(C, I, J, K)`, all finite; the origin is that of the first file.

    Raises:
        ScanError: If a file is missing, damaged, of another type, holds points of time, or NaN or infinite voxels.
        GeometryError: If the channels lie on different grids.
    """
    files = [paths] if isinstance(paths, Path) else list(paths)
    scans = [_read(path, case_id=case_id, is_label=False, channels=channels) for path in files]
    first = scans[0]
    for path, scan in zip(files, scans, strict=True):
        if not first.geometry.is_close(scan.geometry):
            raise GeometryError(
                f"channel {path.name} must lie on the grid of {files[0].name}, got "
                f"{scan.geometry.difference(first.geometry)}",
                remedy="resample it onto that grid",
                case_id=case_id,
            )
        check_finite(scan.array, what=f"image {path.name}", case_id=case_id)
    array = first.array if len(scans) == 1 else np.concatenate([scan.array for scan in scans])
    return replace(first, array=np.require(array, np.float32, "W"))


def read_label(path: Path, *, case_id: str) -> tuple[Labelmap, Geometry]:
    """Read a label: its scaled values, as every other program shows them, where they are whole within rounding.

    Args:
        path: File to read.
        case_id: Id of the case, for errors.

    Returns:
        Values of shape `(I, J, K)` in the smallest unsigned type that holds them, and their grid.

    Raises:
        ScanError: If the file is missing or damaged, has several channels, or holds fractions or negative values; slope
            and intercept are named where they made the value.
    """
    scan = _read(path, case_id=case_id, is_label=True)
    if scan.array.shape[0] != 1:
        raise ScanError(
            f"label {path.name} must have one channel, got {scan.array.shape[0]}",
            remedy="merge them into one volume of label values",
            case_id=case_id,
        )
    return whole_label(scan.array[0], path=path, case_id=case_id), scan.geometry


def read_quantity(path: Path, *, case_id: str) -> tuple[Array, Geometry]:
    """Read the values of a quantity, as the header's slope and intercept scale them.

    Args:
        path: File to read.
        case_id: Id of the case, for errors.

    Returns:
        float32 of shape `(I, J, K)`, which may hold NaN and infinite voxels, and the grid.

    Raises:
        ScanError: If the file is missing or damaged, or has several channels.
    """
    scan = _read(path, case_id=case_id, is_label=False)
    if scan.array.shape[0] != 1:
        raise ScanError(
            f"quantity {path.name} must have one channel, got {scan.array.shape[0]}",
            remedy="write each quantity to a volume of its own",
            case_id=case_id,
        )
    return np.require(scan.array[0], np.float32, "W"), scan.geometry


def read_layers(path: Path, *, case_id: str) -> tuple[tuple[Labelmap, ...], Geometry]:
    """Read the layers of a file whose structures overlap, each a label volume of its own, and their grid.

    Raises:
        ScanError: If the file is missing or damaged, or holds fractions or negative values.
    """
    scan = _read(path, case_id=case_id, is_label=True)
    return tuple(whole_label(layer, path=path, case_id=case_id) for layer in scan.array), scan.geometry


def scan_stem(path: PurePath) -> str:
    """The file name without its scan ending: `a.nii.gz` and `a.png` are both `a`."""
    for suffix in SCAN_SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def _read(path: Path, *, case_id: str, is_label: bool, channels: int | None = None) -> Scan:
    name = path.name.lower()
    if not path.is_file():
        raise ScanError(
            f"file {path.name} must exist under the data root, found none",
            remedy="check the data root",
            case_id=case_id,
        )
    if name.endswith(NIFTI_SUFFIXES):
        return read_nifti(path, case_id=case_id, is_label=is_label, channels=channels)
    if name.endswith(ITK_SUFFIXES):
        return read_itk(path, case_id=case_id, is_label=is_label)
    if is_picture_file(path):
        return read_picture(path, case_id=case_id, is_label=is_label)
    raise ScanError(
        f"file {path.name} must end in one of {', '.join(SCAN_SUFFIXES)}", remedy="convert it", case_id=case_id
    )


def check_finite(array: Array, *, what: str, case_id: str) -> None:
    """Refuse voxels that are NaN or infinite.

    Args:
        array: Voxels.
        what: What they are, for the message.
        case_id: Id of the case, for the message.

    Raises:
        ScanError: If there are any.
    """
    bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if bad:
        raise ScanError(
            f"{what} must hold finite voxels, got {bad} NaN or infinite ones",
            remedy="replace them by the value of air or drop the case",
            case_id=case_id,
        )
