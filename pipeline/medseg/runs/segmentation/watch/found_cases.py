"""The cases of arrivals, under ids that they keep whatever else arrives."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from medseg.errors import PipelineError, ScanError
from medseg.inference.inputs import CaseInput, InputChoice, find_inputs
from medseg.inference.inputs.case_ids import folded, free_id
from medseg.manifest.case_names import safe_name
from medseg.records import reason_of
from medseg.runs.segmentation.watch.arrivals import LOOSE, Arrival
from medseg.runs.segmentation.watch.state import KnownCase, WatchState

_NO_PART = "it is no scan, nor a part of one"


@dataclass(slots=True)
class ArrivedCases:
    """What was found in arrivals.

    Attributes:
        state: The state with all of it, in which every case counts as drawn unless it was refused.
        cases: Cases to predict, by their keys.
    """

    state: WatchState
    cases: dict[str, CaseInput] = field(default_factory=dict)


class Finder:
    """Finds the cases of arrivals that are complete.

    Args:
        inbox: Folder in which scans arrive.
        channels: Names of the channels that the network takes.
        out: Folder of the masks.
    """

    def __init__(self, inbox: Path, channels: Sequence[str], out: Path) -> None:
        self.inbox, self.channels, self.out = inbox, channels, out

    def find(self, arrivals: Sequence[Arrival], state: WatchState) -> ArrivedCases:
        """The cases of arrivals that are new or have changed.

        Args:
            arrivals: Arrivals.
            state: What is known so far.
        """
        found = ArrivedCases(state)
        for arrival in arrivals:
            self._add(arrival, found)
        return found

    def _add(self, arrival: Arrival, found: ArrivedCases) -> None:
        ids = _Ids(arrival, found.state)
        passed: tuple[tuple[str, str], ...] = ()
        try:
            inputs = find_inputs(arrival.paths, channels=self.channels, choice=InputChoice(out=self.out))
        except (PipelineError, OSError) as error:
            case_id = getattr(error, "case_id", None)
            if case_id is None and arrival.name == LOOSE:
                passed = tuple((path.name, _NO_PART) for path in arrival.paths)
            else:
                case_id = case_id or safe_name(arrival.name)
                ids.take(self._key(arrival.paths), case_id, reason=reason_of(error, case_id=case_id))
        else:
            for case in inputs.cases:
                key = _series_key(case) if case.series else self._key(case.files)
                found.cases[key] = replace(case, case_id=ids.take(key, case.case_id))
            for one in inputs.refused:
                key = self._key(one.files) if one.files else _digest([arrival.name, one.case_id])
                ids.take(key, one.case_id, reason=reason_of(one.error, case_id=one.case_id))
            passed = tuple((one.path, one.reason) for one in inputs.passed_over)
        found.state = WatchState(
            arrivals=found.state.arrivals | {arrival.name: arrival.stamp},
            cases=ids.cases,
            passed_over=found.state.passed_over | {arrival.name: passed},
        )

    def _key(self, files: Sequence[Path]) -> str:
        """What a case of files is, wherever the inbox lies."""
        return _digest([str(path.relative_to(self.inbox)) for path in files])


class _Ids:
    """Ids of the cases of one arrival: those that they have already, and new ones that no other case has.

    Args:
        arrival: Arrival whose cases are found.
        state: What is known so far; failures of the arrival are found again or forgotten.
    """

    def __init__(self, arrival: Arrival, state: WatchState) -> None:
        self._arrival, self._earlier = arrival, state.cases
        self.cases = {key: one for key, one in state.cases.items() if one.arrival != arrival.name or not one.reason}

    def take(self, key: str, case_id: str, *, reason: str = "") -> str:
        """The id of a case, which is known from now on."""
        same = self._key_before(key, case_id)
        if same is None:
            name = self._free(case_id)
        else:
            name = self._earlier[same].case_id
            self.cases.pop(same, None)
        self.cases[key] = KnownCase(case_id=name, arrival=self._arrival.name, reason=reason)
        return name

    def _key_before(self, key: str, case_id: str) -> str | None:
        """Key that the case had before: its own, or that of a case of the arrival which was found by the same name."""
        if key in self._earlier:
            return key
        alike = (
            other
            for other, one in self._earlier.items()
            if one.arrival == self._arrival.name and one.case_id == case_id
        )
        return next(alike, None)

    def _free(self, case_id: str) -> str:
        taken = {folded(one.case_id) for one in self.cases.values()}
        is_longer = folded(case_id) in taken and self._arrival.name != LOOSE
        return free_id(f"{safe_name(self._arrival.name)}_{case_id}" if is_longer else case_id, taken)


def failure_of(case: KnownCase) -> ScanError:
    """The error of a case without a mask."""
    return ScanError(case.reason, case_id=case.case_id)


def _series_key(case: CaseInput) -> str:
    """What a case of DICOM is, wherever its files lie."""
    return _digest([f"{one.series_uid} {one.key}" for one in case.series])


def _digest(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()
