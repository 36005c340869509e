"""Siemens mosaics: the slices of a volume as tiles of one picture."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medseg.errors import ScanError
from medseg.scans.dicom.elements import number, text
from medseg.scans.dicom.frame import Frame
from medseg.scans.dicom.private import PrivateElement, private_numbers, private_value

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_IMAGES_IN_MOSAIC = PrivateElement(0x0019, "SIEMENS MR HEADER", 0x0A, "US")
_CSA_IMAGE_HEADER = PrivateElement(0x0029, "SIEMENS CSA HEADER", 0x10, "OB")
_CSA_SERIES_HEADER = PrivateElement(0x0029, "SIEMENS CSA HEADER", 0x20, "OB")
_AXES = ("dSag", "dCor", "dTra")
_NUMBER = r"\s*=\s*(0x[0-9a-fA-F]+|[-+.\deE]+)"

PRIVATE_TAGS = tuple(dict.fromkeys((*_IMAGES_IN_MOSAIC.tags(), *_CSA_IMAGE_HEADER.tags())))


def is_mosaic(header: Dataset) -> bool:
    """Whether the image type names a mosaic."""
    return "MOSAIC" in text(header, "ImageType").upper()


def mosaic_frames(picture: Frame, header: Dataset) -> tuple[Frame, ...]:
    """One frame per slice, with the slice's own position.

    The header's position is that of a slice as large as the whole picture about the same centre, so the first pixel of
    a tile lies half of the difference further in. Slices follow the normal that the CSA headers give.

    Source: NiBabel's notes "Siemens format DICOM with CSA header" and "DICOM mosaic".

    Raises:
        ScanError: If the number or the spacing of the slices is not given.
    """
    count, slice_normal = _slices(picture, header)
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
    if len(slice_normal) == 3 and float(np.dot(normal, slice_normal)) < 0:
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


def _slices(picture: Frame, header: Dataset) -> tuple[int, list[float]]:
    """Number of slices, 0 if no element gives it, and their normal, empty if the image's own CSA header is gone."""
    image = _csa_header(private_value(header, _CSA_IMAGE_HEADER))
    count = _csa_values(image, "NumberOfImagesInMosaic") or list(private_numbers(header, _IMAGES_IN_MOSAIC))
    normal = _csa_values(image, "SliceNormalVector")
    if count and count[0] > 0:
        return int(count[0]), normal
    series = _series_header(picture.path)
    protocol = series.decode("latin-1")
    stated = _protocol_values(protocol, r"sSliceArray\.lSize")
    stated = stated or _csa_values(_csa_header(series), "NumberOfImagesInMosaic")
    turned = [_protocol_values(protocol, rf"sSliceArray\.asSlice\[0\]\.sNormal\.{axis}") for axis in _AXES]
    if not normal and any(turned):
        normal = [values[0] if values else 0.0 for values in turned]  # a component of 0 is left out
    return int(stated[0]) if stated else 0, normal


def _series_header(path: Path) -> bytes:
    """The CSA series header, which is large and so is read only where it is needed; empty without one.

    It holds the measurement protocol as text.
    """
    from pydicom.filereader import dcmread
    from pydicom.tag import Tag

    tags = [Tag(tag) for tag in _CSA_SERIES_HEADER.tags()]
    header = dcmread(path, stop_before_pixels=True, force=True, specific_tags=tags)
    value = private_value(header, _CSA_SERIES_HEADER)
    return value if isinstance(value, bytes) else b""


def _csa_header(value: object) -> dict[str, Any]:
    """Tags of a CSA header; empty without one, as after some anonymisers."""
    import nibabel  # noqa: F401 (whole before its parts: another thread may be importing it)
    from nibabel.nicom import csareader

    if not isinstance(value, bytes) or not value:
        return {}
    tags: dict[str, Any] = csareader.read(value)["tags"]  # without it the slices may run the other way
    return tags


def _csa_values(csa: dict[str, Any], name: str) -> list[float]:
    items = csa.get(name, {}).get("items", [])
    return [float(item) for item in items if item is not None]


def _protocol_values(protocol: str, name: str) -> list[float]:
    """Value of a setting of the measurement protocol, as a list of one; empty without it."""
    found = re.search(name + _NUMBER, protocol)
    if found is None:
        return []
    stated = found.group(1)
    return [float(int(stated, 16)) if stated.lower().startswith("0x") else float(stated)]
