"""Masks for a folder or manifest of cases; a case that fails is recorded and does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from medseg.cohort import TWO_THREADS, CaseOutcome, Stages, iterate_cases, pipeline_cases, run_cases
from medseg.inference.case_record import FailureRecord, PassedOverRecord
from medseg.inference.device_name import device_name
from medseg.inference.growing_record import GrowingRecord
from medseg.inference.inputs import CaseInput, FoundInputs, input_digest
from medseg.inference.mask_folder import MaskFolder
from medseg.inference.mask_settings import Choice, MaskSettings
from medseg.inference.record import RECORD_NAME, SOFTWARE, CaseRecord, PredictionRecord
from medseg.inference.reviewer import Reviewer
from medseg.inference.segmentation.case_stages import CaseStages, utc_now
from medseg.inference.segmentation.mask_model import MaskModel
from medseg.inference.segmentation.mask_work import DrawnElsewhere, Elsewhere, MaskWork, SentCase
from medseg.inference.segmentation.quality import unchecked_of
from medseg.inference.sidecar import sidecar_path
from medseg.records import Failure, Prediction
from medseg.targets import regions_of


def predict_cases(
    model: MaskModel,
    inputs: FoundInputs | Sequence[CaseInput],
    folder: Path,
    *,
    reviewer: Reviewer | None = None,
    choices: Mapping[str, Choice] | None = None,
    on_done: Callable[[str], None] = lambda case_id: None,
    has_page: bool = False,
    elsewhere: Elsewhere | None = None,
) -> tuple[list[Prediction], list[Failure]]:
    """Write masks, a sidecar `<case_id>.json` for each, and `predictions.json`.

    The next scan is read and the last mask written while the network runs. What an earlier call with the same model and
    choices has finished in the folder is kept where the input has not changed; so is a mask that a person changed.

    Args:
        model: Loaded model.
        inputs: Cases to predict.
        folder: Target folder, created if missing.
        reviewer: Slice classifier that chooses the slices to segment and checks the masks; none if not given.
        choices: Everything else that decides the masks, such as the weights of the reviewer.
        on_done: Called with the case id after each case, in this thread.
        has_page: Whether `index.html` with a picture of each case is written, too.
        elsewhere: Where the masks are drawn, such as on a cluster; in this process if not given. The record and the
            page are written here in any case.

    Returns:
        Delivered and kept masks, and failures, in the order of the cases; a record that cannot be written is the first
        failure.

    Raises:
        ConfigError: If the folder holds something else, or masks of another model or choice.
        DeliveryError: If another process writes to the folder.
    """
    found = inputs if isinstance(inputs, FoundInputs) else FoundInputs(tuple(inputs))
    settings = MaskSettings.of(model.identities, model.labels, choices or {})
    with MaskFolder.opened(folder, settings) as place:
        cohort = _Cohort(model, found, place, has_page=has_page)
        return cohort.predict(cohort.here(reviewer) if elsewhere is None else cohort.there(elsewhere), on_done)


_Draw = Callable[[Sequence[CaseInput], GrowingRecord], Generator[CaseOutcome[Prediction], None, None]]


class _Cohort:
    """The cases of one call, and what came of them so far."""

    def __init__(self, model: MaskModel, found: FoundInputs, folder: MaskFolder, *, has_page: bool) -> None:
        self.model, self.found, self.folder, self.has_page = model, found, folder, has_page
        self.predictions: dict[str, Prediction] = {}
        self.failures = list(found.failures)
        self.devices: set[str] = set()
        self.date = utc_now()

    def predict(self, draw: _Draw, on_done: Callable[[str], None]) -> tuple[list[Prediction], list[Failure]]:
        """Keep what is finished, and draw the other masks."""
        record = GrowingRecord(self.folder.path, self.content, has_page=self.has_page)
        with record:
            self._keep_finished(on_done)
            cases = [case for case in self.found.cases if case.case_id not in self.predictions]
            with closing(draw(cases, record)) as ended:
                for outcome in ended:
                    if isinstance(outcome.result, Failure):
                        self._add_failure(outcome.result)
                        record.grow()
                    else:
                        self.predictions[outcome.case_id] = outcome.result
                    on_done(outcome.case_id)
        if record.error is not None:
            self.failures.insert(0, Failure.of(RECORD_NAME, "write", record.error))
        asked = [case.case_id for case in self.found.cases]
        return [self.predictions[case_id] for case_id in asked if case_id in self.predictions], self.failures

    def here(self, reviewer: Reviewer | None) -> _Draw:
        """Draw in this process, while the next scan is read and the last mask written."""

        def draw(cases: Sequence[CaseInput], record: GrowingRecord) -> Generator[CaseOutcome[Prediction], None, None]:
            work = CaseStages(
                self.model, self.folder, reviewer=reviewer, on_written=record.grow, has_pictures=self.has_page
            )
            stages = Stages(name="predict", read=work.read, make=work.draw, write=work.write)
            self.devices.add(device_name(self.model.device))
            yield from pipeline_cases(cases, stages)

        return draw

    def there(self, elsewhere: Elsewhere) -> _Draw:
        """Draw in other processes, in any order; what those that died have left half-written is removed in the end."""

        def draw(cases: Sequence[CaseInput], record: GrowingRecord) -> Generator[CaseOutcome[Prediction], None, None]:
            work = MaskWork(elsewhere.load, self.folder.path, self.folder.settings, has_pictures=self.has_page)
            sent = [SentCase(case, self.folder.finished.get(case.case_id)) for case in cases]
            try:
                with closing(iterate_cases(sent, work, stage="predict", executor=elsewhere.executor)) as ended:
                    for outcome in ended:
                        taken_over = self._taken_over(outcome)
                        record.grow()
                        yield CaseOutcome(outcome.place, outcome.case_id, taken_over)
            finally:
                self.folder.remove_leftovers()

        return draw

    def _taken_over(self, outcome: CaseOutcome[DrawnElsewhere]) -> Prediction | Failure:
        """Note what another process has written."""
        drawn = outcome.result
        if isinstance(drawn, Failure):
            if not sidecar_path(self.folder.path, outcome.case_id).is_file():
                self.folder.finished.pop(outcome.case_id, None)
            return drawn
        self.folder.finished[outcome.case_id] = drawn.record
        self.devices.add(drawn.device)
        return drawn.prediction

    def content(self) -> PredictionRecord:
        """The record as it is now."""
        return PredictionRecord(
            software=SOFTWARE,
            date=self.date,
            device=" and ".join(sorted(self.devices)) or device_name(self.model.device),
            cases=self.folder.records([case.case_id for case in self.found.cases]),
            failures=tuple(FailureRecord(case_id=f.case_id, stage=f.stage, reason=f.reason) for f in self.failures),
            passed_over=tuple(PassedOverRecord(path=one.path, reason=one.reason) for one in self.found.passed_over),
            labels=self.model.labels,
            regions=regions_of(self.model.target),
            settings=self.folder.settings,
            models=self.model.identities,
            unchecked=unchecked_of(self.model.member_statistics),
        )

    def _add_failure(self, failure: Failure) -> None:
        """Add a failure; they are in the order of the cases, after those of the search."""
        order = {case.case_id: place for place, case in enumerate(self.found.cases)}
        known = len(self.found.failures)
        later = sorted([*self.failures[known:], failure], key=lambda one: order[one.case_id])
        self.failures = [*self.failures[:known], *later]

    def _keep_finished(self, on_done: Callable[[str], None]) -> None:
        """Take over finished cases; one whose input cannot be read now fails later, and its mask stays."""
        candidates = [case for case in self.found.cases if case.case_id in self.folder.finished]
        checked = run_cases(candidates, self._is_finished, stage="check", executor=TWO_THREADS)
        for case_id, is_finished in checked.by_id().items():
            if is_finished:
                self.predictions[case_id] = _kept(self.folder.finished[case_id], self.folder.path)
                on_done(case_id)

    def _is_finished(self, case: CaseInput) -> bool:
        return self.folder.holds(case.case_id, input_digest(case))


def _kept(record: CaseRecord, folder: Path) -> Prediction:
    return Prediction(
        case_id=record.case_id,
        mask_path=folder / record.mask,
        seconds=record.seconds,
        peak_memory_bytes=record.peak_memory_bytes,
        volume_ml=record.volume_ml,
        in_training=record.in_training,
        is_kept=True,
        is_edited=record.is_edited,
    )
