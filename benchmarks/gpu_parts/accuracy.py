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
from medseg.training import ClockBudget
from medseg.training.segmentation import SegmentationInputs, fit
from medseg.training.task import Validation

from benchmarks.gpu_parts.context import Context

COHORT_NAME = "cohort.json"
_MINUTES = (1.0, 3.0)
_QUICK_MINUTES = (0.05, 0.1)
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
    save_plan(plan, store / "plan.yaml")
    facts: dict[str, Any] = {"dataset": manifest.name, "labels": manifest.labels}
    for name, group in zip(("training", "validation"), prepared, strict=True):
        facts[name] = [{"case_id": case.case_id, "entry": case.folder.name} for case in group.cases]
    (store / COHORT_NAME).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return sum(len(group.cases) for group in prepared)


class Curve:
    """Collects the mean Dice of every validation with the seconds since the start."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.points: list[tuple[float, float]] = []

    def on_epoch(self, epoch: int, values: dict[str, float]) -> None:
        """Nothing."""

    def on_validation(self, epoch: int, validation: Validation) -> None:
        """Note the score."""
        self.points.append((time.monotonic() - self.started, validation.score))


def run(context: Context) -> None:
    """Train once per budget, each with its own schedule."""
    store = context.store
    if context.is_quick:
        store = context.scratch / "phantoms_store"
        _prepare_phantoms(context.scratch / "phantoms", store)
    elif not (store / COHORT_NAME).exists():
        context.rows.note(f"{store} holds no prepared cohort: run gpu.py --prepare DATASET before")
        return
    cohort = _open(store)
    for budget_min in _QUICK_MINUTES if context.is_quick else _MINUTES:
        if context.has_time_for(60 * budget_min, f"training of {budget_min:g} min"):
            _train(context, cohort, budget_min)


def _train(context: Context, cohort: Cohort, budget_min: float) -> None:
    started = time.monotonic()
    curve = Curve(started)
    inputs = SegmentationInputs(
        training=cohort.training,
        validation=cohort.validation,
        labels=cohort.labels,
        network=cohort.plan.network,
        config=cohort.plan.training,
        inference=cohort.plan.inference,
        device=context.device,
        folder=context.scratch / f"run_{budget_min:g}",
    )
    result = fit(inputs, ClockBudget(60 * budget_min, started=started), listeners=[curve])
    seconds = time.monotonic() - started
    subject = (
        f"{cohort.dataset} fold 0, {len(cohort.training)} training and {len(cohort.validation)} validation cases, "
        f"{budget_min:g} min of training and validation"
    )
    rows = context.rows
    for name in sorted({row.label for row in result.rows}):
        dice = [row.values["dice"] for row in result.rows if row.label == name and math.isfinite(row.values["dice"])]
        rows.add(f"{subject}, {name}", "mean volume Dice", dice, "", repeat="validation case", mean=True)
    rows.add(subject, "mean volume Dice over labels", [summarise(result.rows).means["dice"]], "", repeat="training")
    rows.add(subject, "steps", [result.steps], "", repeat="training")
    rows.add(subject, "wall clock", [seconds], "s", repeat="training")
    _append_curve(context.out / "dice_against_time.csv", budget_min, curve, rows.device)


def _append_curve(path: Path, budget_min: float, curve: Curve, device: str) -> None:
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["budget_min", "seconds", "mean_volume_dice", "device"])
        writer.writerows([f"{budget_min:g}", f"{s:.1f}", f"{dice:.4f}", device] for s, dice in curve.points)


def _open(store: Path) -> Cohort:
    """Open every case, and hold each file to its checksum."""
    facts = json.loads((store / COHORT_NAME).read_text(encoding="utf-8"))
    training, validation = (
        [open_case(store / entry["entry"], case_id=entry["case_id"]) for entry in facts[name]]
        for name in ("training", "validation")
    )
    return Cohort(facts["dataset"], facts["labels"], training, validation, load_plan(store / "plan.yaml"))


def _prepare_phantoms(folder: Path, store: Path) -> None:
    """A few phantoms on a coarse grid, by the same way as a real dataset."""
    from medseg.phantom import write_cohort

    write_cohort(folder, patients=6, test_patients=0)
    prepare(folder, store, changes=_TINY)
