"""What a gate saves and what it costs, on labelled cases."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np

from medseg.atomic import write_json, write_text
from medseg.cohort import run_cases
from medseg.errors import ManifestError
from medseg.evaluation.segmentation import measure_case
from medseg.inference.classification import Gate, SlicePredictor, SliceReviewer
from medseg.inference.segmentation import Predictor
from medseg.manifest import (
    load_manifest,
    manifest_target,
    read_case,
    require_no_quantities,
    select_cases,
    unannotated,
)
from medseg.records import Case, Failure, Labelmap, Manifest, Split
from medseg.runs.machine import DeviceName, torch_device
from medseg.runs.progress import Progress, Silence
from medseg.runs.run_folder import check_empty, spool_of
from medseg.runs.seen import seen_in_training
from medseg.runs.tracking import Tracking, recorded, start_tracking, unsent
from medseg.targets import regions_of
from medseg.tracking import TrackedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """Choices of a gate's trial.

    Attributes:
        out: Folder of the tables, new or empty.
        sensitivities: Shares of slices with a label that the gate is to keep.
        fold: Fold whose validation cases are tried.
        split: Split that is tried; all labelled cases if neither is given.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        device: Device of both networks.
        tracking: MLflow store.
    """

    out: Path
    sensitivities: tuple[float, ...] = (0.95, 0.99, 1.0)
    fold: int | None = None
    split: Split | None = None
    data_root: Path | None = None
    device: DeviceName = "auto"
    tracking: Tracking = field(default_factory=Tracking)


@dataclass(frozen=True, slots=True)
class GateResult:
    """A gate's trial.

    Attributes:
        folder: Folder of `gate.csv` and `gate.json`.
        summaries: Numbers of each gate.
        failures: Cases that could not be tried, with the reasons.
        warnings: Sentences for the person who started the trial.
    """

    folder: Path
    summaries: tuple[dict[str, float], ...]
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """A sentence for each gate."""
        return [
            f"sensitivity {entry['sensitivity']:g}: {entry['kept']:.0%} of the slices, {entry['seconds']:.2f} s a case "
            f"instead of {entry['seconds_whole']:.2f} s ({entry['times_faster']:.1f} times faster), mean Dice "
            f"{entry['dice']:.4f} instead of {entry['dice_whole']:.4f} ({entry['dice_lost']:+.4f} lost)"
            for entry in self.summaries
        ]


@dataclass(frozen=True, slots=True)
class GateRow:
    """One case, whole or through a gate.

    Attributes:
        case_id: Case that was segmented.
        sensitivity: Sensitivity of the gate; None for the whole case.
        seconds: Time from the scan in memory to the mask, the classifier included.
        kept: Share of the slices that were segmented.
        dice: Mean over the labels that are in the reference or in the mask; NaN without any.
    """

    case_id: str
    sensitivity: float | None
    seconds: float
    kept: float
    dice: float


def try_gate(
    run: Path, classifier_run: Path, dataset: Path, settings: GateSettings, *, progress: Progress | None = None
) -> GateResult:
    """Segment every case whole and through each gate, and compare time and Dice.

    Args:
        run: Folder of a segmentation's training.
        classifier_run: Folder of a classifier's training.
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If a model or the dataset cannot be used, or the output folder holds something.
    """
    folder = check_empty(settings.out)
    device = torch_device(settings.device)
    predictor = Predictor.load(run, device=device)
    classifier = SlicePredictor.load(classifier_run, device=device)
    labels = predictor.card.labels
    names = predictor.target.structures
    chosen = [Gate.of(classifier.card, sensitivity=asked, labels=names) for asked in settings.sensitivities]
    gates = list({gate.sensitivity: gate for gate in chosen}.values())
    reviewers = [None, *(SliceReviewer(classifier, target=predictor.target, gate=gate) for gate in gates)]
    manifest, root = load_manifest(dataset, data_root=settings.data_root)
    require_no_quantities(manifest, "a trial of a gate")
    if manifest.labels != labels:
        raise ManifestError(f"manifest {manifest.name}: labels must be the model's {labels}, got {manifest.labels}")
    if (manifest.regions or None) != (regions := regions_of(predictor.target)):
        raise ManifestError(f"manifest {manifest.name}: regions must be the model's {regions}, got {manifest.regions}")
    cases = select_cases(manifest, fold=settings.fold, split=settings.split, is_labelled=True)
    flattered = _flattered(cases, manifest, predictor, classifier)
    work = partial(
        _try_case, manifest=manifest, root=root, predictor=predictor, reviewers=reviewers, first=cases[0].case_id
    )
    stage = "classify gate"
    tracked = start_tracking(settings.tracking, manifest, stage=stage, name=stage)
    with recorded(tracked):
        with (progress or Silence()).over_cases(len(cases), "gate") as on_done:
            done = run_cases(cases, work, stage="gate", on_done=on_done)
        rows, failures = [row for rows in done.results for row in rows], done.failures
        _write_rows(rows, folder / "gate.csv")
        summaries = tuple(_summary(rows, gate) for gate in gates) if rows else ()
        content = {"gates": summaries, "notes": flattered, "failures": [failure.row for failure in failures]}
        write_json(folder / "gate.json", content)
        if tracked is not None:
            _log(tracked, folder, summaries)
    warnings = tuple(
        f"{len(ids)} of these cases were {name.replace('_', ' ')}; their numbers flatter"
        for name, ids in flattered.items()
        if ids
    )
    return GateResult(folder, summaries, tuple(failures), (*warnings, *unsent(tracked, settings.out)))


def _try_case(
    case: Case,
    manifest: Manifest,
    root: Path,
    predictor: Predictor,
    reviewers: Sequence[SliceReviewer | None],
    *,
    first: str,
) -> list[GateRow]:
    scan, label = read_case(case, manifest.model_copy(update={"allow_empty_labels": True}), root)
    if case.case_id == first:
        predictor.mask(scan)  # the first run of a network prepares its kernels
    rows = []
    for reviewer in reviewers:
        start = time.perf_counter()
        seen = reviewer.screen(scan, case_id=case.case_id) if reviewer else None
        mask = predictor.mask(scan, slab=seen.slab if seen else None)
        seconds = time.perf_counter() - start
        gate = seen.gate if seen else None
        kept = (gate.stop - gate.start) / gate.slices if gate else 1.0
        dice = _mean_dice(label, mask, manifest, case)
        rows.append(GateRow(case.case_id, gate.sensitivity if gate else None, seconds, kept, dice))
    return rows


def _mean_dice(label: Labelmap, mask: Labelmap, manifest: Manifest, case: Case) -> float:
    target, others = manifest_target(manifest), unannotated(case, manifest)
    found = measure_case(label, mask, target=target, case_id=case.case_id, unannotated=others)
    values = [row.values["dice"] for row in found if not np.isnan(row.values["dice"])]
    return fmean(values) if values else float("nan")


def _flattered(
    cases: Sequence[Case], manifest: Manifest, predictor: Predictor, classifier: SlicePredictor
) -> dict[str, list[str]]:
    """Cases of patients that either network was trained on, and those that the thresholds were chosen on."""
    known = {*predictor.card.trained_on, *classifier.card.trained_on}
    fitted = set(classifier.card.calibration.calibrated_on)
    return {
        "trained_on": seen_in_training(known, manifest, {case.case_id for case in cases}),
        "calibrated_on": [case.case_id for case in cases if case.case_id in fitted],
    }


def _summary(rows: Sequence[GateRow], gate: Gate) -> dict[str, float]:
    whole = [row for row in rows if row.sensitivity is None]
    gated = [row for row in rows if row.sensitivity == gate.sensitivity]
    seconds_whole, seconds = fmean(row.seconds for row in whole), fmean(row.seconds for row in gated)
    pairs = np.array([(first.dice, second.dice) for first, second in zip(whole, gated, strict=True)])
    both = pairs[~np.isnan(pairs).any(axis=1)]
    dice_whole, dice = both.mean(axis=0).tolist() if len(both) else (float("nan"), float("nan"))
    return {
        "sensitivity": gate.sensitivity,
        "threshold": gate.threshold,
        "cases": len(gated),
        "kept": fmean(row.kept for row in gated),
        "seconds": seconds,
        "seconds_whole": seconds_whole,
        "times_faster": seconds_whole / seconds,
        "dice": dice,
        "dice_whole": dice_whole,
        "dice_lost": dice_whole - dice,
        "compared": len(both),
        "false_positives_left_out": int((np.isnan(pairs[:, 1]) & (pairs[:, 0] == 0)).sum()),
    }


def _write_rows(rows: Sequence[GateRow], path: Path) -> None:
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["case_id", "sensitivity", "seconds", "kept", "dice"])
    for row in rows:
        which = "whole" if row.sensitivity is None else f"{row.sensitivity:g}"
        table.writerow([row.case_id, which, f"{row.seconds:.3f}", f"{row.kept:.4f}", f"{row.dice:.6f}"])
    write_text(path, buffer.getvalue())


def _log(run: TrackedRun, folder: Path, summaries: Sequence[dict[str, float]]) -> None:
    run.begin(spool_of(folder))
    for entry in summaries:
        run.log_metrics({f"{key}/sensitivity {entry['sensitivity']:g}": entry[key] for key in entry})
    run.log_file(folder / "gate.csv")
    run.log_file(folder / "gate.json")
