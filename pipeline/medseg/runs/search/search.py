"""A search from its plan to its answer, by one of the workers that share it."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.atomic import check_writable
from medseg.errors import ConfigError, TrainingError
from medseg.manifest import manifest_digest
from medseg.planning import Plan, load_plan, plan_digest, save_plan
from medseg.runs.describe import length_text
from medseg.runs.machine import torch_device
from medseg.runs.progress import Named, Progress, Silence
from medseg.runs.run_folder import RunFolder, check_empty, spool_of
from medseg.runs.search.clock import SearchClock
from medseg.runs.search.desk import Desk, Work
from medseg.runs.search.journal import JOURNAL_NAME
from medseg.runs.search.locks import Claim, locked
from medseg.runs.search.record import SearchFolder, SearchRecord, trial_name
from medseg.runs.search.results import Findings, find, write_results
from medseg.runs.search.settings import SearchSettings
from medseg.runs.search.study import Study, check_storage
from medseg.runs.search.trial import Trainer, new_plan
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.tracking import log_cases, recorded, resume_tracking, start_tracking, unsent
from medseg.runs.training_cases import TrainingCases, load_training_cases
from medseg.tracking import MissingRunError, TrackedRun, without_password
from medseg.training.segmentation import SegmentationParts

_PAUSE_S = 1.0  # between two looks at whether another worker has ended
_BEFORE = {
    "locks",
    "plan.yaml",
    "clock.json",
    JOURNAL_NAME,
    "begun.json",
}  # in a folder whose first worker was killed at once


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A search that is over.

    Attributes:
        folder: Folder of the search.
        findings: Every trial, the best against the plan, and which plan to take.
        best: File of that plan.
        seconds: Seconds of the budget that all workers together have used.
        warnings: Sentences for the person who started it.
        run_id: MLflow run above those of the trials; None without tracking.
    """

    folder: Path
    findings: Findings
    best: Path
    seconds: float
    warnings: tuple[str, ...]
    run_id: str | None

    def __str__(self) -> str:
        """A line per trial, and the verdict, for a terminal."""
        found, lines = self.findings, list[str]()
        for trial in found.trials:
            score = found.scores.get(trial.number, trial.score)
            shown = f"{score:.4f}" if score == score else "-"
            lines.append(f"{trial_name(trial.number)} {trial.state:<8} {shown:>6} {trial.reason}".rstrip())
        return "\n".join([*lines, found.verdict])


def search_plan(
    dataset: Path,
    settings: SearchSettings,
    *,
    parts: SegmentationParts | None = None,
    progress: Progress | None = None,
) -> SearchResult:
    """Begin a search, or join one, and train until it is over.

    The first trial is the plan as it is. Every trial is a whole training of its own in a folder `trial_<n>`, on the
    same cases, with the plan's seed. A trial whose worker was killed is taken up by another one, in its folder and with
    its values. The best trials are trained again with other seeds, as the plan is, and the answer is the plan unless
    one of them is better beyond chance.

    Args:
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices; a worker that joins gives those that the search began with.
        parts: The user's own parts of the trainings.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the dataset or a setting is wrong, the folder holds something else, the store of the trials
            cannot be used, or no trial could be trained.
    """
    progress, parts = progress or Silence(), parts or SegmentationParts()
    torch_device(settings.device)  # a device that is not there is refused before any work
    cases = load_training_cases(dataset, fold=settings.fold, data_root=settings.data_root)
    SegmentationJob(parts).check(cases.manifest)
    folder = SearchFolder(settings.out)
    if not folder.lock("search").is_file():
        check_empty(folder.path)
    check_writable(settings.store, option="store")
    clock = SearchClock(folder.path)
    with locked(folder.lock("search")):
        clock.used_s()
        check_storage(settings.storage, folder.path)
        plan = _begun(folder, cases, settings, parts, progress)
        record, parent = _record(folder, plan, cases, settings)
        settings = replace(settings, trial_budget=record.trial_budget, trial_epochs=record.trial_epochs)
        study = Study(
            settings.storage,
            folder.path,
            name=record.study,
            seed=record.seed,
            validations=plan.training.validations,
        )
    is_2d = plan.network.spatial_dims == 2
    spaces, planned = record.space.searched(is_2d=is_2d), record.space.planned(plan)
    desk = Desk(folder, study, clock, spaces=spaces, planned=planned)
    trainer = Trainer(
        dataset=dataset,
        cases=cases,
        settings=settings,
        record=record,
        folder=folder,
        study=study,
        parts=parts,
        parent=record.mlflow_run_id,
    )
    worker = _Worker(folder, study, clock, desk, trainer, cases, parent, progress)
    keeper = Claim(folder.lock("mlflow"))  # one worker keeps what a silent store does not take
    with recorded(parent), clock.running():
        if parent is not None:
            if keeper.take():
                parent.begin(spool_of(folder.path))
            _describe(parent, record, cases)
        found = worker.work()
    keeper.release()
    study.close()
    return SearchResult(
        folder=folder.path,
        findings=found,
        best=folder.best,
        seconds=clock.used_s(),
        warnings=(*_warnings(found, folder.load_record(), cases), *unsent(parent, folder.path)),
        run_id=parent.run_id if parent else None,
    )


