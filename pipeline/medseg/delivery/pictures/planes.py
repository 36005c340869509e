"""Axial, coronal and sagittal planes of a volume whose axes run to the right, to the front and up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from medseg.records import Array, Mask


class PatientPlane(NamedTuple):
    """A plane as radiologists look at it: the patient's right is on the viewer's left.

    Attributes:
        name: Its name.
        axis: Axis that is cut.
        letters: Sides of the patient at its left, right, top and bottom edge.
    """

    name: str
    axis: int
    letters: str


PATIENT_PLANES = (
    PatientPlane("axial", 2, "RLAP"),
    PatientPlane("coronal", 1, "RLSI"),
    PatientPlane("sagittal", 0, "APSI"),
)


def cut_plane(volume: Array, axis: int, index: int) -> Array:
    """A plane of a RAS volume as rows and columns: right or anterior on the left, anterior or superior on top."""
    # Not np.take, which copies a volume that is not contiguous first.
    plane: Array = volume[(slice(None),) * axis + (index,)]
    return plane.T[::-1, ::-1]


def best_slices(masks: Iterable[Mask], shape: Sequence[int]) -> list[int]:
    """Along each axis the slice that shows most of all structures, each counted by its share of its own largest.

    Args:
        masks: One of each structure, of that shape; taken one after the other, so that a generator saves memory.
        shape: `(I, J, K)`; where no mask shows anything, the middle slices are taken.
    """
    shares = [np.zeros(n) for n in shape]
    for mask in masks:
        areas = [mask.sum(axis=others) for others in ((1, 2), (0, 2), (0, 1))]
        if areas[0].any():
            shares = [share + area / area.max() for share, area in zip(shares, areas, strict=True)]
    return [int(share.argmax()) if share.any() else len(share) // 2 for share in shares]
