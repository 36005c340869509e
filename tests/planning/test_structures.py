"""Components and neighbours of labels, by hand-drawn maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.cohort import SERIAL
from medseg.planning import take_structures
from medseg.planning.structures import MOST_CASES, structures_of
from medseg.records import Manifest
from scipy import ndimage


def test_voxels_that_touch_at_a_corner_are_one_component() -> None:
    label = np.zeros((8, 8, 8), np.uint8)
    label[1, 1, 1] = label[2, 2, 2] = 3
    label[6, 6, 6] = 3
    label[4, 4, 4] = 7
    assert structures_of(label).components == {3: 2, 7: 1}


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_labels_are_neighbours_if_they_share_a_face(axis: int) -> None:
    label = np.zeros((6, 6, 6), np.uint8)
    label[2, 2, 2] = 5
    label[tuple(3 if n == axis else 2 for n in range(3))] = 2
    label[tuple(1 if n == axis else 3 for n in range(3))] = 9  # diagonal to the first
    assert structures_of(label).neighbours == {(2, 5)}


def test_a_map_without_labels_has_no_structures() -> None:
    found = structures_of(np.zeros((4, 5, 6), np.uint8))
    assert (found.components, found.neighbours) == ({}, frozenset())


@pytest.mark.parametrize("order", ["C", "F"])
def test_any_map_has_the_components_of_each_of_its_labels(order: str) -> None:
    label = np.asarray(np.random.default_rng(3).choice([0, 0, 0, 1, 2, 200], (9, 7, 5)), np.int16, order=order)  # type: ignore[call-overload]  # any order
    expected = {v: ndimage.label(label == v, np.ones((3, 3, 3)))[1] for v in (1, 2, 200)}
    assert structures_of(label).components == expected


def test_of_many_cases_some_from_all_over_are_looked_at(cohort: tuple[Manifest, Path]) -> None:
    manifest, root = cohort
    cases = manifest.select("training")
    many = [cases[n % len(cases)] for n in range(3 * MOST_CASES)]
    found = take_structures(many, manifest, root, executor=SERIAL)
    assert len(found) == MOST_CASES
    assert len(take_structures(many, manifest, root, limit_s=0, executor=SERIAL)) == 2
    one, *_ = take_structures(cases[:1], manifest, root, executor=SERIAL)
    assert set(one.components) == set(manifest.foreground.values())
