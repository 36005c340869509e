"""Scores of prepared slices as tables and pictures, and both in MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from medseg.delivery.classification import (
    CamSlice,
    save_cam_picture,
    save_confusion,
    save_outcomes,
    save_precision_recall,
    save_reliability,
    save_roc,
    save_study_curves,
)
from medseg.evaluation.classification import (
    ClassificationSummary,
    Level,
    RepresentativeSlice,
    representative_slices,
    representative_studies,
    slice_columns,
    study_columns,
    summarise_scores,
    write_classification,
    write_slices,
    write_studies,
)
from medseg.inference.classification import SlicePredictor
from medseg.networks.classification import grad_cam
from medseg.plane import PLANES
from medseg.preprocess.classification import StoredSlices, with_context
from medseg.preprocess.classification.targets import SliceTargets
from medseg.records import Array, Failure, SliceScores
from medseg.tracking import TrackedRun

_CAM_CLASSES = 4


@dataclass(frozen=True, slots=True)
class DeliveredScores:
    """Written scores.

    Attributes:
        summary: The numbers.
        files: Tables.
        pictures: PNG files.
        scores: One per case.
    """

    summary: ClassificationSummary
    files: tuple[Path, ...]
    pictures: tuple[Path, ...]
    scores: tuple[SliceScores, ...]


def deliver_scores(
    predictor: SlicePredictor,
    stored: Sequence[StoredSlices],
    truth: Mapping[str, SliceTargets],
    *,
    folder: Path,
    specificity: float = 0.95,
    failures: Sequence[Failure] = (),
    notes: Mapping[str, object] | None = None,
) -> DeliveredScores:
    """Score prepared cases, and write tables and pictures of how well.

    Args:
        predictor: The classifier.
        stored: Prepared as its card says.
        truth: Truth of every case by its id.
        folder: Target folder, created if missing.
        specificity: Specificity at which sensitivities are given.
        failures: Cases that are not among them.
        notes: More for `classification.json`.
    """
    targets = predictor.card.targets
    scores = [predictor.stored_scores(case, truth[case.case_id]) for case in stored]
    raw = [predictor.stored_scores(case, truth[case.case_id], is_calibrated=False) for case in stored]
    summary = summarise_scores(scores, classes=targets.classes, kind=targets.kind, specificity=specificity)
    files = (folder / "slices.csv", folder / "studies.csv", folder / "classification.json")
    write_slices(scores, files[0], classes=targets.classes)
    write_studies(scores, files[1], classes=targets.classes)
    write_classification(summary, files[2], failures=failures, notes=dict(notes or {}))
    pictures = _save_pictures(predictor, scores, raw, summary, folder=folder / "pictures")
    pictures += _save_cams(predictor, scores, stored, folder=folder / "pictures")
    return DeliveredScores(summary, files, tuple(pictures), tuple(scores))


def log_scores(run: TrackedRun, delivered: DeliveredScores) -> None:
    """Log tables and pictures."""
    for file in delivered.files:
        run.log_file(file)
    classes = delivered.summary.classes
    run.log_table(slice_columns(delivered.scores, classes=classes), "slices.json")
    run.log_table(study_columns(delivered.scores, classes=classes), "studies.json")
    for picture in delivered.pictures:
        run.log_file(picture, folder="pictures")


def _save_pictures(
    predictor: SlicePredictor,
    scores: Sequence[SliceScores],
    raw: Sequence[SliceScores],
    summary: ClassificationSummary,
    *,
    folder: Path,
) -> list[Path]:
    card = predictor.card
    classes = card.targets.classes
    levels: tuple[Level, ...] = ("slice", "study")
    paths = []
    for level in levels:
        rows = summary.slice if level == "slice" else summary.study
        if not any(entry.positives + entry.negatives for entry in rows.classes):
            continue
        paths += [folder / f"{level}_{name}.png" for name in ("roc", "precision_recall", "reliability", "outcomes")]
        save_roc(scores, summary, paths[-4], level=level, title=card.dataset)
        save_precision_recall(scores, summary, paths[-3], level=level, title=card.dataset)
        save_reliability(scores, paths[-2], classes=classes, uncalibrated=raw, level=level, title=card.dataset)
        if rows.choice is not None:
            save_confusion(rows.choice.confusion, paths[-1], classes=classes, title=f"{card.dataset}, per {level}")
        else:
            save_outcomes(rows, paths[-1], specificity=summary.specificity, title=card.dataset)
    by_id = {case.case_id: case for case in scores}
    shown = {
        f"{name}: {case_id}, mean error {error:.3f}": by_id[case_id]
        for name, (case_id, error) in representative_studies(scores).items()
    }
    if shown:
        paths.append(folder / "study_curves.png")
        direction = PLANES[card.slices.plane].direction
        save_study_curves(
            shown,
            paths[-1],
            classes=classes,
            direction=direction,
            thresholds=dict.fromkeys(classes, 0.5) if card.targets.kind == "multilabel" else None,
            title=card.dataset,
        )
    return paths


def _save_cams(
    predictor: SlicePredictor, scores: Sequence[SliceScores], stored: Sequence[StoredSlices], *, folder: Path
) -> list[Path]:
    """A picture per class of the most confident hits and misses."""
    card = predictor.card
    by_id = {case.case_id: case for case in stored}
    paths: list[Path] = []
    found = representative_slices(scores, classes=card.targets.classes, kind=card.targets.kind)
    for name, few in list(found.items())[:_CAM_CLASSES]:
        chosen = [*few.hits, *few.misses]
        if not chosen:
            continue
        paths.append(folder / f"grad_cam_{len(paths)}_{_file_name(name)}.png")
        slices = [_cam_slice(predictor, by_id[one.case_id], one) for one in chosen]
        save_cam_picture(slices, paths[-1], title=f"{card.dataset}: {name}")
    return paths


def _cam_slice(predictor: SlicePredictor, stored: StoredSlices, one: RepresentativeSlice) -> CamSlice:
    index = len(stored) - 1 - one.slice if stored.is_flipped else one.slice
    stack = stored.stack()
    picture = with_context(stack, index, predictor.card.slices.context)[None].to(predictor.device)
    wanted = predictor.card.targets.classes.index(one.class_name)
    with torch.enable_grad():
        heat = grad_cam(predictor.network, picture, wanted)[0]
    return CamSlice(
        image=_upright(stack[index, 0]),
        heat=_upright(heat),
        case_id=one.case_id,
        slice=one.slice,
        class_name=one.class_name,
        probability=one.probability,
        truth=one.truth,
        is_hit=one.is_hit,
    )


def _upright(picture: torch.Tensor) -> Array:
    """As radiologists view it: the second axis upwards, and the patient's right on the viewer's left."""
    return np.asarray(picture.detach().cpu().float().numpy().T[::-1, ::-1])


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)[:40]
