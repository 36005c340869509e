"""A list of studies by probability, with key slices."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from medseg.atomic import write_json
from medseg.cohort import run_cases
from medseg.delivery.classification.triage import TriageStudy, key_slices, save_ranking, save_triage_page
from medseg.evaluation.classification import write_slices
from medseg.inference import CaseInput, PassedOver, read_input
from medseg.inference.classification import SlicePredictor
from medseg.plane import PLANES
from medseg.preprocess.classification import slice_stack
from medseg.records import Array, Failure, Scan


def triage(
    predictor: SlicePredictor,
    cases: Sequence[CaseInput],
    folder: Path,
    *,
    refused: Sequence[Failure] = (),
    passed_over: Sequence[PassedOver] = (),
    on_done: Callable[[str], None] = lambda case_id: None,
) -> tuple[list[TriageStudy], list[Failure]]:
    """Classify every case, and write the ranked list as page and tables; a bad case is recorded, the others go on.

    Args:
        predictor: Loaded classifier.
        cases: Cases to classify.
        folder: Target folder, created if missing.
        refused: Cases that could not be read at all, which are listed among the failures.
        passed_over: Files and series of the inputs that are no case.
        on_done: Called with the case id after each case.
    """
    start = time.perf_counter()
    done = run_cases(cases, partial(_study, predictor), stage="classify", on_done=on_done)
    studies, failures = list(done.results), [*refused, *done.failures]
    card = predictor.card
    classes, background = card.targets.classes, card.targets.background
    scores = [study.scores for study in studies]
    write_slices(scores, folder / "slices.csv", classes=classes)
    save_ranking(scores, folder / "studies.csv", classes=classes, background=background)
    save_triage_page(
        studies,
        folder / "triage.html",
        classes=classes,
        background=background,
        direction=PLANES[card.slices.plane].direction,
        model=f"{card.dataset}, plan {card.plan_digest[:12]}",
        is_calibrated=card.calibration.cases > 0,
        failures=failures,
    )
    content = {
        "model": {
            "dataset": card.dataset,
            "manifest_digest": card.manifest_digest,
            "plan_digest": card.plan_digest,
            "trained_on": card.trained_on,
        },
        "classes": classes,
        "kind": card.targets.kind,
        "plane": card.slices.plane,
        "temperature": card.calibration.temperature,
        "seconds": round(time.perf_counter() - start, 3),
        "cases": [_case_record(study, classes, trained_on=card.trained_on) for study in studies],
        "failures": [{"case_id": one.case_id, "stage": one.stage, "reason": one.reason} for one in failures],
        "passed_over": [{"path": one.path, "reason": one.reason} for one in passed_over],
    }
    write_json(folder / "classifications.json", content)
    return studies, failures


def _study(predictor: SlicePredictor, case: CaseInput) -> TriageStudy:
    scan = read_input(case, channels=predictor.card.channels)
    scores = predictor.scores(scan, case_id=case.case_id)
    targets = predictor.card.targets
    keys = key_slices(scores, classes=targets.classes, background=targets.background)
    return TriageStudy(case.case_id, scores, keys, _thumbnails(predictor, scan, [key.index for key in keys]))


def _thumbnails(predictor: SlicePredictor, scan: Scan, wanted: Sequence[int]) -> tuple[Array, ...]:
    """Pictures of slices, which are numbered as in the scan's own array."""
    stack, along = slice_stack(scan, predictor.card.slices)
    order = [len(stack) - 1 - index if along.is_flipped else index for index in wanted]
    return tuple(_upright(stack[index, 0]) for index in order)


def _upright(picture: torch.Tensor) -> Array:
    return np.asarray(picture.numpy().T[::-1, ::-1])


def _case_record(study: TriageStudy, classes: Sequence[str], *, trained_on: Sequence[str]) -> dict[str, object]:
    scores = study.scores
    return {
        "case_id": study.case_id,
        "axis": scores.axis,
        "slices": len(scores.positions_mm),
        "probability": {name: float(p) for name, p in zip(classes, scores.study, strict=True)},
        "key_slices": [
            {
                "slice": key.index,
                "position_mm": key.position_mm,
                "class": key.class_name,
                "probability": key.probability,
            }
            for key in study.keys
        ],
        "in_training": study.case_id in trained_on,
    }
