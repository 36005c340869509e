"""What a search has found so far: its table, its page, and the plan to train with."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from medseg.atomic import write_json, write_text
from medseg.delivery.search import SearchReport, TrialRow, save_search_page
from medseg.records import Manifest
from medseg.runs.run_folder import RunFolder
from medseg.runs.search.desk import finalists_of
from medseg.runs.search.record import SearchFolder, SearchRecord, repeat_name, trial_name
from medseg.runs.search.scores import METRIC, Contest, case_scores, common_cases, contests, mean_score
from medseg.runs.search.study import Study, Trial


@dataclass(frozen=True, slots=True)
class Findings:
    """What a search has found.

    Attributes:
        trials: Every trial.
        cases: Validation cases that all complete trials measured, over which they are ranked.
        scores: Mean Dice of each complete trial over these cases, by its number.
        contests: The best trials against the plan, the best first.
        answer: Number of the trial whose plan is to be taken; 0 for the plan itself.
        repeats: How each training with another seed has ended, by its name.
        verdict: Why that plan is taken, in a sentence.
    """

    trials: tuple[Trial, ...]
    cases: tuple[str, ...]
    scores: Mapping[int, float]
    contests: tuple[Contest, ...]
    answer: int
    repeats: Mapping[str, Mapping[str, Any]]
    verdict: str


def find(folder: SearchFolder, study: Study, record: SearchRecord, *, manifest: Manifest) -> Findings:
    """Read what has been trained so far, and hold the best against the plan."""
    trials = tuple(study.trials())
    tables = {one.number: case_scores(folder, trial_name(one.number)) for one in trials if one.state == "complete"}
    cases = common_cases(list(tables.values()))
    scores = {number: mean_score(table, cases) for number, table in tables.items()}
    patients = {case.case_id: case.patient_id for case in manifest.cases}
    finalists = finalists_of(folder, study, record)
    held = contests(folder, finalists, repeats=record.repeats, patients=patients)
    won = [one for one in held if one.is_won and one.pair is not None]
    best = max(won, key=lambda one: one.pair.difference if one.pair else 0.0, default=None)
    names = [repeat_name(number, seed) for number in (0, *finalists) for seed in range(1, record.repeats + 1)]
    ended = {name: folder.end_of(name) for name in names}
    return Findings(
        trials=trials,
        cases=cases,
        scores=scores,
        contests=held,
        answer=best.number if best else 0,
        repeats={name: json.loads(path.read_text(encoding="utf-8")) for name, path in ended.items() if path.is_file()},
        verdict=_verdict(scores, held, best),
    )


def write_results(
    folder: SearchFolder, found: Findings, record: SearchRecord, *, dataset: str, used_s: float, is_over: bool
) -> None:
    """Write `best.yaml`, `search.json`, `trials.csv` and `index.html`."""
    plan = folder.plan if found.answer == 0 else RunFolder(folder.training(trial_name(found.answer))).plan
    write_text(folder.best, plan.read_text(encoding="utf-8"))
    rows = [_row(found, trial) for trial in found.trials]
    write_json(folder.result, _content(found, record, rows, used_s=used_s, is_over=is_over))
    write_text(folder.table, _table(found, rows))
    report = SearchReport(
        dataset=dataset,
        fold=record.fold,
        rows=tuple(rows),
        cases=len(found.cases),
        answer=trial_name(found.answer),
        verdict=found.verdict,
        contests=tuple(str(one) for one in found.contests),
        repeats=tuple((name, dict(end)) for name, end in found.repeats.items()),
        used_s=used_s,
        budget=record.budget,
        asked=record.trials,
        length=record.trial_budget or (f"{record.trial_epochs} epochs" if record.trial_epochs else "planned epochs"),
        is_over=is_over,
    )
    save_search_page(report, folder.page)


def _verdict(scores: Mapping[int, float], held: Sequence[Contest], best: Contest | None) -> str:
    """Which plan to take and why."""
    if best is not None:
        return f"take {trial_name(best.number)}, better than the plan beyond chance: {best}"
    if 0 not in scores:
        return "keep the plan: it has no score here, so that nothing can be held against it"
    if not held:
        return "keep the plan: no trial scored better"
    return f"keep the plan: the best trials may be luck. {'; '.join(map(str, held))}"


def _row(found: Findings, trial: Trial) -> TrialRow:
    facts = trial.facts
    return TrialRow(
        name=trial_name(trial.number),
        state=trial.state,
        score=found.scores.get(trial.number, trial.score),
        cases=int(facts.get("cases", 0)),
        seconds=float(facts.get("seconds", math.nan)),
        steps=int(facts.get("steps", 0)),
        choice=dict(trial.choice),
        reason=trial.reason,
        curve=dict(trial.curve),
    )


def _content(
    found: Findings, record: SearchRecord, rows: Sequence[TrialRow], *, used_s: float, is_over: bool
) -> dict[str, Any]:
    return {
        "is_over": is_over,
        "answer": trial_name(found.answer),
        "verdict": found.verdict,
        "score": f"mean {METRIC} over structures and cases, of the last validation",
        "cases": list(found.cases),
        "used_s": round(used_s, 1),
        "search": record.model_dump(mode="json"),
        "trials": [asdict(row) for row in rows],
        "contests": [{**asdict(one), "is_won": one.is_won} for one in found.contests],
        "repeats": {name: dict(end) for name, end in found.repeats.items()},
    }


def _table(found: Findings, rows: Sequence[TrialRow]) -> str:
    """CSV with a column per setting that any trial changed."""
    names = list(dict.fromkeys(name for trial in found.trials for name in trial.choice))
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["trial", "state", "score", "cases", "seconds", "steps", *names, "reason"])
    for row in rows:
        numbers = ["" if value != value else f"{value:.6g}" for value in (row.score, row.seconds)]
        values = [_text(row.choice.get(name)) for name in names]
        table.writerow([row.name, row.state, numbers[0], row.cases, numbers[1], row.steps, *values, row.reason])
    return buffer.getvalue()


def _text(value: object) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
