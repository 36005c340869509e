"""Masks and scans out: masks on the grid of their scan."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

import numpy as np

from medseg.errors import DeliveryError
from medseg.geometry import Geometry
from medseg.origin import ItkOrigin, NiftiOrigin, PictureOrigin, SeriesOrigin
from medseg.records import Array, Labelmap, Scan
from medseg.scans.nifti import write_nifti_mask, write_nifti_quantity, write_nifti_scan, write_nifti_shares
from medseg.scans.picture import write_picture_mask

QUANTITY_SUFFIX = ".nii.gz"
_LARGEST = 65535


def write_mask(mask: Labelmap, scan: Scan, folder: Path, *, case_id: str) -> Path:
    """Write `folder/case_id.png` for a picture, else `folder/case_id.nii.gz`, by the origin of the scan.

    Args:
        mask: Label values of shape `(I, J, K)` on the grid of `scan`.
        scan: Source scan; its grid is kept, and the qform and sform codes of a NIfTI origin.
        folder: Target folder, created if missing.
        case_id: Name of the file.

    Returns:
        Path of the written file.

    Raises:
        DeliveryError: If the mask is not on the scan's grid, or the file cannot be written.
    """
    if mask.shape != scan.geometry.shape:
        raise DeliveryError(f"mask must have the scan's shape {scan.geometry.shape}, got {mask.shape}", case_id=case_id)
    low, high = int(mask.min(initial=0)), int(mask.max(initial=0))
    if low < 0 or high > _LARGEST:
        raise DeliveryError(
            f"mask values must be 0 to {_LARGEST}, got {low} to {high}", remedy="renumber the labels", case_id=case_id
        )
    unsigned: Labelmap = mask.astype(np.uint8 if high < 256 else np.uint16, copy=False)
    path = folder / f"{case_id}{mask_suffix(scan)}"
    match scan.origin:
        case PictureOrigin():
            write_picture_mask(unsigned, path)
        case NiftiOrigin() | ItkOrigin() | SeriesOrigin() | None:
            write_nifti_mask(unsigned, scan, path)
        case _:
            assert_never(scan.origin)
    return path


def write_share_map(shares: Labelmap, scan: Scan, folder: Path, *, name: str, levels: int) -> Path:
    """Write shares from 0 to 1, such as probabilities, by the origin of the scan.

    Args:
        shares: Unsigned integers of shape `(I, J, K)` on the grid of `scan`, in which `levels` stands for 1.
        scan: Source scan.
        folder: Target folder.
        name: Name of the file without its ending.
        levels: Number that stands for 1; readers of NIfTI see the shares, and a picture holds the numbers.

    Returns:
        Path of the written file.

    Raises:
        DeliveryError: If the file cannot be written.
    """
    path = folder / f"{name}{mask_suffix(scan)}"
    if isinstance(scan.origin, PictureOrigin):
        write_picture_mask(shares, path)
    else:
        write_nifti_shares(shares, scan, path, levels=levels)
    return path


def write_quantity(values: Array, scan: Scan, folder: Path, *, case_id: str, quantity: str, unit: str) -> Path:
    """Write the values of a quantity as `folder/case_id.nii.gz` on the grid of a scan, whatever it was read from.

    Args:
        values: float32 of shape `(I, J, K)`, in the unit.
        scan: Source scan; its grid is kept, and the qform and sform codes of a NIfTI origin.
        folder: Target folder, created if missing.
        case_id: Name of the file.
        quantity: Name of the quantity, which the header's description holds.
        unit: Unit of the values, which it holds too.

    Returns:
        Path of the written file.

    Raises:
        DeliveryError: If the values are not on the scan's grid or not finite, or the file cannot be written.
    """
    if values.shape != scan.geometry.shape:
        raise DeliveryError(
            f"{quantity} must have the scan's shape {scan.geometry.shape}, got {values.shape}", case_id=case_id
        )
    wrong = values.size - int(np.count_nonzero(np.isfinite(values)))
    if wrong:
        raise DeliveryError(
            f"{quantity} must be finite everywhere, got {wrong} voxels that are not",
            remedy="check the scan for values far outside those of the training",
            case_id=case_id,
        )
    path = folder / f"{case_id}{QUANTITY_SUFFIX}"
    write_nifti_quantity(values, scan, path, name=quantity, unit=unit)
    return path


def mask_suffix(scan: Scan) -> str:
    """`.png` for a scan that was read from a picture, else `.nii.gz`."""
    return ".png" if isinstance(scan.origin, PictureOrigin) else ".nii.gz"


def write_scan(array: Array, geometry: Geometry, path: Path) -> None:
    """Write an image or label of shape `(C, I, J, K)` as NIfTI with its grid as scanner coordinates."""
    write_nifti_scan(array, geometry, path)
