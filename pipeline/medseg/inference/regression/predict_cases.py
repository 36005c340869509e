"""Quantities for a folder or manifest of cases; a case that fails is recorded and does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.atomic import remove_leftovers
from medseg.cohort import Stages, pipeline_cases
from medseg.errors import ConfigError, PipelineError
from medseg.inference.case_record import FailureRecord, PassedOverRecord
from medseg.inference.device_name import device_name
from medseg.inference.folder_lock import locked_folder
from medseg.inference.inputs import (
    CaseInput,
    FoundInputs,
    check_channels,
    input_digest,
    read_input,
    warn_of_constant,
)
from medseg.inference.record import SOFTWARE
from medseg.inference.regression.predictor import ValueModel
from medseg.inference.regression.record import (
    ValueCase,
    ValueRecord,
    ValueSettings,
    load_value_record,
    save_value_record,
)
from medseg.inference.regression.value_files import discard_value_files, is_as_written, write_value_files
from medseg.inference.segmentation.case_stages import source_of, utc_now
from medseg.inference.source_record import SourceRecord
from medseg.records import Array, Failure, Scan


@dataclass(frozen=True, slots=True)
class PredictedCases:
    """What came of a prediction.

    Attributes:
        cases: Predicted cases in the order of the inputs, those that were kept among them.
        kept: Ids of the cases that an earlier prediction had finished.
        failures: Cases without values, with the reasons.
    """

    cases: tuple[ValueCase, ...]
    kept: tuple[str, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class _ReadCase:
    scan: Scan
    source: SourceRecord
    seconds: float


def check_value_folder(folder: Path, settings: ValueSettings | None = None) -> ValueRecord | None:
    """Refuse an output folder that is neither new nor empty nor of an earlier prediction that can be continued.

    Args:
        folder: Output folder.
        settings: What decides the values beside the scans; not compared if not given.

    Returns:
        The record of the earlier prediction; None if there is none.

    Raises:
        ConfigError: If it holds something else, or values of another model.
        DeliveryError: If its record is damaged, or of masks.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    record = load_value_record(folder) if folder.is_dir() else None
    if record is None:
        raise ConfigError(
            f"output folder {folder} must be new, empty or begun by medseg predict", remedy="choose another"
        )
    if settings is not None and record.settings != settings:
        raise ConfigError(
            f"output folder {folder} must be continued as it was begun, got another model",
            remedy="choose another folder, or give the model as before",
        )
    return record


def predict_values(
    model: ValueModel,
    found: FoundInputs,
    folder: Path,
    *,
    cards: str,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> PredictedCases:
    """Write `<quantity>/<case_id>.nii.gz` with a sidecar each, and `predictions.json`.

    The next scan is read and the last values are written while the network runs. What an earlier call with the same
    model has finished is kept where neither the input nor the files have changed.

    Args:
        model: Loaded model.
        found: Cases to predict.
        folder: Target folder, created if missing.
        cards: SHA-256 over the cards of the models.
        on_done: Called with the case id after each case, in this thread.

    Raises:
        ConfigError: If the folder holds something else, or values of another model.
        DeliveryError: If another process writes to the folder, or its record cannot be written.
    """
    weights = tuple(one.weights_digest or one.plan_digest for one in model.identities)
    settings = ValueSettings(weights=weights, cards=cards, quantities=model.target.quantities)
    check_value_folder(folder, settings)
    folder.mkdir(parents=True, exist_ok=True)
    with locked_folder(folder):
        earlier = check_value_folder(folder, settings)
        for place in (folder, *(folder / name for name in model.target.names)):
            if place.is_dir():
                remove_leftovers(place)
        work = _Work(model, found, folder, settings, {case.case_id: case for case in earlier.cases} if earlier else {})
        return work.run(on_done)


class _Work:
    """The cases of one call, and what came of them so far."""

    def __init__(
        self,
        model: ValueModel,
        found: FoundInputs,
        folder: Path,
        settings: ValueSettings,
        finished: dict[str, ValueCase],
    ) -> None:
        self.model, self.found, self.folder, self.settings = model, found, folder, settings
        self.finished = finished
        self.failures = list(found.failures)
        self.date = utc_now()
        self.device = device_name(model.device)

    def run(self, on_done: Callable[[str], None]) -> PredictedCases:
        """Keep what is finished, and predict the others; the record grows with every case."""
        kept = [case.case_id for case in self.found.cases if self._is_finished(case)]
        for case_id in kept:
            on_done(case_id)
        self._save()
        wanted = [case for case in self.found.cases if case.case_id not in kept]
        stages = Stages(name="predict", read=self._read, make=self._make, write=self._write)
        for outcome in pipeline_cases(wanted, stages):
            if isinstance(outcome.result, Failure):
                self.failures.append(outcome.result)
            else:
                self.finished[outcome.case_id] = outcome.result
            self._save()
            on_done(outcome.case_id)
        asked = [case.case_id for case in self.found.cases]
        cases = tuple(self.finished[case_id] for case_id in asked if case_id in self.finished)
        return PredictedCases(cases, tuple(kept), tuple(self.failures))

    def _is_finished(self, case: CaseInput) -> bool:
        """Whether a case was predicted from these bytes, and its files are as they were written."""
        record = self.finished.get(case.case_id)
        if record is None or set(record.quantities) != set(self.model.target.names):
            return False
        try:
            is_same = record.source.sha256 is not None and record.source.sha256 == input_digest(case)
        except (OSError, PipelineError):
            return False
        return is_same and all(is_as_written(self.folder, one) for one in record.quantities.values())

    def _read(self, case: CaseInput) -> _ReadCase:
        start = time.perf_counter()
        source = source_of(case)  # before the scan is read: if it changes in between, it is predicted again next time
        if source.sha256 is not None and (earlier := self.finished.pop(case.case_id, None)):
            discard_value_files(self.folder, earlier)
        scan = read_input(case, channels=self.model.channels)
        check_channels(scan, self.model.channels, case_id=case.case_id)
        warn_of_constant(scan, self.model.channels, case_id=case.case_id)
        return _ReadCase(scan, source, time.perf_counter() - start)

    def _make(self, case: CaseInput, read: _ReadCase) -> tuple[_ReadCase, Array]:
        start = time.perf_counter()
        values = self.model.values(read.scan)
        return replace(read, seconds=read.seconds + time.perf_counter() - start), values

    def _write(self, case: CaseInput, made: tuple[_ReadCase, Array]) -> ValueCase:
        read, values = made
        start = time.perf_counter()
        return write_value_files(
            values,
            read.scan,
            self.folder,
            case_id=case.case_id,
            model=self.model,
            source=read.source,
            device=self.device,
            seconds=lambda: round(read.seconds + time.perf_counter() - start, 3),
        )

    def _save(self) -> None:
        asked = [case.case_id for case in self.found.cases]
        others = sorted(set(self.finished) - set(asked))
        record = ValueRecord(
            software=SOFTWARE,
            date=self.date,
            device=self.device,
            quantities=self.model.target.quantities,
            cases=tuple(self.finished[case_id] for case_id in (*asked, *others) if case_id in self.finished),
            failures=tuple(FailureRecord(case_id=f.case_id, stage=f.stage, reason=f.reason) for f in self.failures),
            passed_over=tuple(PassedOverRecord(path=one.path, reason=one.reason) for one in self.found.passed_over),
            settings=self.settings,
            models=self.model.identities,
        )
        save_value_record(record, self.folder)
