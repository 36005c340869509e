"""The trials of a search as Optuna keeps them; the only importer of Optuna, and only when a search runs."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from medseg.errors import ConfigError, TrackingError
from medseg.runs.search.journal import JOURNAL_NAME, journal_storage
from medseg.runs.search.space import Span, is_logarithmic
from medseg.tracking import without_password

if TYPE_CHECKING:
    import optuna

_log = logging.getLogger(__name__)
_WAIT_S = 300.0  # for a database that is silent
_STARTUP = 4  # whole trials before one is stopped by its curve
_FEWEST = 3  # trials with a validation at the same share, below whose median one is stopped
_WARMUP = 0.3  # of the validations, before a trial is stopped by its curve
_REASON, _FACTS, _ATTEMPTS = "reason", "facts", "attempts"

State = Literal["running", "complete", "pruned", "failed"]
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial as the store has it.

    Attributes:
        number: Its number, from 0, which is the plan as it is.
        state: How far it is.
        choice: Its values by the names of the space.
        score: Score of a complete trial; of a pruned one the last that it reached; NaN without one.
        curve: Score of each validation on the way, by its number.
        reason: Why it failed or was pruned.
        facts: Seconds, steps and MLflow run of a training that has ended.
    """

    number: int
    state: State
    choice: Mapping[str, Any]
    score: float
    curve: Mapping[int, float]
    reason: str
    facts: Mapping[str, Any]


class Study:
    """Trials that several processes share.

    Each suggestion is drawn with a seed of its own, made of that of the search and the trial's number, so that workers
    do not draw the same values. A trial is stopped when the best score of its curve so far is below the median of the
    others at the same share of their budget (`MedianPruner`): searches of a few dozen short trainings have too few for
    the brackets of Hyperband, and Wilcoxon's test is for scores of single cases, not for a curve that rises.

    Args:
        storage: Database; a journal file in the folder if not given.
        folder: Folder of the search.
        name: Name of the study in the store.
        seed: Seed of the suggestions.
        validations: Number of validations of a training.

    Raises:
        ConfigError: If Optuna is not installed.
        TrackingError: If the store cannot be used.
    """

    def __init__(self, storage: str | None, folder: Path, *, name: str, seed: int, validations: int) -> None:
        self._optuna = _optuna()
        self._uri = storage
        self._seed = seed
        warmup = round(_WARMUP * validations)
        pruner = self._optuna.pruners.MedianPruner(
            n_startup_trials=_STARTUP, n_warmup_steps=warmup, n_min_trials=_FEWEST
        )
        self._storage = self._once(lambda: _storage(self._optuna, storage, folder))
        self._study = self._once(
            lambda: self._optuna.create_study(
                storage=self._storage,
                study_name=name,
                direction="maximize",
                pruner=pruner,
                load_if_exists=True,
            )
        )

    def close(self) -> None:
        """Let go of the database."""
        _close(self._storage)

    def trials(self) -> list[Trial]:
        """Every trial, by its number."""
        return self._patiently(self._trials)

    def _trials(self) -> list[Trial]:
        return [_trial_of(found) for found in self._study.get_trials(deepcopy=False)]

    def add(self, spaces: Mapping[str, Span | tuple[Any, ...]], planned: Mapping[str, Any]) -> Trial:
        """Begin one more trial; the caller sees to it that no other process does so at the same time.

        Args:
            spaces: Ranges and lists to draw from.
            planned: Values of the plan, which the first trial has.
        """
        optuna, count = self._optuna, len(self.trials())
        self._study.sampler = optuna.samplers.TPESampler(seed=self._seed + count, n_startup_trials=_STARTUP)
        if count == 0:
            first = optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=dict(planned),
                distributions={name: _distribution(optuna, name, spaces[name]) for name in planned},
            )
            self._patiently(lambda: self._study.add_trial(first))
            return self._of(0)
        self._patiently(self._study.ask)
        self.suggest(count, spaces)
        return self._of(count)

    def suggest(self, number: int, spaces: Mapping[str, Span | tuple[Any, ...]]) -> Mapping[str, Any]:
        """The values of a trial; those are drawn to which its worker did not come."""
        if number > 0:
            trial = self._patiently(lambda: self._begun(number))
            for name, space in spaces.items():
                self._patiently(partial(_draw, trial, name, space))
        return self._of(number).choice

    def attempt(self, number: int) -> int:
        """Count one more start of a trial, and say how many there were."""
        return self._patiently(lambda: self._count(number, 1))

    def stopped(self, number: int) -> None:
        """Take back a start that a person or a scheduler has ended; a store that is silent is not waited for."""
        with suppress(TrackingError):
            self._once(lambda: self._count(number, -1))

    def _count(self, number: int, more: int) -> int:
        trial = self._begun(number)
        attempts = int(trial.user_attrs.get(_ATTEMPTS, 0)) + more
        trial.set_user_attr(_ATTEMPTS, attempts)
        return attempts

    def report(self, number: int, score: float, step: int) -> str | None:
        """Take note of a validation on the way.

        Args:
            number: Number of the trial.
            score: Score of the validation.
            step: Number of the validation among those of the plan.

        Returns:
            Why the trial is to be stopped; None if it goes on. A store that is silent lets it go on.
        """
        try:
            return self._once(lambda: self._report(number, score, step))
        except TrackingError as error:
            _log.warning("%s; trial %d goes on", error.fact, number)
            return None

    def _report(self, number: int, score: float, step: int) -> str | None:
        trial = self._begun(number)
        known = self._trials()[number].curve
        if step not in known:
            trial.report(score, step)
        if number == 0 or not trial.should_prune():
            return None
        best = max([score, *known.values()])
        return f"at validation {step} its best score {best:.4f} was below the median of the earlier trials there"

    def end(self, number: int, state: State, *, score: float, reason: str = "", **facts: Any) -> None:
        """Take note of a trial that has ended."""
        trial = self._patiently(lambda: self._begun(number))
        kind = self._optuna.trial.TrialState
        kinds = {"complete": kind.COMPLETE, "pruned": kind.PRUNED, "failed": kind.FAIL}
        self._patiently(lambda: trial.set_user_attr(_REASON, reason))
        self._patiently(lambda: trial.set_user_attr(_FACTS, facts))
        values = score if state == "complete" else None
        self._patiently(lambda: self._study.tell(number, values, state=kinds[state], skip_if_finished=True))

    def _of(self, number: int) -> Trial:
        return self.trials()[number]

    def _begun(self, number: int) -> optuna.Trial:
        """A trial that is running, in this process or in one that was killed."""
        frozen = self._study.get_trials(deepcopy=False)[number]
        trial: optuna.Trial = self._optuna.trial.Trial(self._study, frozen._trial_id)
        return trial

    def _patiently(self, call: Callable[[], Answer]) -> Answer:
        """Ask a store, for some minutes if it is silent."""
        end, pause_s = time.monotonic() + _WAIT_S, 1.0
        while True:
            try:
                return self._once(call)
            except TrackingError as error:
                if time.monotonic() > end:
                    raise
                _log.warning("%s; asking again", error.fact)
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, 30.0)

    def _once(self, call: Callable[[], Answer]) -> Answer:
        """Ask the store once.

        Raises:
            TrackingError: If it cannot be used.
        """
        return _asked(call, self._uri)


