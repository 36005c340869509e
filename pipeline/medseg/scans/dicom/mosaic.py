"""Siemens mosaics: the slices of a volume as tiles of one picture."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from medseg.errors import ScanError
from medseg.scans.dicom.elements import number, text
from medseg.scans.dicom.frame import Frame

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_IMAGES_IN_MOSAIC = 0x0019100A
_CSA_IMAGE_HEADER = 0x00291010


def is_mosaic(header: Dataset) -> bool:
    """Whether the image type names a mosaic."""
    return "MOSAIC" in text(header, "ImageType").upper()


def mosaic_frames(picture: Frame, header: Dataset) -> tuple[Frame, ...]:
    """One frame per slice, with the slice's own position.

    The header's position is that of a slice as large as the whole picture about the same centre, so the first pixel of
    a tile lies half of the difference further in. Slices follow the normal that the CSA header gives.

    Source: NiBabel's notes "Siemens format DICOM with CSA header" and "DICOM mosaic".

    Raises:
        ScanError: If the number or the spacing of the slices is not given.
    """
    csa = _csa_header(header)
    count = int(_csa_number(csa, "NumberOfImagesInMosaic") or _private_count(header))
    step = number(header, "SpacingBetweenSlices", number(header, "SliceThickness", 0.0))
    if picture.position_mm is None or picture.orientation is None or picture.spacing_mm is None or step <= 0:
        raise ScanError(
            "a mosaic must give position, orientation and slice spacing, got none", remedy="export single slices"
        )
    side = math.isqrt(max(count - 1, 0)) + 1
    if count < 1 or picture.rows % side or picture.columns % side:
        raise ScanError(f"a mosaic must say how many slices it holds, got {count}", remedy="export single slices")
    rows, columns = picture.rows // side, picture.columns // side
    along, down = np.array(picture.orientation[:3]), np.array(picture.orientation[3:])
    normal = np.cross(along, down)
    stated = _csa_values(csa, "SliceNormalVector")
    if len(stated) == 3 and float(np.dot(normal, stated)) < 0:
        normal = -normal
    first = (
        np.array(picture.position_mm)
        + along * picture.spacing_mm[1] * (picture.columns - columns) / 2
        + down * picture.spacing_mm[0] * (picture.rows - rows) / 2
    )
    frames = []
    for index in range(count):
        x, y, z = (float(value) for value in first + index * step * normal)
        frames.append(
            replace(picture, index=index, position_mm=(x, y, z), rows=rows, columns=columns, tiles_per_side=side)
        )
    return tuple(frames)


def _private_count(header: Dataset) -> int:
    """Number of slices in (0019,100A), an unsigned short whose type is lost in files that do not store types."""
    element = header.get(_IMAGES_IN_MOSAIC)
    value = 0 if element is None else element.value
    return int.from_bytes(value, "little") if isinstance(value, bytes) else int(value or 0)


def _csa_header(header: Dataset) -> dict[str, Any]:
    """Tags of the CSA header; empty without one, as after some anonymisers."""
    from nibabel.nicom import csareader

    element = header.get(_CSA_IMAGE_HEADER)
    if element is None or not isinstance(element.value, bytes):
        return {}
    tags: dict[str, Any] = csareader.read(element.value)["tags"]  # without it the slices may run the other way
    return tags


def _csa_values(csa: dict[str, Any], name: str) -> list[float]:
    items = csa.get(name, {}).get("items", [])
    return [float(item) for item in items if item is not None]


def _csa_number(csa: dict[str, Any], name: str) -> float | None:
    values = _csa_values(csa, name)
    return values[0] if values else None
