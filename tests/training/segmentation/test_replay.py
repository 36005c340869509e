"""Old cases come beside new ones: as often as is asked for, and each kind in turn."""

from __future__ import annotations

from collections import Counter

import pytest
from medseg.training.segmentation.replay import MOST_OFTEN, Replay, Turns

OLD = tuple(f"old{n}" for n in range(6))
NEW = ("new0", "new1")
CASES = (*OLD[:3], *NEW, *OLD[3:])


def drawn(replay: Replay, *, epochs: int, cases: tuple[str, ...] = CASES) -> Counter[str]:
    """How often each case comes in so many epochs."""
    turns = Turns(cases, replay, places=len(cases))
    return Counter(cases[turns.case_at(epoch, place)] for epoch in range(epochs) for place in range(len(cases)))


def test_half_of_the_patches_are_of_the_new_cases_and_every_case_of_a_kind_comes_equally_often() -> None:
    counts = drawn(Replay(frozenset(NEW), 0.5), epochs=3)
    assert {counts[case] for case in NEW} == {6}  # 3 epochs of 8 patches, half of them of two cases
    assert {counts[case] for case in OLD} == {2}


def test_share_of_no_patch_still_shows_each_kind() -> None:
    counts = drawn(Replay(frozenset(NEW), 0.0), epochs=2)
    assert counts["new0"] == counts["new1"] == 1
    assert sum(counts[case] for case in OLD) == 14


def test_new_cases_alone_take_every_place() -> None:
    assert drawn(Replay.of(NEW, old=0, wanted=0.5), epochs=2, cases=NEW) == {"new0": 2, "new1": 2}


def test_few_new_cases_are_drawn_no_more_than_ten_times_as_often() -> None:
    replay = Replay.of(["new0"], old=100, wanted=0.5)
    assert replay.share == pytest.approx(10 / 110)
    assert replay.frequency(100) == pytest.approx(MOST_OFTEN)
    assert Replay.of(["new0"], old=5, wanted=0.5).share == 0.5


def test_few_old_cases_are_drawn_no_more_than_ten_times_as_often() -> None:
    replay = Replay.of([f"new{n}" for n in range(100)], old=1, wanted=0.2)
    assert replay.share == pytest.approx(100 / 110)
    assert replay.frequency(1) == pytest.approx(1 / MOST_OFTEN)
