"""Masks of single objects drawn into one label volume with a value per object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.errors import ManifestError
from medseg.ingest.context import IngestContext
from medseg.ingest.draw_label import draw_values
from medseg.ingest.label_source import LabelSource
from medseg.ingest.match import MatchedLabel
from medseg.ingest.named import check_named
from medseg.records import Labelmap

_MOST_OBJECTS = 65535


def draw_objects(labels: Sequence[MatchedLabel], context: IngestContext) -> tuple[Labelmap, tuple[str, ...]]:
    """Draw every object of a case, each with a value of its own.

    The values of a single mask file stay as they are where they fit 16 bits. Those of several files are numbered in the
    order of the files.

    Args:
        labels: Masks of a case, in the order in which they are drawn.
        context: Settings and state that all cases share.

    Returns:
        Values of shape `(I, J, K)` on the grid of the image, and notes.

    Raises:
        ManifestError: If the mapping names a structure nowhere, or there are too many objects.
        GeometryError: If a mask lies on another grid than its image.
        ScanError: If a mask is damaged, or a label is no mask file.
    """
    drawn = [_values(one, context) for one in labels]
    if len(drawn) == 1 and int(drawn[0][0].max(initial=0)) <= _MOST_OBJECTS:
        return drawn[0]
    merged = np.zeros(drawn[0][0].shape, np.uint32)
    count = shared = 0
    for values, _ in drawn:
        inside = values > 0
        own, places = np.unique(values[inside], return_inverse=True)
        shared += int(np.count_nonzero(merged[inside]))
        merged[inside] = count + 1 + places
        count += len(own)
    if count > _MOST_OBJECTS:
        raise ManifestError(f"a case must hold at most {_MOST_OBJECTS} objects, got {count}", remedy="split its image")
    left = len(np.unique(merged[merged > 0]))
    notes = [
        f"{len(labels)} mask files were drawn together as {count} objects"
        if len(labels) > 1
        else f"its objects were numbered from 1 to {count}, since values above {_MOST_OBJECTS} cannot be written"
    ]
    if shared:
        notes.append(f"objects share {shared} voxels; the later file's object is drawn on top")
    if left < count:
        notes.append(f"{count - left} object(s) have no voxel left: later ones cover them")
    label = merged.astype(np.min_scalar_type(count))
    return label, (*notes, *dict.fromkeys(note for _, clauses in drawn for note in clauses))


def _values(one: MatchedLabel, context: IngestContext) -> tuple[Labelmap, tuple[str, ...]]:
    """The values of a mask file, without those of structures that the mapping ignores."""
    label = one.label
    _check(label, context)
    values, notes = draw_values(label, one.image, may_regrid="grids" in context.options.repair)
    ignored = [value for value, name in (label.values or {}).items() if context.label_of(name) == ""]
    if ignored:
        values = np.where(np.isin(values, ignored), 0, values)
    return values, notes


def _check(label: LabelSource, context: IngestContext) -> None:
    if label.values is None:
        raise ManifestError(
            "objects must be given by mask files of one layer, got another label",
            remedy="take instances out of the mapping",
        )
    if not label.has_objects:
        check_named(label.names, context)
