"""Facts by which the structures of a mask are compared with those of others."""

from __future__ import annotations

import numpy as np
import pytest
from medseg.preprocess.segmentation.structure_facts import StructureFacts, structure_facts
from medseg.targets import ExclusiveLabels
from scipy import ndimage

from tests.labels import labels_of

ONE = labels_of(0, 1)


def facts_of(mask: np.ndarray, target: ExclusiveLabels = ONE) -> dict[str, StructureFacts]:
    return structure_facts(mask.astype(np.uint8), target)


def test_every_structure_has_its_own_facts_and_absent_ones_have_none() -> None:
    mask = np.zeros((10, 10, 10))
    mask[2:4, 2:4, 2:4] = 3
    mask[5:10, 5, 5] = 7
    facts = facts_of(mask, labels_of(0, 3, 5, 7))
    assert facts == {
        "label 3": StructureFacts(voxels=8, touches_border=False, parts=1, main_share=1.0),
        "label 7": StructureFacts(voxels=5, touches_border=True, parts=1, main_share=1.0),
    }


@pytest.mark.parametrize("place", [(0, 4, 4), (8, 4, 4), (4, 0, 4), (4, 8, 4), (4, 4, 0), (4, 4, 8)])
def test_each_face_of_the_scan_is_its_border(place: tuple[int, int, int]) -> None:
    mask = np.zeros((9, 9, 9))
    mask[place] = 1
    assert facts_of(mask)["label 1"].touches_border
    moved = np.pad(mask, 1)
    assert not facts_of(moved)["label 1"].touches_border


def test_picture_has_no_border_in_depth() -> None:
    mask = np.zeros((9, 9, 1))
    mask[4, 4, 0] = 1
    assert not facts_of(mask)["label 1"].touches_border
    mask[0, 4, 0] = 1
    assert facts_of(mask)["label 1"].touches_border


def test_parts_that_touch_at_a_corner_are_one() -> None:
    mask = np.zeros((9, 9, 9))
    mask[2, 2, 2] = mask[3, 3, 3] = 1
    assert facts_of(mask)["label 1"].parts == 1
    mask[6:8, 6, 6] = 1
    assert facts_of(mask)["label 1"] == StructureFacts(voxels=4, touches_border=False, parts=2, main_share=0.5)


def test_fortran_order_and_c_order_give_the_same() -> None:
    mask = (np.random.default_rng(0).random((12, 15, 18)) > 0.9).astype(np.uint8)
    mask[:2] = 0
    assert structure_facts(np.asfortranarray(mask), ONE) == structure_facts(mask, ONE)


@pytest.mark.parametrize("size", [60, 100, 170])
def test_large_structures_keep_their_shares_on_a_coarser_grid(size: int) -> None:
    mask = np.zeros((2 * size, size, size), np.uint8)
    mask[1 : size - 20, 1:-1, 1:-1] = 1
    mask[size + 10 : size + 30, 1:-1, 1:-1] = 1
    facts = structure_facts(mask, ONE)["label 1"]
    assert facts.parts == ndimage.label(mask)[1] == 2
    assert facts.voxels == np.count_nonzero(mask)
    assert facts.main_share == pytest.approx((size - 21) / (size - 1), abs=1e-3)


def test_coarser_grid_never_takes_a_whole_structure_apart() -> None:
    line = np.zeros((300, 300, 300), np.uint8)
    line[np.arange(300), np.arange(300), np.arange(300)] = 1
    assert structure_facts(line, ONE)["label 1"].parts == 1
