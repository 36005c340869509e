"""The cases of arrivals, under ids that they keep whatever else arrives."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from medseg.cohort import CASE_ERRORS
from medseg.errors import ScanError
from medseg.inference.inputs import CaseInput, FoundInputs, InputChoice, find_inputs, input_digest
from medseg.inference.inputs.case_ids import folded, free_id
from medseg.inference.inputs.given_files import holds_dicom, list_given
from medseg.inference.sidecar import load_sidecar, sidecar_path
from medseg.manifest.case_names import safe_name
from medseg.records import reason_of
from medseg.runs.segmentation.watch.arrivals import LOOSE, Arrival
from medseg.runs.segmentation.watch.state import KnownCase, WatchState
from medseg.text import printable

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
        choice: Choices among the inputs, the folder of the masks among them.
    """

    def __init__(self, inbox: Path, channels: Sequence[str], choice: InputChoice) -> None:
        self.inbox, self.channels, self.choice = inbox, channels, choice

    def find(self, arrivals: Sequence[Arrival], state: WatchState, *, stop: Event) -> ArrivedCases:
        """The cases of arrivals that are new or have changed.

        Args:
            arrivals: Arrivals.
            state: What is known so far.
            stop: Ends the search before the next arrival once it is set.
        """
        found = ArrivedCases(state)
        for arrival in arrivals:
            if stop.is_set():
                break
            self._add(arrival, found)
        return found

    def _add(self, arrival: Arrival, found: ArrivedCases) -> None:
        ids = _Ids(arrival, found.state)
        passed: list[tuple[str, str]] = [(arrival.name, arrival.no_case)] if arrival.no_case else []
        try:
            inputs = self._inputs(arrival) if arrival.paths else FoundInputs(())
        except (*CASE_ERRORS, ValueError) as error:
            case_id = getattr(error, "case_id", None)
            if case_id is None and arrival.name == LOOSE:
                passed = [(printable(path.name), _NO_PART) for path in arrival.paths]
            else:
                case_id = case_id or safe_name(arrival.name)
                ids.take(self._key(arrival.paths), case_id, reason=reason_of(error, case_id=case_id))
        else:
            passed += self._add_cases(inputs, arrival, found, ids)
        found.state = found.state.model_copy(
            update={
                "arrivals": found.state.arrivals | {arrival.name: arrival.stamp},
                "cases": ids.cases,
                "passed_over": found.state.passed_over | {arrival.name: tuple(passed)},
            }
        )

    def _inputs(self, arrival: Arrival) -> FoundInputs:
        choice = self.choice
        if choice.series and not holds_dicom(list_given(arrival.paths, without=choice.out).listed.files):
            choice = replace(choice, series=())  # which is one among the series of studies
        return find_inputs(arrival.paths, channels=self.channels, choice=choice)

    def _add_cases(
        self, inputs: FoundInputs, arrival: Arrival, found: ArrivedCases, ids: _Ids
    ) -> list[tuple[str, str]]:
        """Add what was found in an arrival; what is no case is given back with the reasons."""
        passed = [(printable(one.path), one.reason) for one in inputs.passed_over]
        for case in inputs.cases:
            key = _series_key(case) if case.series else self._key(case.files)
            other = found.state.cases.get(key)
            if other and other.arrival != arrival.name and other.arrival in found.state.arrivals:
                if self._is_same(case, other, found.cases.get(key)):
                    passed.append((arrival.name, f"it holds a series that has arrived as {other.arrival}, too"))
                    continue
                key = _digest([key, arrival.name])
            found.cases[key] = replace(case, case_id=ids.take(key, case.case_id))
        for one in inputs.refused:
            key = self._key(one.files) if one.files else _digest([arrival.name, one.case_id])
            ids.take(key, one.case_id, reason=reason_of(one.error, case_id=one.case_id))
        return passed

    def _is_same(self, case: CaseInput, other: KnownCase, found: CaseInput | None) -> bool:
        """Whether the files of a series are those of the same series that arrived elsewhere."""
        with suppress(OSError):
            if found is not None:
                return input_digest(case) == input_digest(found)
            sidecar = load_sidecar(sidecar_path(self.choice.out or self.inbox, other.case_id))
            return sidecar is not None and sidecar.source is not None and sidecar.source.sha256 == input_digest(case)
        return False

    def _key(self, files: Sequence[Path]) -> str:
        """What a case of files is, wherever the inbox lies."""
        return _digest([os.path.relpath(path, self.inbox) for path in files])


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
