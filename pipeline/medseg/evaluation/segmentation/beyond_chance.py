"""Tries held against what they would replace, and the rule by which one is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medseg.evaluation.segmentation.paired import PairedDifference, compare_pair
from medseg.records import CaseMetrics

RULE = (
    "A try is taken only if it is better beyond chance: the 95 % interval of the paired difference over patients lies "
    "above 0, and p of Wilcoxon's signed-rank test over patients is below 0.05 after Holm's correction over all tries "
    "of its step. Otherwise what is simpler stays."
)
_METRIC = "dice"

Scores = Mapping[str, float]
"""Dice of each case by its id, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class JudgedTry:
    """A try with its paired difference to what it would replace.

    Attributes:
        name: Name of the try.
        difference: Difference over the cases that both have.
    """

    name: str
    difference: PairedDifference

    @property
    def is_better(self) -> bool:
        """Whether it is better beyond chance."""
        return self.difference.verdict == "second"


def judge_tries(tries: Mapping[str, tuple[Scores, Scores]], *, patients: Mapping[str, str]) -> list[JudgedTry]:
    """Hold every try of a step against what it would replace.

    Args:
        tries: Dice of each case without and with the try, by the name of the try.
        patients: Patient of each case; a case without one counts as a patient.

    Returns:
        The tries in their order, with p corrected over all of them.
    """
    before, after = (
        [
            CaseMetrics(case_id, name, {_METRIC: value}, label_voxels=0, mask_voxels=0)
            for name, both in tries.items()
            for case_id, value in both[side].items()
        ]
        for side in (0, 1)
    )
    found = {entry.structure: entry for entry in compare_pair(before, after, patients=patients)}
    return [JudgedTry(name, found[name]) for name in tries if name in found]


def best_of(judged: Sequence[JudgedTry]) -> JudgedTry | None:
    """The try with the largest gain of those that are better beyond chance, the first of equals; None without any."""
    better = [one for one in judged if one.is_better]
    return max(better, key=lambda one: one.difference.difference, default=None)
