"""Axial, coronal and sagittal planes of a volume whose axes run to the right, to the front and up."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from medseg.records import Array, Labelmap


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


def best_slices(label: Labelmap, *, most_labels: int | None = None) -> list[int]:
    """Along each axis the slice that shows most of all labels, each counted by its share of its own largest.

    Args:
        label: Shape `(I, J, K)`; nothing labelled gives the middle slices.
        most_labels: Label values that are counted, the lowest first; None counts all.
    """
    values = np.unique(label[label > 0])[:most_labels]
    if not len(values):
        return [n // 2 for n in label.shape]
    shares = [np.zeros(n) for n in label.shape]
    for value in values:
        mask = label == value
        for along, others in zip(shares, ((1, 2), (0, 2), (0, 1)), strict=True):
            area = mask.sum(axis=others)
            along += area / area.max()
    return [int(along.argmax()) for along in shares]
