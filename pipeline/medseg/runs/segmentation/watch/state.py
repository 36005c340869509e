"""What a watcher knows of its inbox, so that nothing is drawn twice and no failure is forgotten."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pydantic import Field

from medseg.atomic import write_json
from medseg.configuration import Config, parse_config
from medseg.errors import ConfigError
from medseg.inference.inputs import CaseInput
from medseg.records import Failure

FOLDER_NAME = ".watch"
_FILE_NAME = "state.json"


class KnownCase(Config):
    """A case that was found in an arrival.

    Attributes:
        case_id: Its id among the masks, which it keeps.
        arrival: Name of the arrival.
        reason: Reason why there is no mask; "" if there is one.
    """

    case_id: str
    arrival: str
    reason: str = ""


class WatchState(Config):
    """What a watcher knows of its inbox.

    Attributes:
        arrivals: Checksum of each arrival as it was when it was taken, by its name.
        cases: Cases by their keys.
        passed_over: Files of each arrival that are no case, with the reasons, by its name.
    """

    arrivals: dict[str, str] = Field(default_factory=dict)
    cases: dict[str, KnownCase] = Field(default_factory=dict)
    passed_over: dict[str, tuple[tuple[str, str], ...]] = Field(default_factory=dict)

    @property
    def failed(self) -> dict[str, KnownCase]:
        """Cases without a mask."""
        return {key: case for key, case in self.cases.items() if case.reason}


def load_state(folder: Path) -> WatchState:
    """Read a state; a new one where there is none, or a damaged one: masks that are finished are known by their own."""
    path = folder / FOLDER_NAME / _FILE_NAME
    try:
        return parse_config(WatchState, json.loads(path.read_text(encoding="utf-8")), source=path.name)
    except (OSError, ValueError, ConfigError):
        return WatchState()


def with_failures(state: WatchState, cases: Mapping[str, CaseInput], failures: Sequence[Failure]) -> WatchState:
    """The state after a prediction.

    Args:
        state: State in which every case counts as drawn.
        cases: Cases of the prediction by their keys.
        failures: Those that failed, perhaps among others.
    """
    reasons = {one.case_id: one.reason.removeprefix(f"case {one.case_id}: ") for one in failures}
    failed = {
        key: state.cases[key].model_copy(update={"reason": reasons[case.case_id]})
        for key, case in cases.items()
        if case.case_id in reasons
    }
    return state.model_copy(update={"cases": state.cases | failed})


def without_arrivals(state: WatchState, names: Collection[str]) -> WatchState:
    """The state without arrivals that were taken away, whose masks stay and whose failures are of no interest."""
    return WatchState(
        arrivals={name: stamp for name, stamp in state.arrivals.items() if name not in names},
        cases={key: one for key, one in state.cases.items() if not one.reason or one.arrival not in names},
        passed_over={name: listed for name, listed in state.passed_over.items() if name not in names},
    )


def save_state(state: WatchState, folder: Path) -> None:
    """Write a state, whole or not at all."""
    write_json(folder / FOLDER_NAME / _FILE_NAME, state.model_dump(mode="json"))
