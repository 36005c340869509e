from __future__ import annotations

import numpy as np
import pytest
from medseg.delivery.pictures import PATIENT_PLANES, best_slices, cut_plane


@pytest.mark.parametrize("plane", PATIENT_PLANES, ids=lambda plane: plane.name)
def test_letters_say_where_each_side_of_the_patient_is(plane) -> None:  # type: ignore[no-untyped-def]
    """One voxel on each side, in a volume whose axes run to the right, to the front and up."""
    left, right, top, bottom = (_voxel_at(letter, plane.axis) for letter in plane.letters)
    volume = np.zeros((5, 5, 5))
    for value, voxel in enumerate((left, right, top, bottom), start=1):
        volume[voxel] = value
    rows = cut_plane(volume, plane.axis, 2)
    assert (rows[2, 0], rows[2, 4], rows[0, 2], rows[4, 2]) == (1, 2, 3, 4)


def _voxel_at(letter: str, cut: int) -> tuple[int, int, int]:
    axis, end = {"R": (0, 4), "L": (0, 0), "A": (1, 4), "P": (1, 0), "S": (2, 4), "I": (2, 0)}[letter]
    assert axis != cut
    voxel = [2, 2, 2]
    voxel[axis] = end
    return (voxel[0], voxel[1], voxel[2])


def test_small_label_counts_as_much_as_a_large_one() -> None:
    label = np.zeros((30, 30, 30), np.uint8)
    label[5:25, 5:25, 5:12] = 1
    label[9, 9, 8] = 2
    masks = [label == 1, label == 2]
    assert best_slices(masks, label.shape) == best_slices(iter(masks), label.shape) == [9, 9, 8]
    assert best_slices(masks[:1], label.shape) == [5, 5, 5]


def test_volume_without_labels_is_cut_in_the_middle() -> None:
    assert best_slices([np.zeros((4, 7, 1), bool)], (4, 7, 1)) == [2, 3, 0]
    assert best_slices([], (4, 7, 1)) == [2, 3, 0]
