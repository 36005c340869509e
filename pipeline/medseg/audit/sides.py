"""Pairs of labels of the patient's left and right, and whether they lie on the side that their names give."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from medseg.audit.facts import CaseFacts
from medseg.audit.finding import Finding

_LEFT = re.compile(r"left|links|gauche|l[ht]?", re.IGNORECASE)
_RIGHT = re.compile(r"right|rechts|droite?|r[ht]?", re.IGNORECASE)
_WORDS = re.compile(r"[A-Z]?[a-z]+\d*|[A-Z]+(?![a-z])\d*|\d+")
_APART_MM = 2.0
_ONE_SIDED_SHARE = 0.2


class SidePair(NamedTuple):
    """Names of the labels of one organ on both sides."""

    left: str
    right: str


def side_pairs(labels: Sequence[str]) -> list[SidePair]:
    """Pairs of labels with names that differ only in the word for the side, such as `LeftLung` and `RightLung`."""
    left = {key: name for name in labels if (key := _without_side(name, _LEFT)) is not None}
    right = {key: name for name in labels if (key := _without_side(name, _RIGHT)) is not None}
    return [SidePair(name, right[key]) for key, name in left.items() if key in right]


def check_sides(cases: Sequence[CaseFacts], labels: Sequence[str]) -> list[Finding]:
    """Findings on every pair of labels, in cases with a known orientation."""
    pairs = side_pairs(labels)
    if not pairs:
        return []
    names = "; ".join(f"{pair.left} and {pair.right}" for pair in pairs[:6]) + ("; …" if len(pairs) > 6 else "")
    fact = f"left and right labels must not be mirrored into each other, got {names}"
    found = [Finding("sides", "note", None, fact, "nothing to do: training leaves out left-right mirroring")]
    placed = [facts for facts in cases if facts.is_placed]
    for pair in pairs:
        found += _check_swapped(pair, placed) + _check_one_sided(pair, placed)
    return found


def _without_side(name: str, side: re.Pattern[str]) -> tuple[str, ...] | None:
    """The words of a name without the first one for this side; None if there is none."""
    words = _WORDS.findall(name)
    at = next((index for index, word in enumerate(words) if side.fullmatch(word)), None)
    return (
        None
        if at is None
        else (*(word.lower() for word in words[:at]), "", *(word.lower() for word in words[at + 1 :]))
    )


def _check_swapped(pair: SidePair, cases: Sequence[CaseFacts]) -> list[Finding]:
    """Cases in which the left organ lies further to the patient's right than the right one; x grows to the right."""
    apart = {
        facts.case_id: facts.labels[pair.right].centroid_mm[0] - facts.labels[pair.left].centroid_mm[0]
        for facts in cases
        if pair.left in facts.labels and pair.right in facts.labels
    }
    swapped = {case_id: mm for case_id, mm in apart.items() if mm < -_APART_MM}
    right_way = sum(mm > _APART_MM for mm in apart.values())
    if swapped and len(swapped) >= right_way and len(swapped) > 2:
        return [_all_swapped(pair, tuple(swapped), len(apart))]
    return [
        Finding(
            "swapped_sides",
            "error" if right_way > len(swapped) else "warning",
            case_id,
            f"{pair.left} must lie to the patient's left of {pair.right}, got it {-mm:.0f} mm to the right "
            f"({right_way} cases are the right way round)",
            "swap the two labels, or fix the orientation in the header",
        )
        for case_id, mm in swapped.items()
    ]


def _all_swapped(pair: SidePair, cases: tuple[str, ...], total: int) -> Finding:
    return Finding(
        "swapped_sides",
        "error",
        None,
        f"{pair.left} must lie to the patient's left of {pair.right}, got it to the right in {len(cases)} of {total}",
        "the names are swapped in the manifest, or all headers mirror the patient; fix whichever is wrong",
        others=cases,
    )


def _check_one_sided(pair: SidePair, cases: Sequence[CaseFacts]) -> list[Finding]:
    """Many cases with one side alone: the other may not have been drawn, or drawn under the wrong name."""
    drawn = [facts for facts in cases if pair.left in facts.labels or pair.right in facts.labels]
    alone = [facts.case_id for facts in drawn if not (pair.left in facts.labels and pair.right in facts.labels)]
    if len(alone) < 2 or len(alone) < _ONE_SIDED_SHARE * len(drawn):
        return []
    fact = f"{pair.left} and {pair.right} must be drawn together, got one alone in {len(alone)} of {len(drawn)} cases"
    remedy = "check whether the other side was forgotten or lies outside the scan"
    return [Finding("one_side", "warning", None, fact, remedy, others=tuple(alone))]
