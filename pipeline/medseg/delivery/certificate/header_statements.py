"""What the header of a NIfTI mask says of its place, in both of its forms."""

from __future__ import annotations

from collections.abc import Mapping

from medseg.delivery.certificate.check_file import same_place_mm
from medseg.delivery.certificate.contents import Expected, Number
from medseg.geometry import Geometry
from medseg.origin import NiftiOrigin
from medseg.records import Scan
from medseg.scans import form_places, nifti_words
from medseg.scans.statements import Key

_SINGLE = 1e-6  # relative, of numbers in single precision


def expected_header(scan: Scan) -> Expected:
    """What the header must say: the same as that of a NIfTI scan, or the grid of another scan in both forms.

    Args:
        scan: Scan that the mask was drawn on.
    """
    said: dict[Key, str | Number] = {("file", "bytes beside header and voxels"): Number(0, 0)}
    for key, value in _said(scan).items():
        said[key] = value if isinstance(value, str) else _near(value, scan.geometry)
    return said


def _said(scan: Scan) -> dict[Key, str | float]:
    codes = {"sform": 0, "qform": 0}
    if isinstance(scan.origin, NiftiOrigin):
        words = nifti_words(scan.origin.header)
        codes = {name: int(words[name, "code"]) for name in codes}
        if _is_of_the_scan(words, scan, "sform" if codes["sform"] > 0 else "qform"):
            return words
    known = codes["sform"] or codes["qform"] or 1
    said: dict[Key, str | float] = {("header", "unit"): "mm"}
    for name, code in codes.items():
        said[name, "code"] = code or known
        said |= dict(form_places(name, scan.geometry.affine, [size - 1 for size in scan.geometry.shape]))
    return said


def _is_of_the_scan(words: Mapping[Key, str | float], scan: Scan, name: str) -> bool:
    """Whether the form that counts puts the voxels where the scan has them; so it is, too, where none counts."""
    grid = scan.geometry
    places = dict(form_places(name, grid.affine, [size - 1 for size in grid.shape]))
    near = same_place_mm(grid)
    return all(
        abs(float(words[key]) - place) <= near + abs(place) * _SINGLE for key, place in places.items() if key in words
    )


def _near(value: float, grid: Geometry) -> Number:
    return Number(value, 0 if isinstance(value, int) else same_place_mm(grid) + abs(value) * _SINGLE)
