"""Part c: Dice against minutes of training, from a prepared store."""

from __future__ import annotations

import csv
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.evaluation.segmentation import summarise
from medseg.manifest import assign_folds, load_manifest, split_fold
from medseg.planning import Plan, load_plan, make_plan, override_plan, save_plan, take_fingerprint
from medseg.preprocess.segmentation import StoredCase, prepare_cases
from medseg.preprocess.segmentation.stored_case import open_case
from medseg.targets import ExclusiveLabels
from medseg.training import Budget, ClockBudget, StepBudget
from medseg.training.engine import run_task
from medseg.training.segmentation import SegmentationInputs, SegmentationTask
from medseg.training.segmentation.compiled import is_worth_compiling
from medseg.training.task import Validation

from benchmarks.gpu_parts.context import Context

COHORT_NAME = "cohort.json"
PLAN_NAME = "plan.yaml"
_MINUTES = (1.0, 3.0)
_QUICK_STEPS = (20, 60)
_LAST_S = 8.0  # for what follows the training
_TINY: dict[str, Any] = {
    "preprocess": {"spacing_mm": [12.0, 12.0, 12.0]},
    "network": {
        "channels": [4, 8],
        "strides": [[1, 1, 1], [2, 2, 2]],
        "kernels": [[3, 3, 3]] * 2,
        "blocks": [1, 1],
        "decoder_blocks": [1],
    },
    "training": {"patch_size": [16, 16, 16], "batch_size": 2, "patches_per_case": 1},
    "inference": {"patch_size": [16, 16, 16]},
}


@dataclass(frozen=True, slots=True)
class Cohort:
    """What `prepare` wrote, opened.

    Attributes:
        dataset: Name of the dataset.
        labels: Value of each label by name.
        training: Prepared training cases.
        validation: Prepared validation cases.
        plan: Plan for CUDA.
    """

    dataset: str
    labels: dict[str, int]
    training: list[StoredCase]
    validation: list[StoredCase]
    plan: Plan


def prepare(dataset: Path, store: Path, *, changes: dict[str, Any] | None = None) -> int:
    """Plan fold 0 of a dataset for CUDA and put its prepared cases into a folder that can be carried anywhere.

    Args:
        dataset: A `dataset.json` or its folder.
        store: Target folder, created if missing; holds the cases, `plan.yaml` and `cohort.json`.
        changes: Settings of the plan to change, as in `--config`.

    Returns:
        Count of the prepared cases.
    """
    manifest, root = load_manifest(dataset)
    folds = split_fold(assign_folds(manifest), 0)
    plan = make_plan(take_fingerprint(folds[0], manifest, root), manifest, device="cuda")
    plan = override_plan(plan, changes or {}, source="the quick benchmark")
    prepared = [prepare_cases(cases, manifest, root, config=plan.preprocess, store=store) for cases in folds]
    failures = [failure.reason for group in prepared for failure in group.failures]
    if failures:
        raise SystemExit(f"{len(failures)} cases could not be prepared: {failures[0]}")
    save_plan(plan, store / PLAN_NAME)
    facts: dict[str, Any] = {"dataset": manifest.name, "labels": manifest.labels}
    for name, group in zip(("training", "validation"), prepared, strict=True):
        facts[name] = [{"case_id": case.case_id, "entry": case.folder.name} for case in group.cases]
    (store / COHORT_NAME).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return sum(len(group.cases) for group in prepared)


class Curve:
    """Appends the mean Dice of every validation to a CSV file, with the seconds since the start.

    Args:
        path: File that several trainings share.
        subject: Name of the training.
        device: Name of the device.
        started: Reading of `time.monotonic()` at the start.
    """

    def __init__(self, path: Path, *, subject: str, device: str, started: float) -> None:
        self.path = path
        self.subject = subject
        self.device = device
        self.started = started

    def on_report(self, step: int, values: dict[str, float]) -> None:
        """Nothing."""

    def on_validation(self, step: int, validation: Validation) -> None:
        """Append a line."""
        is_new = not self.path.exists()
        with self.path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            if is_new:
                writer.writerow(["training", "seconds", "mean_volume_dice", "device"])
            seconds = time.monotonic() - self.started
            writer.writerow([self.subject, f"{seconds:.1f}", f"{validation.score:.4f}", self.device])


