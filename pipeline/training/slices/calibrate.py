"""What the validation cases say about a trained classifier: temperature, gate thresholds, usual disagreement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.evaluation.classification import fit_temperature, operating_points
from pipeline.inference.slices import Calibration, GatePoint, slice_probabilities
from pipeline.inference.slices.disagreement import slice_disagreement
from pipeline.inference.slices.outputs import any_probability
from pipeline.preprocess.slices.targets import BACKGROUND, TargetConfig
from pipeline.records import Array
from pipeline.training.slices.task import JudgedCase

_USUAL = 95.0
_COLDEST = 0.5  # a few cases that are all told apart would ask for certainty


def calibrate(judged: Sequence[JudgedCase], targets: TargetConfig, *, shift: Array) -> Calibration:
    """Fit what a use of the classifier needs, on the validation cases of its training.

    Args:
        judged: The last validation.
        targets: Classes and their kind.
        shift: What the class weights add to the logits, `(classes,)`.

    Returns:
        The temperature, of slices, or of studies where the network pools them, at least 0.5; thresholds for keeping
        slices that show anything, and the disagreement with their own reference that 95 % of the cases stay below.
    """
    if not judged:
        return Calibration()
    slice_truth = np.concatenate([_truth(case) for case in judged])
    logits = np.concatenate([case.outputs.slices for case in judged]) - shift
    study_logits = [case.outputs.study for case in judged if case.outputs.study is not None]
    if len(study_logits) == len(judged):
        study_truth = np.stack([np.asarray(case.scores.study_truth) for case in judged])
        temperature = fit_temperature(np.stack(study_logits) - shift, study_truth, kind=targets.kind)
    else:
        temperature = fit_temperature(logits, slice_truth, kind=targets.kind)
    temperature = max(temperature, _COLDEST)
    probabilities = slice_probabilities(logits, shift=np.zeros_like(shift), temperature=temperature, kind=targets.kind)
    return Calibration(
        cases=len(judged),
        calibrated_on=tuple(case.scores.case_id for case in judged),
        temperature=temperature,
        gate=_gate(probabilities, slice_truth, targets),
        disagreement_limit=_disagreement_limit(judged, targets, shift=shift, temperature=temperature),
    )


def _gate(probabilities: Array, truth: Array, targets: TargetConfig) -> tuple[GatePoint, ...]:
    if targets.kind == "multiclass" and BACKGROUND not in targets.classes:
        return ()
    shows = _shows_anything(truth, targets)
    if not (shows == 1).any():
        return ()
    points = operating_points(any_probability(probabilities, targets.classes, targets.kind), shows)
    return tuple(
        GatePoint(sensitivity=p.sensitivity, threshold=p.threshold, reached=p.reached, kept=p.kept) for p in points
    )


def _shows_anything(truth: Array, targets: TargetConfig) -> Array:
    """1, 0 or -1 per slice."""
    if targets.kind == "multiclass":
        background = truth[:, targets.classes.index(BACKGROUND)]
        return np.where(background < 0, -1, 1 - background)
    return np.where((truth == 1).any(axis=1), 1, np.where((truth == 0).all(axis=1), 0, -1))


def _disagreement_limit(
    judged: Sequence[JudgedCase], targets: TargetConfig, *, shift: Array, temperature: float
) -> float | None:
    """Usual disagreement of classifier and reference over labels; None where no case has all slices known."""
    labels = [name for name in targets.classes if name != BACKGROUND]
    columns = [targets.classes.index(name) for name in labels]
    found = []
    for case in judged:
        truth = _truth(case)
        if (truth >= 0).all():
            p = slice_probabilities(case.outputs.slices, shift=shift, temperature=temperature, kind=targets.kind)
            found.append(slice_disagreement(p[:, columns], truth[:, columns] == 1, classes=labels).mean)
    return float(np.percentile(found, _USUAL)) if found else None


def _truth(case: JudgedCase) -> Array:
    return np.asarray(case.scores.truth)
