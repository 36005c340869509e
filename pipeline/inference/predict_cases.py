"""Masks for a folder or manifest of cases; a bad case is recorded and the others go on."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.atomic import write_json
from pipeline.errors import PipelineError, ScanError
from pipeline.inference.predictor import Predictor
from pipeline.records import Failure, Labelmap, Prediction, Scan
from pipeline.scans import read_scan, write_mask

RECORD_NAME = "predictions.json"


@dataclass(frozen=True, slots=True)
class CaseInput:
    """A case to predict: its name and the files of its channels."""

    case_id: str
    files: tuple[Path, ...]


def predict_cases(
    predictor: Predictor,
    inputs: Sequence[CaseInput],
    folder: Path,
    *,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> tuple[list[Prediction], list[Failure]]:
    """Write masks, a sidecar `<case_id>.json` with label names and volumes for each, and `predictions.json`.

    Args:
        predictor: Loaded once.
        inputs: Which cases.
        folder: Where to.
        on_done: Called with the case id after each case.

    Returns:
        What was delivered, and the cases that failed.
    """
    predictions: list[Prediction] = []
    failures: list[Failure] = []
    for outcome in _outcomes(predictor, inputs, folder):
        if isinstance(outcome, Prediction):
            predictions.append(outcome)
        else:
            failures.append(outcome)
        on_done(outcome.case_id)
    _write_record(predictor, predictions, failures, folder)
    return predictions, failures


def _outcomes(predictor: Predictor, inputs: Sequence[CaseInput], folder: Path) -> Iterator[Prediction | Failure]:
    for case in inputs:
        try:
            yield _predict_case(predictor, case, folder)
        except (PipelineError, MemoryError, torch.OutOfMemoryError) as error:
            reason = (
                str(error)
                if isinstance(error, PipelineError)
                else f"case {case.case_id}: out of memory; use a smaller scan or more memory"
            )
            yield Failure(case.case_id, "predict", reason)


def _predict_case(predictor: Predictor, case: CaseInput, folder: Path) -> Prediction:
    start = time.perf_counter()
    if f"{case.case_id}.json" == RECORD_NAME:
        raise ScanError(f"case {case.case_id}: the name must not be that of {RECORD_NAME}; rename the scan")
    scan = read_scan(case.files, case_id=case.case_id)
    expected = predictor.card.channels
    if scan.array.shape[0] != len(expected):
        raise ScanError(
            f"case {case.case_id}: image must have the model's {len(expected)} channels ({', '.join(expected)}), "
            f"got {scan.array.shape[0]}; give one file per channel in that order"
        )
    mask = predictor.mask(scan)
    path = write_mask(mask, scan, folder, case_id=case.case_id)
    volumes = _volumes_ml(mask, scan, predictor.card.labels)
    write_json(folder / f"{case.case_id}.json", {"labels": predictor.card.labels, "volume_ml": volumes})
    return Prediction(
        case_id=case.case_id,
        mask_path=path,
        seconds=time.perf_counter() - start,
        peak_memory_bytes=_peak_memory_bytes(),
        volume_ml=volumes,
        in_training=case.case_id in predictor.card.trained_on,
    )


def _volumes_ml(mask: Labelmap, scan: Scan, labels: dict[str, int]) -> dict[str, float]:
    counts = np.bincount(mask.ravel(), minlength=max(labels.values()) + 1)
    return {name: float(counts[value] * scan.geometry.voxel_ml) for name, value in labels.items() if value != 0}


def _peak_memory_bytes() -> int:
    """Largest resident memory of this process so far; kilobytes on Linux, bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _write_record(
    predictor: Predictor, predictions: Sequence[Prediction], failures: Sequence[Failure], folder: Path
) -> None:
    card = predictor.card
    record = {
        "model": {"dataset": card.dataset, "manifest_digest": card.manifest_digest, "plan_digest": card.plan_digest},
        "labels": card.labels,
        "cases": [
            {
                "case_id": item.case_id,
                "mask": item.mask_path.name,
                "seconds": round(item.seconds, 3),
                "peak_memory_bytes": item.peak_memory_bytes,
                "volume_ml": item.volume_ml,
                "in_training": item.in_training,
            }
            for item in predictions
        ],
        "failures": [{"case_id": item.case_id, "stage": item.stage, "reason": item.reason} for item in failures],
    }
    write_json(folder / RECORD_NAME, record)
