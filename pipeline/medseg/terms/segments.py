"""Segments out of the labels of a model: numbers, codes and colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medseg.scans.segment import Segment
from medseg.terms.structure_colours import structure_colours
from medseg.terms.table import ANATOMY, find_term


def segments_of(foreground: Mapping[str, int | tuple[int, ...]]) -> tuple[Segment, ...]:
    """Segments of labels, numbered from 1 in the order given.

    Args:
        foreground: Value, or values of a region, of each structure by its name, without the background: such as
            `target.foreground` of `ExclusiveLabels` and `WrittenRegions`, whose masks hold one value per voxel.

    Returns:
        A segment for each structure, with its code where the table has its exact name, and its colour as
        `structure_colours` gives it. One without a code counts as an anatomical structure, and keeps its name.
    """
    found = [find_term(name) for name in foreground]
    colours = structure_colours(foreground)
    return tuple(
        Segment(
            number=number,
            name=name,
            values=values if isinstance(values, tuple) else (values,),
            colour=colours[name],
            category=ANATOMY if one is None else one[0].category,
            kind=None if one is None else one[0].kind,
            laterality=None if one is None else one[1],
        )
        for number, ((name, values), one) in enumerate(zip(foreground.items(), found, strict=True), start=1)
    )


def uncoded(segments: Sequence[Segment]) -> tuple[str, ...]:
    """Names of the segments without a code."""
    return tuple(segment.name for segment in segments if segment.kind is None)