def run(context: Context) -> None:
    """Train once per budget, each with its own schedule."""
    store = context.store
    if context.is_quick:
        store = context.scratch / "phantoms_store"
        _prepare_phantoms(context.scratch / "phantoms", store)
    cohort = _open(store)
    if context.is_quick:
        for steps in _QUICK_STEPS:
            _train(context, cohort, StepBudget(steps), f"{steps} steps")
        return
    for minutes in _MINUTES:
        seconds = min(60 * minutes, context.left_s() - _LAST_S)
        if context.has_time_for(30 * minutes, f"training of {minutes:g} min"):
            budget = ClockBudget(seconds, started=time.monotonic())
            _train(context, cohort, budget, f"{seconds / 60:.3g} min of training and validation")


def _train(context: Context, cohort: Cohort, budget: Budget, length: str) -> None:
    started = time.monotonic()
    rows = context.rows
    subject = (
        f"{cohort.dataset} fold 0, {len(cohort.training)} training and {len(cohort.validation)} validation cases, "
        f"{length}"
    )
    curve = Curve(context.out / "dice_against_time.csv", subject=length, device=rows.device, started=started)
    inputs = SegmentationInputs(
        training=cohort.training,
        validation=cohort.validation,
        target=ExclusiveLabels(labels=cohort.labels),
        network=cohort.plan.network,
        config=cohort.plan.training,
        inference=cohort.plan.inference,
        device=context.device,
        folder=context.scratch / length.replace(" ", "_"),
        is_compiled=is_worth_compiling(context.device, seconds=budget.total_s(), steps=0),
    )
    result = run_task(SegmentationTask(inputs), budget, listeners=[curve])
    seconds = time.monotonic() - started
    for name in sorted({row.label for row in result.rows}):
        dice = [row.values["dice"] for row in result.rows if row.label == name and math.isfinite(row.values["dice"])]
        rows.add(f"{subject}, {name}", "mean volume Dice", dice, "", repeat="validation case", mean=True)
    rows.add(subject, "mean volume Dice over labels", [summarise(result.rows).means["dice"]], "", repeat="training")
    rows.add(subject, "steps", [result.steps], "", repeat="training")
    rows.add(subject, "wall clock", [seconds], "s", repeat="training")


def foreign_files(store: Path) -> list[str]:
    """Names in a folder that `prepare` did not write; empty if the folder does not exist."""
    if not store.exists():
        return []
    known = {COHORT_NAME, PLAN_NAME}
    if (store / COHORT_NAME).exists():
        facts = json.loads((store / COHORT_NAME).read_text(encoding="utf-8"))
        known |= {entry["entry"] for name in ("training", "validation") for entry in facts[name]}
    return sorted({path.name for path in store.iterdir()} - known)


def _open(store: Path) -> Cohort:
    """Open every case, and hold each file to its checksum."""
    facts = json.loads((store / COHORT_NAME).read_text(encoding="utf-8"))
    training, validation = (
        [open_case(store / entry["entry"], case_id=entry["case_id"]) for entry in facts[name]]
        for name in ("training", "validation")
    )
    return Cohort(facts["dataset"], facts["labels"], training, validation, load_plan(store / PLAN_NAME))


def _prepare_phantoms(folder: Path, store: Path) -> None:
    """A few phantoms on a coarse grid, by the same way as a real dataset."""
    from medseg.phantom import write_cohort

    write_cohort(folder, patients=6, test_patients=0)
    prepare(folder, store, changes=_TINY)
