"""Corrected voxels on their way out of the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from medseg.delivery.review import Edit, apply_edits, load_review
from medseg.errors import DeliveryError, ManifestError
from pydantic import ValidationError

VALUES = (0, 3, 7)


def test_runs_count_voxels_of_the_first_axis_first() -> None:
    mask = np.zeros((3, 4, 5), np.uint8)
    corrected = apply_edits(mask, [Edit(value=7, runs=(1 + 3 * (2 + 4 * 3), 2))], values=VALUES, case_id="a")
    assert np.argwhere(corrected == 7).tolist() == [[1, 2, 3], [2, 2, 3]]
    assert not mask.any()


@given(st.lists(st.tuples(st.integers(0, 59), st.sampled_from(VALUES)), max_size=40))
def test_any_corrections_give_the_mask_that_was_painted(painted: list[tuple[int, int]]) -> None:
    mask = np.arange(60).reshape(3, 4, 5) % 2 * np.uint8(3)
    expected = mask.ravel(order="F").copy()
    last = dict(painted)
    expected[list(last)] = list(last.values())
    edits = [Edit(value=value, runs=(voxel, 1)) for voxel, value in last.items()]
    corrected = apply_edits(mask, edits, values=VALUES, case_id="a")
    np.testing.assert_array_equal(corrected.ravel(order="F"), expected)


@pytest.mark.parametrize(("value", "runs"), [(3, (59, 2)), (4, (0, 1)), (3, (60, 1))])
def test_correction_that_does_not_fit_the_mask_is_refused(value: int, runs: tuple[int, ...]) -> None:
    with pytest.raises(DeliveryError, match="corrections must give voxels of the mask, of shape"):
        apply_edits(np.zeros((3, 4, 5), np.uint8), [Edit(value=value, runs=runs)], values=VALUES, case_id="a")


def test_label_above_255_widens_the_mask() -> None:
    mask = np.zeros((2, 2, 2), np.uint8)
    corrected = apply_edits(mask, [Edit(value=300, runs=(0, 1))], values=(0, 300), case_id="a")
    assert corrected[0, 0, 0] == 300


@pytest.mark.parametrize("runs", [(1,), (-1, 2), (1, -2)])
def test_runs_are_pairs_that_are_not_negative(runs: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="runs must be pairs"):
        Edit(value=1, runs=runs)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"medseg_review": 2, "reader": "a", "saved": "", "cases": []}'])
def test_other_file_is_no_review(tmp_path: Path, text: str) -> None:
    path = tmp_path / "review.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError, match=r"review review.json: must be as the review page saved it"):
        load_review(path)


def test_review_without_a_reader_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "review.json"
    path.write_text(json.dumps({"medseg_review": 1, "reader": "", "saved": "", "cases": []}), encoding="utf-8")
    with pytest.raises(ManifestError, match="reader"):
        load_review(path)
