"""The stages of `medseg classify gate`."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import click
import numpy as np
from medseg.atomic import write_json, write_text
from medseg.errors import ManifestError, PipelineError
from medseg.evaluation.segmentation import measure_case
from medseg.inference.classification import Gate, SlicePredictor, SliceReviewer
from medseg.inference.segmentation import Predictor
from medseg.manifest import assign_folds, load_manifest, manifest_digest, manifest_target, read_case, split_fold
from medseg.records import Case, Failure, Labelmap, Manifest, Split
from medseg.tracking import TrackedRun
from medseg.workflows.console import counting, empty_folder, report_failures
from medseg.workflows.options import torch_device


@dataclass(frozen=True, slots=True)
class GateArguments:
    """The options of `medseg classify gate`; see its help."""

    run: Path
    classifier: Path
    dataset: Path
    folder: Path
    sensitivities: tuple[float, ...]
    fold: int | None
    split: Split | None
    data_root: Path | None
    device: str
    tracking_uri: str | None
    no_tracking: bool


@dataclass(frozen=True, slots=True)
class GateRow:
    """One case, whole or through a gate.

    Attributes:
        case_id: Which case.
        sensitivity: Of the gate; None for the whole case.
        seconds: From the scan in memory to the mask, the classifier included.
        kept: Share of the slices that were segmented.
        dice: Mean over the labels that are in the reference or in the mask; NaN without any.
    """

    case_id: str
    sensitivity: float | None
    seconds: float
    kept: float
    dice: float


def try_gate(arguments: GateArguments) -> None:
    """Run every case whole and through each gate, and say what that saves and costs."""
    folder = empty_folder(arguments.folder)
    device = torch_device(arguments.device)
    predictor = Predictor.load(_model(arguments.run), device=device)
    classifier = SlicePredictor.load(arguments.classifier, device=device)
    labels = predictor.card.labels
    names = predictor.target.structures
    chosen = [Gate.of(classifier.card, sensitivity=asked, labels=names) for asked in arguments.sensitivities]
    gates = list({gate.sensitivity: gate for gate in chosen}.values())
    reviewers = [None, *(SliceReviewer(classifier, target=predictor.target, gate=gate) for gate in gates)]
    manifest, root = load_manifest(arguments.dataset, data_root=arguments.data_root)
    if manifest.labels != labels:
        raise ManifestError(f"manifest {manifest.name}: labels must be the model's {labels}, got {manifest.labels}")
    cases = _cases(arguments, manifest)
    notes = _flattered(cases, manifest, predictor, classifier)
    for name, ids in notes.items():
        if ids:
            click.echo(
                f"note: {len(ids)} of these cases were {name.replace('_', ' ')}; their numbers flatter", err=True
            )
    rows: list[GateRow] = []
    failures: list[Failure] = []
    with counting(len(cases), "gate") as on_done:
        for number, case in enumerate(cases):
            try:
                rows += _try_case(case, manifest, root, predictor, reviewers, is_first=number == 0)
            except (PipelineError, MemoryError, RuntimeError) as error:
                failures.append(Failure.of(case.case_id, "gate", error))
            on_done(case.case_id)
    _write_rows(rows, folder / "gate.csv")
    summary = [_summary(rows, gate) for gate in gates] if rows else []
    write_json(
        folder / "gate.json", {"gates": summary, "notes": notes, "failures": [asdict(failure) for failure in failures]}
    )
    for entry in summary:
        click.echo(
            f"sensitivity {entry['sensitivity']:g}: {entry['kept']:.0%} of the slices, {entry['seconds']:.2f} s a case "
            f"instead of {entry['seconds_whole']:.2f} s ({entry['times_faster']:.1f} times faster), mean Dice "
            f"{entry['dice']:.4f} instead of {entry['dice_whole']:.4f} ({entry['dice_lost']:+.4f} lost)"
        )
    if not arguments.no_tracking and summary:
        _track(arguments, manifest, summary, folder)
    click.echo(f"tables in {folder}")
    report_failures(failures)


def _model(run: Path) -> Path:
    return run / "model" if (run / "model").is_dir() else run


def _cases(arguments: GateArguments, manifest: Manifest) -> list[Case]:
    if arguments.fold is not None:
        _, cases = split_fold(assign_folds(manifest), arguments.fold)
    else:
        cases = manifest.select(arguments.split) if arguments.split else manifest.cases
    labelled = [case for case in cases if case.label]
    if not labelled:
        raise ManifestError(f"manifest {manifest.name}: must have labelled cases, got none; choose another --split")
    return labelled


def _try_case(
    case: Case,
    manifest: Manifest,
    root: Path,
    predictor: Predictor,
    reviewers: Sequence[SliceReviewer | None],
    *,
    is_first: bool,
) -> list[GateRow]:
    scan, label = read_case(case, manifest.model_copy(update={"allow_empty_labels": True}), root)
    if is_first:
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
    found = measure_case(label, mask, target=manifest_target(manifest), case_id=case.case_id)
    values = [row.values["dice"] for row in found if not np.isnan(row.values["dice"])]
    return fmean(values) if values else float("nan")


def _flattered(
    cases: Sequence[Case], manifest: Manifest, predictor: Predictor, classifier: SlicePredictor
) -> dict[str, list[str]]:
    """Cases of patients that either network was trained on, and those that the thresholds were chosen on."""
    known = set(predictor.card.trained_on) | set(classifier.card.trained_on)
    patients = {case.patient_id for case in manifest.cases if case.case_id in known}
    fitted = set(classifier.card.calibration.calibrated_on)
    return {
        "trained_on": [case.case_id for case in cases if case.patient_id in patients],
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


def _track(arguments: GateArguments, manifest: Manifest, summary: Sequence[dict[str, float]], folder: Path) -> None:
    tags = {"medseg.stage": "classify gate", "mlflow.source.name": "medseg classify gate",
            "medseg.manifest_digest": manifest_digest(manifest)}  # fmt: skip
    run = TrackedRun.start(
        experiment=manifest.name, name="classify gate", tracking_uri=arguments.tracking_uri, tags=tags
    )
    with run.recording(system_metrics=False):
        for entry in summary:
            run.log_metrics({f"{key}/sensitivity {entry['sensitivity']:g}": entry[key] for key in entry})
        run.log_file(folder / "gate.csv")
        run.log_file(folder / "gate.json")