@dataclass(slots=True)
class _Worker:
    """One of the workers of a search."""

    folder: SearchFolder
    study: Study
    clock: SearchClock
    desk: Desk
    trainer: Trainer
    cases: TrainingCases
    parent: TrackedRun | None
    progress: Progress

    def work(self) -> Findings:
        """Train until nothing is left.

        Raises:
            TrainingError: If no trial could be trained.
        """
        while (work := self.desk.next()) != "done":
            if isinstance(work, Work):
                try:
                    self.trainer.run(work, Named(self.progress, self._title(work)))
                    self._conclude(is_over=False)
                finally:
                    work.claim.release()
            else:
                time.sleep(_PAUSE_S)
        found = self._conclude(is_over=True)
        if not found.scores:
            ended = [trial.reason for trial in found.trials if trial.reason]
            raise TrainingError(
                f"search {self.folder.path}: no trial could be trained to its end, got: "
                f"{ended[0] if ended else 'no time for one'}",
                remedy="give the trials more time, or train the plan alone to see what is wrong with it",
            )
        return found

    def _conclude(self, *, is_over: bool) -> Findings:
        """Write what has been found so far, and log it."""
        with locked(self.folder.lock("search")):
            record = self.folder.load_record()
            was_over = _is_over(self.folder)
            found = find(self.folder, self.study, record, manifest=self.cases.manifest)
            used_s = self.clock.used_s()
            write_results(self.folder, found, record, dataset=self.cases.manifest.name, used_s=used_s, is_over=is_over)
            if self.parent is not None and not (was_over and is_over):  # else another worker has logged it
                _log(self.parent, found, self.folder, is_over=is_over)
        return found

    def _title(self, work: Work) -> str:
        """What is trained, how many trials are done, the best so far, and the time that is left."""
        record, trials = self.folder.load_record(), self.study.trials()
        done = sum(trial.state != "running" for trial in trials)
        scores = [trial.score for trial in trials if trial.state == "complete"]
        left_s = self.desk.left_s(record)
        parts = [
            f"{done} of {record.trials} done" if record.trials else f"{done} done",
            *([f"best {max(scores):.4f}"] if scores else []),
            *([f"{max(0.0, left_s) / 60:.0f} min left"] if left_s < float("inf") else []),
        ]
        return f"{work.name} ({', '.join(parts)})"


def _begun(
    folder: SearchFolder, cases: TrainingCases, settings: SearchSettings, parts: SegmentationParts, progress: Progress
) -> Plan:
    """The plan of the search; the first worker makes it."""
    if folder.record.is_file():
        return load_plan(folder.plan)
    held = sorted(path.name for path in folder.path.iterdir() if path.name not in _BEFORE)
    if held:
        raise ConfigError(f"output folder {folder.path} must be new or empty, got {held[0]}", remedy="choose another")
    plan = new_plan(cases, settings, parts, changes=settings.changes, path=settings.plan, progress=progress)
    save_plan(plan, folder.plan)
    return plan


def _record(
    folder: SearchFolder, plan: Plan, cases: TrainingCases, settings: SearchSettings
) -> tuple[SearchRecord, TrackedRun | None]:
    """What the search was begun with, and its MLflow run; the first worker makes them."""
    digest = manifest_digest(cases.manifest)
    asked = SearchRecord(
        study=f"{cases.manifest.name}-{uuid.uuid4().hex[:8]}",
        storage=without_password(settings.storage) if settings.storage else None,
        manifest_digest=digest,
        plan_digest=plan_digest(plan),
        fold=settings.fold,
        trials=settings.most_trials,
        budget=settings.budget,
        trial_budget=settings.trial_length,
        trial_epochs=settings.trial_epochs,
        space=settings.space,
        asked=_digest_of(settings),
        seed=settings.seed,
        finalists=settings.finalists,
        repeats=settings.repeats,
        mlflow_run_id=None,
        tracking_uri=None,
    )
    if folder.record.is_file():
        return _joined(folder, asked, settings)
    begun = RunFolder(folder.path)
    parent = start_tracking(
        settings.tracking,
        cases.manifest,
        stage="search",
        name=_run_name(settings, folder),
        tags={"medseg.fold": settings.fold},
        noted_in=begun,
    )
    known = {"mlflow_run_id": parent.run_id, "tracking_uri": without_password(parent.tracking_uri)} if parent else {}
    record = asked.model_copy(update=known)
    folder.save_record(record)
    begun.begun.unlink(missing_ok=True)
    return record, parent


