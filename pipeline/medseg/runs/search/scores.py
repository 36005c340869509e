"""Scores of trials over the same cases, and whether the best is better than the plan beyond chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from medseg.evaluation.segmentation import PairedDifference, compare_pair, read_metrics, signed_text
from medseg.records import CaseMetrics
from medseg.runs.search.record import SearchFolder, repeat_name, trial_name

METRIC = "dice"
_LEVEL = 0.05

CaseScores = Mapping[str, float]
"""Mean Dice over the structures of each case."""


@dataclass(frozen=True, slots=True)
class Contest:
    """A finalist against the plan, both trained again with other seeds.

    Attributes:
        number: Number of the trial.
        pair: Difference over patients of what the new trainings reach, the plan's first; None without such trainings.
        seed_p: One-sided p of the t-test over trainings, whether the difference is more than other seeds make; NaN with
            too few trainings to know what seeds make.
        rivals: Number of trials that were held against the plan, for which the level is corrected.
    """

    number: int
    pair: PairedDifference | None
    seed_p: float
    rivals: int

    @property
    def is_won(self) -> bool:
        """Whether the trial is better than the plan beyond chance, over patients as over seeds."""
        pair, level = self.pair, _LEVEL / self.rivals
        if pair is None:
            return False
        return pair.low > 0 and pair.p_value < level and self.seed_p < level

    def __str__(self) -> str:
        """The difference, and what it is held against."""
        pair, name = self.pair, trial_name(self.number)
        if pair is None:
            return f"{name}: not trained again beside the plan, so that luck cannot be told from progress"
        low, high = (signed_text(METRIC, bound) for bound in (pair.low, pair.high))
        interval = f"95 % {low} to {high}" if pair.low == pair.low else "no interval of so few"
        patients = f"p = {pair.p_value:.3f}" if pair.p_value == pair.p_value else "too few for a test"
        seeds = f"p = {self.seed_p:.3f}" if self.seed_p == self.seed_p else "too few for a test"
        return (
            f"{name}: {signed_text(METRIC, pair.difference)} Dice against the plan ({interval}) with other seeds; over "
            f"patients ({pair.patients}) {patients}, over trainings {seeds}, and each p must be below "
            f"{_LEVEL / self.rivals:.3g}"
        )


def case_scores(folder: SearchFolder, name: str) -> CaseScores:
    """Scores of a training's validation cases; none as long as it is not measured."""
    table = folder.scores(name)
    if not table.is_file():
        return {}
    values: dict[str, list[float]] = {}
    for row in read_metrics(table):
        if (value := row.values.get(METRIC, float("nan"))) == value:
            values.setdefault(row.case_id, []).append(value)
    return {case_id: fmean(found) for case_id, found in values.items()}


def common_cases(scores: Sequence[CaseScores]) -> tuple[str, ...]:
    """Cases that all trainings measured, in the order of the first."""
    return tuple(case_id for case_id in (scores[0] if scores else ()) if all(case_id in one for one in scores))


def mean_score(scores: CaseScores, cases: Sequence[str]) -> float:
    """Mean over some cases; NaN of none."""
    known = [scores[case_id] for case_id in cases if case_id in scores]
    return fmean(known) if known else float("nan")


def contests(
    folder: SearchFolder, finalists: Sequence[int], *, repeats: int, patients: Mapping[str, str]
) -> tuple[Contest, ...]:
    """Hold the new trainings of each finalist against those of the plan.

    The first trainings do not enter: a finalist was chosen by its own, and the best of many is lucky, too; the plan's
    was below those that were chosen.

    Args:
        folder: Folder of the search.
        finalists: Numbers of the trials.
        repeats: Number of other seeds.
        patients: Patient of each case.
    """
    seeds = range(1, repeats + 1)
    trained = {
        number: [scores for seed in seeds if (scores := case_scores(folder, repeat_name(number, seed)))]
        for number in (0, *finalists)
    }
    cases = common_cases([one for every in trained.values() for one in every])
    means = [[mean_score(one, cases) for one in every] for every in trained.values()] if cases else []
    rivals = max(len(finalists), len(folder.retrained() - {0}))
    return tuple(
        Contest(number, _pair(trained[0], trained[number], cases, patients), _seed_p(means, place), rivals)
        for place, number in enumerate(finalists, 1)
    )


def _pair(
    plan: Sequence[CaseScores], own: Sequence[CaseScores], cases: Sequence[str], patients: Mapping[str, str]
) -> PairedDifference | None:
    """The difference over patients; None where one of both was not trained again."""
    if not (plan and own and cases):
        return None
    (pair,) = compare_pair(_rows(plan, cases), _rows(own, cases), patients=patients)
    return pair


def _seed_p(means: Sequence[Sequence[float]], place: int) -> float:
    """Whether a finalist's trainings are better than the plan's by more than seeds make: one-sided p.

    Args:
        means: Scores of the new trainings, the plan's first; what seeds change is estimated from all of them together.
        place: Place of the finalist among them.

    Source: Student's t-test with a pooled variance, which supposes that seeds change finalists and plan alike.
    """
    from scipy.stats import t

    freedom = sum(len(one) - 1 for one in means if one)
    if freedom < 1 or not means[0] or not means[place]:
        return float("nan")
    variance = sum(sum((value - fmean(one)) ** 2 for value in one) for one in means if one) / freedom
    error = math.sqrt(variance * (1 / len(means[0]) + 1 / len(means[place])))
    difference = fmean(means[place]) - fmean(means[0])
    if error == 0:
        return 0.0 if difference > 0 else 1.0
    return float(t.sf(difference / error, freedom))


def _rows(trainings: Sequence[CaseScores], cases: Sequence[str]) -> list[CaseMetrics]:
    """The mean over trainings of each case, as rows of a structure."""
    return [CaseMetrics(case_id, "all", {METRIC: fmean(one[case_id] for one in trainings)}, 0, 0) for case_id in cases]
