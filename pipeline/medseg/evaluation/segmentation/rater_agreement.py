"""How well several raters agree, and whether a model agrees with them as well as they do with each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from medseg.evaluation.segmentation.inter_rater import reader_sentence
from medseg.evaluation.segmentation.paired import PairedDifference, compare_pair
from medseg.evaluation.segmentation.rater_pairs import RaterPair
from medseg.evaluation.segmentation.summary import Summary, summarise
from medseg.records import CaseMetrics, Failure

RATERS_DICE = "raters_dice"
_METRIC = "dice"


@dataclass(frozen=True, slots=True)
class WithinSpread:
    """How often the model is no further from the raters than they are from each other, in one structure.

    Attributes:
        structure: Name of the label or region.
        cases: Cases in which the model and at least two raters have a Dice.
        within: Cases in which the model's mean Dice with the raters is at least that of the rater who agrees least with
            the others, of those who agree with anybody; a rater who forgot the structure sets no limit.
        index: Williams' index: the model's mean Dice with the raters over that of the raters with each other; 1 where
            the model agrees with them as they do. NaN where the raters never agree.

    Source: Williams 1976, https://doi.org/10.2307/2529747; Chalana & Kim 1997, https://doi.org/10.1109/42.640755.
    """

    structure: str
    cases: int
    within: int
    index: float


@dataclass(frozen=True, slots=True)
class RaterAgreement:
    """Several raters of each case against each other, and a model against each of them.

    Attributes:
        pairs: Metrics per case, pair and structure.
        between: Means over cases of what the pairs of raters of a case have on average.
        by_pair: Cases and mean Dice per structure of each pair of raters, in all cases that both have drawn.
        with_mask: Means of the model against each rater by the rater's name; empty without masks.
        against: Mean Dice of the raters with each other (first) and of the model with the raters (second), paired by
            case; empty without masks.
        spread: How often the model is within the spread of the raters, by structure; empty without masks.
        failures: Cases that could not be compared, with the reasons.
    """

    pairs: tuple[RaterPair, ...]
    between: Summary
    by_pair: tuple[dict[str, Any], ...]
    with_mask: Mapping[str, Summary]
    against: tuple[PairedDifference, ...]
    spread: tuple[WithinSpread, ...]
    failures: tuple[Failure, ...]

    def content(self) -> dict[str, Any]:
        """The entry `raters` of `summary.json` and `audit.json`."""
        content: dict[str, Any] = {
            "cases": self.between.cases,
            "between_raters": {
                "means": self.between.means,
                "structures": [asdict(entry) for entry in self.between.labels],
                "by_pair": list(self.by_pair),
            },
            "failures": [failure.row for failure in self.failures],
        }
        if not self.with_mask:
            return content
        with_raters = {
            name: {"cases": one.cases, "means": one.means, "structures": [asdict(entry) for entry in one.labels]}
            for name, one in self.with_mask.items()
        }
        against = [{**asdict(entry), "verdict": entry.verdict} for entry in self.against]
        spread = [asdict(entry) for entry in self.spread]
        return content | {"model_with_raters": with_raters, "model_against_raters": against, "within_spread": spread}

    def __str__(self) -> str:
        """A line per structure, and how often the model is within the spread."""
        failed = f", {len(self.failures)} that could not be compared" if self.failures else ""
        head = f"raters, {self.between.cases} cases{failed}"
        if not self.with_mask:
            lines = [f"{entry.label} {entry}" for entry in self.between.labels if entry.metric == _METRIC]
            return "\n".join([f"{head}, with each other{':' if lines else ''}", *lines])
        spread = {entry.structure: entry for entry in self.spread}
        width = max((len(entry.structure) for entry in self.against), default=0)
        lines = [
            f"{entry.structure:>{width}} {reader_sentence(entry)}; within the raters' spread in "
            f"{spread[entry.structure].within} of {spread[entry.structure].cases} cases"
            for entry in self.against
        ]
        return "\n".join([f"{head}{':' if lines else ''}", *lines])


def rater_agreement(
    pairs: Sequence[RaterPair], *, patients: Mapping[str, str], failures: Sequence[Failure] = ()
) -> RaterAgreement:
    """Hold raters against each other, and a model against them if there are masks.

    A case counts once, however many raters it has: the pairs of a case are averaged first, then cases, and intervals
    are over patients.

    Args:
        pairs: Metrics per case, pair and structure, from `measure_raters`.
        patients: Patient of each case.
        failures: Cases that could not be measured.
    """
    among = [pair for pair in pairs if not pair.has_mask]
    model = [pair for pair in pairs if pair.has_mask]
    between, with_raters = _by_case(among), _by_case(model)
    compared = compare_pair(between, with_raters, patients=patients)
    return RaterAgreement(
        pairs=tuple(pairs),
        between=summarise(between, patients=patients),
        by_pair=tuple(_by_pair(among)),
        with_mask={
            name: summarise([pair.row for pair in model if pair.first == name], patients=patients)
            for name in dict.fromkeys(pair.first for pair in model)
        },
        against=tuple(entry for entry in compared if entry.metric == _METRIC),
        spread=tuple(_spread(among, model)) if model else (),
        failures=tuple(failures),
    )


def with_raters_dice(rows: Sequence[CaseMetrics], pairs: Sequence[RaterPair]) -> list[CaseMetrics]:
    """The rows of a model's masks with the mean Dice with the raters beside that with the reference.

    Args:
        rows: Metrics of the masks.
        pairs: Metrics of the masks with each rater, and others that are passed over.
    """
    found = {(row.case_id, row.label): row for row in _by_case([pair for pair in pairs if pair.has_mask])}
    return [
        replace(row, values=row.values | {RATERS_DICE: found[row.case_id, row.label].values[_METRIC]})
        if (row.case_id, row.label) in found
        else row
        for row in rows
    ]


def _by_case(pairs: Sequence[RaterPair]) -> list[CaseMetrics]:
    """Mean over the pairs of each case and structure; values that a pair does not have are passed over."""
    groups: dict[tuple[str, str], list[CaseMetrics]] = defaultdict(list)
    for pair in pairs:
        groups[pair.row.case_id, pair.row.label].append(pair.row)
    return [_mean_row(rows) for rows in groups.values()]


def _mean_row(rows: Sequence[CaseMetrics]) -> CaseMetrics:
    return replace(
        rows[0],
        values={metric: _mean(row.values.get(metric, np.nan) for row in rows) for metric in rows[0].values},
        label_voxels=round(float(np.mean([row.label_voxels for row in rows]))),
        mask_voxels=round(float(np.mean([row.mask_voxels for row in rows]))),
        ignored_share=float(np.mean([row.ignored_share for row in rows])),
    )


def _by_pair(pairs: Sequence[RaterPair]) -> Iterable[dict[str, Any]]:
    """Mean Dice of each pair of raters and structure over the cases that both have drawn."""
    groups: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for pair in pairs:
        groups[pair.first, pair.second, pair.row.label].append(pair.row.values[_METRIC])
    for (first, second, structure), values in groups.items():
        known = [value for value in values if value == value]
        yield {
            "first": first,
            "second": second,
            "structure": structure,
            "cases": len(known),
            _METRIC: _mean(known),
        }


def _spread(among: Sequence[RaterPair], model: Sequence[RaterPair]) -> Iterable[WithinSpread]:
    """How often the model is within the spread, by structure."""
    own: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for pair in among:
        for name in (pair.first, pair.second):
            own[pair.row.label, pair.row.case_id][name].append(pair.row.values[_METRIC])
    raters_dice, model_dice = (_dice_by_structure(_by_case(pairs)) for pairs in (among, model))
    for structure, by_case in model_dice.items():
        others = raters_dice[structure]
        both = [case_id for case_id, dice in by_case.items() if not np.isnan([dice, others[case_id]]).any()]
        least = {case_id: _least(own[structure, case_id].values()) for case_id in both}
        raters = sum(others[case_id] for case_id in both)
        yield WithinSpread(
            structure,
            cases=len(both),
            within=sum(by_case[case_id] >= least[case_id] for case_id in both),
            index=sum(by_case[case_id] for case_id in both) / raters if raters else float("nan"),
        )


def _dice_by_structure(rows: Sequence[CaseMetrics]) -> dict[str, dict[str, float]]:
    """Dice of each case by structure."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        found[row.label][row.case_id] = row.values[_METRIC]
    return found


def _least(of_raters: Iterable[Sequence[float]]) -> float:
    """Mean Dice with the others of the rater who agrees least; one who agrees with nobody sets no limit."""
    return min((mean for mean in map(_mean, of_raters) if mean > 0), default=float("inf"))


def _mean(values: Iterable[float]) -> float:
    """Mean of the values that are numbers; NaN without any."""
    known = [value for value in values if value == value]
    return float(np.mean(known)) if known else float("nan")