def _joined(
    folder: SearchFolder, asked: SearchRecord, settings: SearchSettings
) -> tuple[SearchRecord, TrackedRun | None]:
    """The record of a search that others have begun, with the number of trials and the budget that are asked for now.

    Raises:
        ConfigError: If it was begun with something else.
    """
    earlier = folder.load_record()
    own = {"study", "trials", "budget", "trial_budget", "plan_digest", "mlflow_run_id", "tracking_uri"}
    for name in SearchRecord.model_fields:
        before, now = getattr(earlier, name), getattr(asked, name)
        if name not in own and before != now:
            shown = {"asked": "another plan or other changes", "space": "another space"}.get(name)
            raise ConfigError(
                f"search {folder.path}: must be joined with what it began with, got "
                f"{shown or f'{name} {now} in place of {before}'}",
                remedy="give the same settings again, or choose another folder",
            )
    record = earlier.model_copy(update={"trials": asked.trials, "budget": asked.budget})
    parent = None
    if settings.tracking.is_on and earlier.mlflow_run_id and earlier.tracking_uri:
        with suppress(MissingRunError):
            parent = resume_tracking(earlier.mlflow_run_id, uri=settings.tracking.uri or earlier.tracking_uri)
    folder.save_record(record)
    return record, parent


def _digest_of(settings: SearchSettings) -> str:
    """SHA-256 over the plan and the changes that are given."""
    plan = settings.plan.read_text(encoding="utf-8") if settings.plan is not None else ""
    content = json.dumps([plan, dict(settings.changes)], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _run_name(settings: SearchSettings, folder: SearchFolder) -> str:
    length = settings.budget or length_text(settings.trial_length, settings.trial_epochs)
    return f"search {folder.path.resolve().name}, fold {settings.fold}, {length}"


def _describe(run: TrackedRun, record: SearchRecord, cases: TrainingCases) -> None:
    """What is searched, and on what."""
    run.log_parameters(
        {
            "fold": record.fold,
            "trial_length": length_text(record.trial_budget, record.trial_epochs),
            "seed": record.seed,
            "repeats": record.repeats,
            "space": {name: str(values) for name, values in record.space.model_dump(mode="json").items() if values},
        }
    )
    log_cases(run, cases.manifest, training=cases.training, validation=cases.validation)


def _log(run: TrackedRun, found: Findings, folder: SearchFolder, *, is_over: bool) -> None:
    """Numbers so far; when nothing is left, the verdict and the files, too."""
    done = [trial for trial in found.trials if trial.state != "running"]
    values = {"trials_done": float(len(done))}
    if found.scores:
        values["best_score"] = max(found.scores.values())
    if is_over:
        values |= {f"trials_{state}": float(sum(one.state == state for one in done)) for state in _STATES}
        values |= {"plan_score": found.scores.get(0, float("nan"))}
        run.describe(f"The trials are the runs below this one. Verdict: {found.verdict}")
        for path in (folder.result, folder.table, folder.page, folder.best):
            run.log_file(path)
    run.log_metrics(values, step=len(done) + len(found.repeats))


_STATES = ("complete", "pruned", "failed")


def _is_over(folder: SearchFolder) -> bool:
    if not folder.result.is_file():
        return False
    return bool(json.loads(folder.result.read_text(encoding="utf-8"))["is_over"])


def _warnings(found: Findings, record: SearchRecord, cases: TrainingCases) -> list[str]:
    """What a reader of the numbers must know."""
    said = []
    if record.trials is not None and len(found.trials) < record.trials:
        said.append(f"the budget was spent after {len(found.trials)} of {record.trials} trials; give more to go on")
    if found.scores and len(found.cases) < len(cases.validation):
        said.append(f"trials are ranked over the {len(found.cases)} of {len(cases.validation)} cases that all measured")
    return said
