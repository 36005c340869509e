"""What a `.seg.nrrd` says of its structures beside voxels and names."""

from __future__ import annotations

from medseg.delivery.certificate.contents import Expected
from medseg.delivery.certificate.expected import ExpectedMask, ExpectedStructure
from medseg.scans.segment import CodedTerm
from medseg.scans.statements import Key

_NO_VOXELS = "0 -1 0 -1 0 -1"
_RESERVED = str.maketrans("^~|", "   ")  # signs that part the terms of 3D Slicer


def expected_slicer_words(mask: ExpectedMask) -> Expected:
    """Colour, codes and box of every structure.

    Args:
        mask: The mask that the file holds.
    """
    said: dict[Key, str] = {}
    for one in mask.structures:
        segment, subject = one.segment, f"segment {one.segment.number}"
        said |= {(subject, "colour"): " ".join(map(str, segment.colour)), (subject, "extent"): _extent(one)}
        if segment.kind is None:
            continue
        said |= {(subject, "category"): _code(segment.category), (subject, "type"): _code(segment.kind)}
        if segment.laterality is not None:
            said[subject, "side"] = _code(segment.laterality)
    return said


def _extent(structure: ExpectedStructure) -> str:
    """First and last voxel along each axis."""
    if structure.box is None:
        return _NO_VOXELS
    return " ".join(f"{extent.start} {extent.stop - 1}" for extent in structure.box)


def _code(term: CodedTerm) -> str:
    return f"{term.meaning} ({term.value}, {term.scheme})".translate(_RESERVED)
