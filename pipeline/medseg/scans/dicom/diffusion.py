"""Diffusion weighting of an image: b value and gradient direction, standard or as the makers of scanners hide them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medseg.scans.dicom.elements import first_item, numbers, text
from medseg.scans.dicom.private import PrivateElement, private_numbers

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_B_VALUES = (
    PrivateElement(0x0019, "SIEMENS MR HEADER", 0x0C, "IS"),
    PrivateElement(0x0043, "GEMS_PARM_01", 0x39, "IS"),
    PrivateElement(0x2001, "Philips Imaging DD 001", 0x03, "FL"),
    PrivateElement(0x0065, "Image Private Header", 0x09, "FD"),
)
# One element of three numbers, or three of one.
_DIRECTIONS = (
    (PrivateElement(0x0019, "SIEMENS MR HEADER", 0x0E, "FD"),),
    tuple(PrivateElement(0x0019, "GEMS_ACQU_01", element, "DS") for element in (0xBB, 0xBC, 0xBD)),
    tuple(PrivateElement(0x2005, "Philips MR Imaging DD 001", element, "FL") for element in (0xB0, 0xB1, 0xB2)),
    (PrivateElement(0x0065, "Image Private Header", 0x37, "FD"),),
)
_GE_FLAG = 1_000_000_000

PRIVATE_TAGS = tuple(
    dict.fromkeys(tag for one in (*_B_VALUES, *(e for group in _DIRECTIONS for e in group)) for tag in one.tags())
)


def b_value_of(header: Dataset) -> str:
    """The b value of a single image in s/mm² as text; "" without one.

    Source: PS3.3 C.8.13.5.9; the conformance statements of Siemens, GE, Philips and United Imaging. GE adds 10⁹ to the
    b values of some protocols.
    """
    standard = text(header, "DiffusionBValue")
    if standard:
        return standard
    for element in _B_VALUES:
        values = private_numbers(header, element)
        if values:
            return f"{values[0] % _GE_FLAG:g}"
    return ""


def direction_of(header: Dataset) -> str:
    """The gradient direction of a single image as text; "" without one."""
    standard = text(header, "DiffusionGradientOrientation")
    if standard:
        return standard
    for elements in _DIRECTIONS:
        values = [value for element in elements for value in private_numbers(header, element)]
        if len(values) == 3:
            return str(values)
    return ""


def direction_of_frame(diffusion: Dataset) -> str:
    """The gradient direction in the diffusion macro of a frame (PS3.3 C.8.13.5.9) as text; "" without one."""
    direction = first_item(diffusion, "DiffusionGradientDirectionSequence")
    oriented = numbers(direction, "DiffusionGradientOrientation") if direction is not None else ()
    return " ".join((text(diffusion, "DiffusionDirectionality"), *(f"{value:g}" for value in oriented))).strip()
