"""Masks for a folder or manifest of cases; a case that fails is recorded and does not stop the others."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from medseg.atomic import write_json
from medseg.cohort import CASE_ERRORS, iterate_cases
from medseg.errors import ScanError
from medseg.inference.growing_record import GrowingRecord
from medseg.inference.inputs import CaseInput, check_channels, warn_of_constant
from medseg.inference.record import RECORD_NAME, CaseRecord, FailureRecord, ModelIdentity, PredictionRecord
from medseg.inference.reviewer import Reviewer
from medseg.inference.segmentation.predictor import Predictor
from medseg.records import Failure, Labelmap, Prediction, Scan
from medseg.scans import mask_suffix, read_scan, write_mask
from medseg.targets import VoxelTarget

_LONGEST_NAME = 255  # bytes, on the file systems of Linux, macOS and Windows alike


def predict_cases(
    predictor: Predictor,
    inputs: Sequence[CaseInput],
    folder: Path,
    *,
    reviewer: Reviewer | None = None,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> tuple[list[Prediction], list[Failure]]:
    """Write masks, a sidecar `<case_id>.json` with label names and volumes for each, and `predictions.json`.

    Args:
        predictor: Loaded model.
        inputs: Cases to predict.
        folder: Target folder, created if missing.
        reviewer: Slice classifier that chooses the slices to segment and checks the masks; none if not given.
        on_done: Called with the case id after each case.

    Returns:
        Delivered masks, and failures; a record that cannot be written is a failure too.
    """
    predict = partial(_predict_case, predictor=predictor, folder=folder, reviewer=reviewer)
    predictions: list[Prediction] = []
    failures: list[Failure] = []
    record = GrowingRecord(folder, lambda: _record(predictor, predictions, failures))
    with record, closing(iterate_cases(inputs, predict, stage="predict")) as ended:
        for outcome in ended:
            if isinstance(outcome.result, Failure):
                failures.append(outcome.result)
            else:
                predictions.append(outcome.result)
            record.grow()
            on_done(outcome.case_id)
    if record.error is not None:
        failures.append(Failure.of(RECORD_NAME, "write", record.error))
    return predictions, failures


def _predict_case(case: CaseInput, *, predictor: Predictor, folder: Path, reviewer: Reviewer | None) -> Prediction:
    start = time.perf_counter()
    if f"{case.case_id}.json" == RECORD_NAME:
        raise ScanError(
            f"the name must not be that of {RECORD_NAME}", remedy="rename the scan or the case", case_id=case.case_id
        )
    scan = read_scan(case.files, case_id=case.case_id, channels=len(predictor.card.channels))
    check_channels(scan, predictor.card.channels, case_id=case.case_id)
    _check_length(f"{case.case_id}{mask_suffix(scan)}", case_id=case.case_id)
    warn_of_constant(scan, predictor.card.channels, case_id=case.case_id)
    review = reviewer.screen(scan, case_id=case.case_id) if reviewer else None
    mask = predictor.mask(scan, slab=review.slab if review else None)
    if reviewer and review:
        review = reviewer.check(mask, review)
    volumes = _volumes_ml(mask, scan, predictor.target)
    sidecar = folder / f"{case.case_id}.json"
    write_json(sidecar, {"labels": predictor.card.labels, "volume_ml": volumes, "model": _provenance(predictor)})
    try:
        path = write_mask(mask, scan, folder, case_id=case.case_id)
    except CASE_ERRORS:
        sidecar.unlink()
        raise
    return Prediction(
        case_id=case.case_id,
        mask_path=path,
        seconds=time.perf_counter() - start,
        peak_memory_bytes=_peak_memory_bytes(),
        volume_ml=volumes,
        in_training=case.case_id in predictor.card.seen_cases,
        review=review,
    )


def _check_length(name: str, *, case_id: str) -> None:
    """Refuse a name that no file can have, before the network is run for it."""
    size = len(os.fsencode(name))
    if size > _LONGEST_NAME:
        raise ScanError(
            f"the name of its mask must be at most {_LONGEST_NAME} bytes long, got {size}",
            remedy="shorten the name of the scan or the case",
            case_id=case_id,
        )


def _volumes_ml(mask: Labelmap, scan: Scan, target: VoxelTarget) -> dict[str, float]:
    return {name: float(count * scan.geometry.voxel_ml) for name, count in target.voxels(mask).items()}


def _peak_memory_bytes() -> int:
    """Largest resident memory of this process so far; kilobytes on Linux, bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _identity(predictor: Predictor) -> ModelIdentity:
    """The model of a loaded network."""
    card = predictor.card
    return ModelIdentity(
        dataset=card.dataset,
        manifest_digest=card.manifest_digest,
        plan_digest=card.plan_digest,
        run_id=card.mlflow_run_id,
        weights=predictor.weights or None,
        weights_digest=predictor.weights_digest or None,
        medseg_version=card.medseg_version,
        cost=card.cost,
        trained_on=card.seen_cases,
    )


def _provenance(predictor: Predictor) -> dict[str, str | None]:
    """What a mask's own file says of the model, so that both find each other when the folder is gone."""
    keys = {"dataset", "plan_digest", "run_id", "weights_digest", "medseg_version"}
    content: dict[str, str | None] = _identity(predictor).model_dump(include=keys)
    return content


def _record(predictor: Predictor, predictions: Sequence[Prediction], failures: Sequence[Failure]) -> PredictionRecord:
    card = predictor.card
    return PredictionRecord(
        model=_identity(predictor),
        labels=card.labels,
        cases=tuple(
            CaseRecord(
                case_id=item.case_id,
                mask=item.mask_path.name,
                seconds=round(item.seconds, 3),
                peak_memory_bytes=item.peak_memory_bytes,
                volume_ml=item.volume_ml,
                in_training=item.in_training,
                gate=item.review.gate if item.review else None,
                quality=item.review.quality if item.review else None,
            )
            for item in predictions
        ),
        failures=tuple(FailureRecord(case_id=f.case_id, stage=f.stage, reason=f.reason) for f in failures),
    )
