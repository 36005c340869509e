"""Segment descriptions of a DICOM SEG: names, codes, colours and the algorithm."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from medseg.errors import DeliveryError
from medseg.scans.segment import Algorithm, CodedTerm, Segment

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept

LONGEST = 64  # characters of a long string (PS3.5 6.2, LO)
_MOST_SEGMENTS = 255
TISSUE = CodedTerm("85756007", "SCT", "Tissue")


def check_segments(segments: Sequence[Segment]) -> None:
    """Refuse segments that a SEG cannot hold.

    Raises:
        DeliveryError: If there is none or are more than 255, a name is empty, or numbers do not run from 1.
    """
    if not 1 <= len(segments) <= _MOST_SEGMENTS:
        raise DeliveryError(
            f"a DICOM SEG must have 1 to {_MOST_SEGMENTS} segments, got {len(segments)}",
            remedy="deliver fewer structures at a time, or NIfTI",
        )
    nameless = [segment.number for segment in segments if not _plain(segment.name)]
    if nameless:
        raise DeliveryError(
            f"every segment of a DICOM SEG must have a name, got none for segment {nameless[0]}",
            remedy="name the label in the data set or model",
        )
    if [segment.number for segment in segments] != list(range(1, len(segments) + 1)):
        raise DeliveryError(
            "numbers of segments must run from 1 without a gap, got others", remedy="number the segments again"
        )


def describe_segments(
    segments: Sequence[Segment], algorithm: Algorithm, uids: Sequence[str]
) -> list[SegmentDescription]:
    """Items of the Segment Sequence.

    Args:
        segments: Segments that `check_segments` accepts.
        algorithm: Software that drew them.
        uids: Tracking UID of each segment.

    Source: PS3.3 table C.8.20-4; CID 7162 for the family of the algorithm.
    """
    return [_described(segment, algorithm, uid) for segment, uid in zip(segments, uids, strict=True)]


def segment_label(name: str) -> str:
    """Name in at most 64 characters, none of which DICOM reserves."""
    return shortened(name)


def shortened(value: str) -> str:
    """Text as a long string: at most 64 characters, ending in an ellipsis where it was cut."""
    plain = _plain(value)
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"


def coded(term: CodedTerm) -> CodedConcept:
    """The term as a code of highdicom."""
    from highdicom.sr import CodedConcept

    return CodedConcept(value=term.value, scheme_designator=term.scheme, meaning=shortened(term.meaning))


def _plain(value: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", " ", value).replace("\\", "/").strip()


def _described(segment: Segment, algorithm: Algorithm, uid: str) -> SegmentDescription:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
    from pydicom.sr.codedict import codes

    label = segment_label(segment.name)
    described = SegmentDescription(
        segment_number=segment.number,
        segment_label=label,
        segmented_property_category=coded(segment.category),
        segmented_property_type=coded(segment.kind or TISSUE),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=shortened(algorithm.name),
            family=codes.DCM.ArtificialIntelligence,
            version=shortened(algorithm.version),
            source="medseg",
            parameters={"weights": _plain(algorithm.digest), "notice": _plain(algorithm.notice)},
        ),
        tracking_uid=uid,
        tracking_id=label,
        display_color=CIELabColor.from_rgb(*segment.colour),
    )
    if label != segment.name:
        described.SegmentDescription = segment.name[:1024]
    if segment.laterality is not None:
        kind = described.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [coded(segment.laterality)]
    return described
