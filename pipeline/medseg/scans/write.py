"""Write masks on the grid of the scan that they belong to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medseg.errors import DeliveryError
from medseg.geometry import Geometry
from medseg.records import Array, Labelmap, Scan
from medseg.scans.nifti import write_nifti_mask, write_nifti_scan
from medseg.scans.picture import PICTURE_SUFFIXES, write_picture_mask

_LARGEST = 65535


def write_mask(mask: Labelmap, scan: Scan, folder: Path, *, case_id: str) -> Path:
    """Write `folder/case_id.nii.gz`, or `.png` where the scan is a picture.

    Args:
        mask: Label values of shape `(I, J, K)` on the grid of `scan`.
        scan: The source scan; its grid and header are carried over.
        folder: Made if missing.
        case_id: Names the file.

    Returns:
        The written path.

    Raises:
        DeliveryError: If the mask is not on the scan's grid, or the file cannot be written.
    """
    if mask.shape != scan.geometry.shape:
        raise DeliveryError(f"case {case_id}: mask must have the scan's shape {scan.geometry.shape}, got {mask.shape}")
    low, high = int(mask.min(initial=0)), int(mask.max(initial=0))
    if low < 0 or high > _LARGEST:
        raise DeliveryError(
            f"case {case_id}: mask values must be 0 to {_LARGEST}, got {low} to {high}; renumber the labels"
        )
    unsigned: Labelmap = mask.astype(np.uint8 if high < 256 else np.uint16, copy=False)
    path = folder / f"{case_id}{mask_suffix(scan)}"
    if path.suffix == ".png":
        write_picture_mask(unsigned, path)
    else:
        write_nifti_mask(unsigned, scan, path)
    return path


def mask_suffix(scan: Scan) -> str:
    """`.png` for pictures, `.nii.gz` for volumes."""
    is_picture = scan.source is not None and scan.source.name.lower().endswith(PICTURE_SUFFIXES)
    return ".png" if is_picture else ".nii.gz"


def write_scan(array: Array, geometry: Geometry, path: Path) -> None:
    """Write an image or label of shape `(C, I, J, K)` as NIfTI with its grid as scanner coordinates."""
    write_nifti_scan(array, geometry, path)
