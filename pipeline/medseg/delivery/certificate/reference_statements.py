"""What SEGs and RTSTRUCTs say beside voxels and names: images they stand on, colours, codes and the algorithm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from medseg.delivery.certificate.contents import Expected, Hidden, Number
from medseg.origin import SeriesOrigin
from medseg.scans.dicom import images_text
from medseg.scans.dicom.seg_segments import TISSUE, shortened
from medseg.scans.dicom.structure_set import interpreted_type
from medseg.scans.segment import Algorithm, CodedTerm, Segment
from medseg.scans.statements import Key

Kind = Literal["labelmap", "binary", "rtstruct"]
_CLASSES: dict[Kind, str] = {
    "binary": "1.2.840.10008.5.1.4.1.1.66.4",
    "labelmap": "1.2.840.10008.5.1.4.1.1.66.7",
    "rtstruct": "1.2.840.10008.5.1.4.1.1.481.3",
}
_SAME_COLOUR = 2.0  # of 255, by which two conversions from CIELab may differ


def expected_seg(
    segments: Sequence[Segment], algorithm: Algorithm, origin: SeriesOrigin, kind: Literal["labelmap", "binary"]
) -> Expected:
    """What a SEG must say.

    Args:
        segments: Structures of the mask.
        algorithm: Software that drew it.
        origin: Series that the mask was drawn on.
        kind: Kind of the SEG.
    """
    said = _of_file(origin, kind, "SEG")
    for one in segments:
        subject = f"segment {one.number}"
        for name, part in zip(("red", "green", "blue"), one.colour, strict=True):
            said[subject, name] = Number(part, _SAME_COLOUR)
        said |= {(subject, what): words for what, words in _codes(one, one.kind or TISSUE)}
        said |= {(subject, "drawn"): "AUTOMATIC"}
        said |= {(subject, "algorithm"): f"{shortened(algorithm.name)} {shortened(algorithm.version)}"}
    return said


def expected_rtstruct(segments: Sequence[Segment], origin: SeriesOrigin) -> Expected:
    """What an RTSTRUCT must say.

    Args:
        segments: Structures of the mask.
        origin: Series that the mask was drawn on.
    """
    said = _of_file(origin, "rtstruct", "RTSTRUCT")
    for one in segments:
        subject = f"segment {one.number}"
        said[subject, "colour"] = " ".join(map(str, one.colour))
        said[subject, "interpreted type"] = interpreted_type(one)
        said |= {(subject, what): words for what, words in _codes(one, one.kind)}
    return {key: value for key, value in said.items() if value != ""}


def _of_file(origin: SeriesOrigin, kind: Kind, modality: str) -> dict[Key, str | Number | Hidden]:
    images = {(origin.series_uid, one.sop_instance_uid) for one in origin.slices}
    said: dict[Key, str | Number | Hidden] = {
        ("file", "SOP Class UID"): _CLASSES[kind],
        ("file", "modality"): modality,
        ("file", "one name in both headers"): "yes",
        ("file", "series of its own"): "yes",
        ("file", "images"): Hidden(images_text(images)),
        ("file", "references to another image"): Number(0, 0),
    }
    if origin.frame_of_reference_uid:
        said["file", "frame of reference"] = Hidden(origin.frame_of_reference_uid)
    return said


def _codes(segment: Segment, kind: CodedTerm | None) -> Iterator[tuple[str, str]]:
    yield "category", _code(segment.category)
    if kind is not None:
        yield "type", _code(kind)
        if segment.laterality is not None:
            yield "side", _code(segment.laterality)


def _code(term: CodedTerm) -> str:
    return f"{shortened(term.meaning)} ({term.value}, {term.scheme})"
