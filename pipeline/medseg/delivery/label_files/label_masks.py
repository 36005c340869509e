"""A mask file for each structure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medseg.errors import DeliveryError
from medseg.manifest.case_names import safe_name
from medseg.records import Labelmap, Scan
from medseg.scans import mask_suffix, write_mask
from medseg.scans.segment import Segment

_LONGEST = 60  # characters of a name, each of up to four bytes of the 255 that a file name may have


def write_label_masks(labels: Labelmap, segments: Sequence[Segment], scan: Scan, folder: Path) -> dict[int, str]:
    """Write a mask of zeros and ones for each structure, on the grid of the scan.

    Args:
        labels: Label values on the scan's own grid, shape `(I, J, K)`.
        segments: Structures; an empty one has a file without a labelled voxel.
        scan: Scan that they belong to; its origin decides the form of the files.
        folder: Target folder, created if missing.

    Returns:
        Name of each file by the number of its structure.

    Raises:
        DeliveryError: If the labels lie on another grid, or a file cannot be written.
    """
    if labels.shape != scan.geometry.shape:
        raise DeliveryError(
            f"masks of structures: labels must have the scan's shape {scan.geometry.shape}, got {labels.shape}",
            remedy="give the mask that was drawn on this scan",
        )
    stems = file_stems(segments)
    for segment in segments:
        mask = segment.mask(labels).astype(np.uint8)
        write_mask(mask, scan, folder, case_id=stems[segment.number])
    return {number: f"{stem}{mask_suffix(scan)}" for number, stem in stems.items()}


def file_stems(segments: Sequence[Segment]) -> dict[int, str]:
    """A name for the file of each structure by its number, safe and unique on any system.

    Names that are alike, or differ in case alone, which is one name on many disks, get the number of their structure.
    """
    names = {segment.number: safe_name(segment.name)[:_LONGEST].rstrip(". ") for segment in segments}
    folded = [_folded(name) for name in names.values()]
    stems: dict[int, str] = {}
    for number, name in names.items():
        is_alone = folded.count(_folded(name)) == 1 and bool(name)
        stem = name if is_alone else f"{name or 'structure'}_{number}"
        while _folded(stem) in map(_folded, stems.values()) or (not is_alone and _folded(stem) in folded):
            stem += f"_{number}"
        stems[number] = stem
    return stems


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
