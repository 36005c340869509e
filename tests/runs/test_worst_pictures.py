"""Folders of the pictures of compared evaluations: one for each, whatever the names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from medseg.runs.segmentation.worst_pictures import _folder_names

ALIKE = st.sampled_from(["a", "a.", "A", "a/", "a_1", "a_2", "a_2_2", "a_3", "e\u0301", "\u00e9", "\u00df", "ss"])


def folders(*names: str) -> list[str]:
    evaluations: Any = [SimpleNamespace(name=name) for name in names]
    return _folder_names(evaluations)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a.", "a_1"], ["a", "a_2", "a_1"]),
        (["a", "a_2", "a."], ["a", "a_2", "a_3"]),
        (["a", "a.", "a_2"], ["a", "a_2", "a_2_2"]),
        (["Run", "run"], ["Run", "run_2"]),
        (["...", "/"], ["evaluation", "evaluation_2"]),
    ],
)
def test_names_that_become_alike_are_numbered(names: list[str], expected: list[str]) -> None:
    assert folders(*names) == expected


@hypothesis.given(st.lists(ALIKE, max_size=12) | st.lists(st.text(max_size=400), max_size=4))
def test_every_evaluation_has_a_folder_of_its_own_on_any_disk(names: list[str]) -> None:
    found = folders(*names)
    assert len({name.casefold() for name in found}) == len(names)
    assert all(name == name.strip("._") and "/" not in name for name in found)
    assert all(0 < len(name.encode()) <= 255 for name in found)


def test_long_names_are_cut_and_told_apart() -> None:
    first, second = folders("x" * 300, "x" * 299 + "y")
    assert first != second
    assert len(first) < len(second) < 60
