"""Which training a worker does next, so that none is done twice and none is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from medseg.runs.search.clock import SearchClock
from medseg.runs.search.locks import Claim, locked
from medseg.runs.search.record import SearchFolder, SearchRecord, repeat_name, trial_name
from medseg.runs.search.scores import case_scores, common_cases, mean_score
from medseg.runs.search.space import Choice, Span
from medseg.runs.search.study import Study
from medseg.training import parse_duration_s

_MOST_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Work:
    """A training that this worker has claimed.

    Attributes:
        name: Name of its folder.
        number: Number of the trial.
        repeat: Number of the other seed; 0 for the trial itself.
        choice: Values of the trial.
        claim: Lock that others see.
    """

    name: str
    number: int
    repeat: int
    choice: Choice
    claim: Claim


class Desk:
    """Hands out trainings: first those that a worker left undone, then new trials, then the finalists' other seeds.

    Args:
        folder: Folder of the search.
        study: Trials of the search.
        clock: Clock of the search.
        spaces: Ranges and lists to draw from.
        planned: Values of the plan.
    """

    def __init__(
        self,
        folder: SearchFolder,
        study: Study,
        clock: SearchClock,
        *,
        spaces: Mapping[str, Span | tuple[Any, ...]],
        planned: Mapping[str, Any],
    ) -> None:
        self._folder = folder
        self._study = study
        self._clock = clock
        self._spaces = spaces
        self._planned = planned

    def next(self) -> Work | Literal["wait", "done"]:
        """Claim the next training; `wait` while others are at work on the last ones."""
        with locked(self._folder.lock("search")):
            record = self._folder.load_record()
            busy = False
            for found in (self._left_undone(), self._new_trial(record)):
                if isinstance(found, Work):
                    return found
                busy = busy or found
            return "wait" if busy else self._repeat(record)

    def left_s(self, record: SearchRecord) -> float:
        """Seconds that are left of the budget."""
        used_s = self._clock.used_s()
        return parse_duration_s(record.budget) - used_s if record.budget else float("inf")

    def _left_undone(self) -> Work | bool:
        """A trial whose worker has ended; else whether any is being trained."""
        busy = False
        for trial in self._study.trials():
            if trial.state != "running":
                continue
            claim = Claim(self._folder.lock(trial_name(trial.number)))
            if not claim.take():
                busy = True
                continue
            if self._study.attempt(trial.number) <= _MOST_ATTEMPTS:
                choice = self._study.suggest(trial.number, self._spaces)
                return Work(trial_name(trial.number), trial.number, 0, choice, claim)
            claim.release()
            reason = f"given up, because {_MOST_ATTEMPTS} workers ended while they trained it, as for lack of memory"
            self._study.end(trial.number, "failed", score=float("nan"), reason=reason)
        return busy

    def _new_trial(self, record: SearchRecord) -> Work | bool:
        """One more trial, if their number and the budget allow it."""
        count = len(self._study.trials())
        is_full = record.trials is not None and count >= record.trials
        if is_full or not self._is_paid_for(record):
            return False
        claim = Claim(self._folder.lock(trial_name(count)))
        if not claim.take():
            return True
        trial = self._study.add(self._spaces, self._planned)
        self._study.attempt(trial.number)
        return Work(trial_name(trial.number), trial.number, 0, trial.choice, claim)

    def _repeat(self, record: SearchRecord) -> Work | Literal["wait", "done"]:
        """The next training of the plan or a finalist with another seed."""
        busy = False
        for number, repeat in repeats_of(self._folder, self._study, record):
            name = repeat_name(number, repeat)
            if self._folder.end_of(name).is_file():
                continue
            claim = Claim(self._folder.lock(name))
            if not claim.take():
                busy = True
                continue
            if self._folder.training(name).exists() or self._is_paid_for(record):
                return Work(name, number, repeat, self._study.trials()[number].choice, claim)
            claim.release()
        return "wait" if busy else "done"

    def _is_paid_for(self, record: SearchRecord) -> bool:
        """Whether the budget has time for one more training, which takes as long as those before it at least."""
        needed_s = parse_duration_s(record.trial_budget) if record.trial_budget else 0.0
        before = [float(trial.facts["whole_s"]) for trial in self._study.trials() if "whole_s" in trial.facts]
        needed_s = max(needed_s, fmean(before)) if before else needed_s
        return self.left_s(record) > needed_s


def finalists_of(folder: SearchFolder, study: Study, record: SearchRecord) -> list[int]:
    """Numbers of the trials that scored best, the best first, and better than the plan; none without its score."""
    scores = {
        trial.number: case_scores(folder, trial_name(trial.number))
        for trial in study.trials()
        if trial.state == "complete"
    }
    if 0 not in scores:
        return []
    cases = common_cases(list(scores.values()))
    means = {number: mean_score(found, cases) for number, found in scores.items()}
    better = [number for number, mean in means.items() if mean > means[0]]
    return sorted(better, key=lambda number: (-means[number], number))[: record.finalists]


def repeats_of(folder: SearchFolder, study: Study, record: SearchRecord) -> Iterator[tuple[int, int]]:
    """Trial and seed of each training that tells the finalists' luck, seed by seed, the plan's first."""
    finalists = finalists_of(folder, study, record)
    for repeat in range(1, record.repeats + 1):
        for number in (0, *finalists) if finalists else ():
            yield number, repeat
