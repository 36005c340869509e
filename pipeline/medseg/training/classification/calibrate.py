"""Calibration of a trained classifier on validation cases: temperature, gate thresholds, usual disagreement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.evaluation.classification import fit_temperature
from medseg.inference.classification import Calibration, GatePoint, slice_probabilities
from medseg.inference.classification.disagreement import slice_disagreement
from medseg.inference.classification.gate import kept_range
from medseg.records import Array
from medseg.targets import SliceClasses
from medseg.training.classification.task import ValidatedCase

_USUAL = 95.0
_THRESHOLDS = 400
_SENSITIVITIES = (0.5, 0.8, 0.9, 0.95, 0.975, 0.98, 0.99, 0.995, 0.999, 1.0)
_COLDEST = 0.5  # a few cases that are all classified correctly would ask for certainty


def calibrate(validated: Sequence[ValidatedCase], targets: SliceClasses, *, shift: Array) -> Calibration:
    """Fit temperature, gate thresholds and disagreement limit on the validation cases of a training.

    Args:
        validated: Cases of the last validation.
        targets: Classes and their kind.
        shift: Shift of the logits by the class weights, `(classes,)`.

    Returns:
        The temperature of slices, or of studies where the network pools them, at least 0.5; thresholds for keeping
        slices that show anything; and the disagreement with their own reference that 95 % of the cases stay below.
    """
    if not validated:
        return Calibration()
    slice_truth = np.concatenate([_truth(case) for case in validated])
    logits = np.concatenate([case.outputs.slices for case in validated]) - shift
    study_logits = [case.outputs.study for case in validated if case.outputs.study is not None]
    if len(study_logits) == len(validated):
        study_truth = np.stack([np.asarray(case.scores.study_truth) for case in validated])
        temperature = fit_temperature(np.stack(study_logits) - shift, study_truth, kind=targets.kind)
    else:
        temperature = fit_temperature(logits, slice_truth, kind=targets.kind)
    temperature = max(temperature, _COLDEST)
    settled = slice_probabilities(logits, shift=np.zeros_like(shift), temperature=temperature, kind=targets.kind)
    ends = np.cumsum([len(case.outputs.slices) for case in validated])[:-1]
    return Calibration(
        cases=len(validated),
        calibrated_on=tuple(case.scores.case_id for case in validated),
        temperature=temperature,
        gate=_gate(validated, np.split(settled, ends), targets),
        disagreement_limit=_disagreement_limit(validated, targets, shift=shift, temperature=temperature),
    )


def _gate(
    validated: Sequence[ValidatedCase], probabilities: Sequence[Array], targets: SliceClasses
) -> tuple[GatePoint, ...]:
    """The highest threshold for each sensitivity, measured on the whole slabs that a gate keeps, not on slices."""
    if not targets.can_show_nothing:
        return ()
    every_case = [targets.any_truth(_truth(case)) for case in validated]
    known = [number for number, one in enumerate(every_case) if (one >= 0).any()]
    shows = [every_case[number] for number in known]
    positions = [validated[number].scores.positions_mm for number in known]
    positives = sum(int((one == 1).sum()) for one in shows)
    if not positives:
        return ()
    found = [targets.any_probability(probabilities[number]) for number in known]
    every = np.unique(np.concatenate(found))[::-1]
    thresholds = every[np.unique(np.linspace(0, len(every) - 1, min(len(every), _THRESHOLDS)).astype(int))]
    points: list[GatePoint] = []
    for threshold in thresholds:
        ranges = [
            kept_range(one, places, threshold=float(threshold)) for one, places in zip(found, positions, strict=True)
        ]
        inside = sum(int((one[a:b] == 1).sum()) for one, (a, b) in zip(shows, ranges, strict=True))
        kept = sum(stop - start for start, stop in ranges) / sum(len(one) for one in shows)
        reached = inside / positives
        points += [
            GatePoint(sensitivity=wanted, threshold=float(threshold), reached=reached, kept=kept)
            for wanted in _SENSITIVITIES[len(points) :]
            if reached >= wanted
        ]
    return tuple(points)


def _disagreement_limit(
    validated: Sequence[ValidatedCase], targets: SliceClasses, *, shift: Array, temperature: float
) -> float | None:
    """Usual disagreement of classifier and reference over labels; None where no case has all slices known."""
    labels = list(targets.structures)
    columns = [targets.classes.index(name) for name in labels]
    found = []
    for case in validated:
        truth = _truth(case)
        if (truth >= 0).all():
            p = slice_probabilities(case.outputs.slices, shift=shift, temperature=temperature, kind=targets.kind)
            found.append(slice_disagreement(p[:, columns], truth[:, columns] == 1, classes=labels).mean)
    return float(np.percentile(found, _USUAL)) if found else None


def _truth(case: ValidatedCase) -> Array:
    return np.asarray(case.scores.truth)
