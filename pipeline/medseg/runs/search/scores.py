"""Scores of trials over the same cases, and whether the best is better than the plan beyond chance."""

from __future__ import annotations

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
        spread: Largest difference between two trainings of the plan that differ by the seed alone.
        rivals: Number of finalists, for which the level is corrected.
    """

    number: int
    pair: PairedDifference | None
    spread: float
    rivals: int

    @property
    def is_won(self) -> bool:
        """Whether the trial is better than the plan beyond chance, and by more than another seed changes the plan."""
        pair = self.pair
        if pair is None or not pair.p_value < _LEVEL / self.rivals:
            return False
        return pair.low > 0 and pair.difference > self.spread

    def __str__(self) -> str:
        """The difference, and what it is held against."""
        pair, name = self.pair, trial_name(self.number)
        if pair is None:
            return f"{name}: not trained again beside the plan, so that luck cannot be told from progress"
        interval = f"95 % {signed_text(METRIC, pair.low)} to {signed_text(METRIC, pair.high)}"
        known = f"{interval}, p = {pair.p_value:.3f}" if pair.p_value == pair.p_value else "too few patients for a test"
        return (
            f"{name}: {signed_text(METRIC, pair.difference)} Dice against the plan ({known}) over {pair.patients} "
            f"patients with other seeds; another seed alone changes the plan by up to {self.spread:.4f}"
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


def contest(folder: SearchFolder, number: int, *, repeats: int, rivals: int, patients: Mapping[str, str]) -> Contest:
    """Hold a finalist's new trainings against those of the plan.

    Its first training does not enter, by which it was chosen: the best of many is lucky, too.

    Args:
        folder: Folder of the search.
        number: Number of the trial.
        repeats: Number of other seeds.
        rivals: Number of finalists.
        patients: Patient of each case.
    """
    seeds = range(1, repeats + 1)
    plan, own = (
        [scores for seed in seeds if (scores := case_scores(folder, repeat_name(which, seed)))] for which in (0, number)
    )
    first = case_scores(folder, trial_name(0))
    cases = common_cases([*plan, *own, first]) if first and plan and own else ()
    if not cases:
        return Contest(number, None, 0.0, rivals)
    means = [mean_score(scores, cases) for scores in (first, *plan)]
    (pair,) = compare_pair(_rows(plan, cases), _rows(own, cases), patients=patients)
    return Contest(number, pair, max(means) - min(means), rivals)


def _rows(trainings: Sequence[CaseScores], cases: Sequence[str]) -> list[CaseMetrics]:
    """The mean over trainings of each case, as rows of a structure."""
    return [CaseMetrics(case_id, "all", {METRIC: fmean(one[case_id] for one in trainings)}, 0, 0) for case_id in cases]