def check_storage(storage: str | None, folder: Path) -> None:
    """Refuse a store that cannot be used before any work.

    Args:
        storage: Database; a journal file in the folder if not given.
        folder: Folder of the search.

    Raises:
        ConfigError: If Optuna is not installed.
        TrackingError: If the store cannot be used.
    """
    optuna = _optuna()
    opened = _asked(lambda: _storage(optuna, storage, folder), storage)
    _close(opened)


def _asked(call: Callable[[], Answer], storage: str | None) -> Answer:
    """Ask a store once.

    Raises:
        TrackingError: If it cannot be used.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    name = without_password(storage) if storage else JOURNAL_NAME
    try:
        return call()
    except json.JSONDecodeError as error:
        raise TrackingError(
            f"search storage {name}: must be readable, got: {error}", remedy="start a new search in another folder"
        ) from error
    except (StorageInternalError, SQLAlchemyError, ImportError, OSError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
        lines = str(cause).splitlines() or [type(cause).__name__]
        raise TrackingError(
            f"search storage {name}: must be reachable, got: {without_password(lines[0])}",
            remedy="check the address of the storage" if storage else "check that the folder can be written",
        ) from None  # a traceback of the driver may show the password


def _close(storage: Any) -> None:
    if hasattr(storage, "engine"):
        storage.remove_session()
        storage.engine.dispose()


def _optuna() -> Any:
    """The package, which says nothing by itself.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(
            f"search: needs the package optuna, got: {error}", remedy="install medseg with its extra search"
        ) from error
    optuna.logging.disable_default_handler()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _storage(optuna: Any, storage: str | None, folder: Path) -> Any:
    """The journal in the folder, or a database."""
    if storage is None:
        return journal_storage(folder)
    return optuna.storages.RDBStorage(storage, engine_kwargs={"pool_pre_ping": True})


def _distribution(optuna: Any, name: str, space: Span | tuple[Any, ...]) -> Any:
    if isinstance(space, Span):
        return optuna.distributions.FloatDistribution(space.low, space.high, log=is_logarithmic(name))
    return optuna.distributions.CategoricalDistribution(list(space))


def _draw(trial: optuna.Trial, name: str, space: Span | tuple[Any, ...]) -> object:
    """A value; the one that was drawn already if there is one."""
    if isinstance(space, Span):
        return trial.suggest_float(name, space.low, space.high, log=is_logarithmic(name))
    return trial.suggest_categorical(name, list(space))


def _trial_of(found: optuna.trial.FrozenTrial) -> Trial:
    states: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    curve = dict(found.intermediate_values)
    last = curve[max(curve)] if curve else float("nan")
    return Trial(
        number=found.number,
        state=states.get(found.state.name, "running"),
        choice=dict(found.params),
        score=found.value if found.state.name == "COMPLETE" and found.value is not None else last,
        curve=curve,
        reason=str(found.user_attrs.get(_REASON, "")),
        facts=dict(found.user_attrs.get(_FACTS, {})),
    )
