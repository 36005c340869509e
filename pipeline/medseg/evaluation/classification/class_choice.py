"""Multi-class scores: how often the most probable class is the true one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medseg.evaluation.classification.class_scores import Measure, with_interval
from medseg.evaluation.classification.score_table import ScoreTable
from medseg.records import Array
from medseg.targets import class_index

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ClassChoice:
    """How often the most probable class is the true one, over the rows of exactly one class.

    Attributes:
        accuracy: Share of rows whose most probable class is the true one (top-1).
        top5_accuracy: Share of rows whose true class is among the five most probable; None with five classes or fewer.
        balanced_accuracy: Mean accuracy over the classes that are present.
        confusion: Number of rows by true class (outer) and most probable class (inner).
        undecided: Number of rows left out because they have no known class or several.
    """

    accuracy: Measure
    top5_accuracy: Measure | None
    balanced_accuracy: Measure
    confusion: tuple[tuple[int, ...], ...]
    undecided: int


def score_choice(table: ScoreTable, weights: Array) -> ClassChoice:
    """Accuracy, balanced accuracy and the confusion matrix; among equal probabilities the earlier class ranks first.

    Args:
        table: Scores of all rows.
        weights: Count of each patient in each resample, shape `(resamples, patients)`.
    """
    rows = table.decided()
    probabilities, owners = table.probabilities[rows], table.owners[rows]
    classes = probabilities.shape[1]
    true = class_index(table.truth[rows])
    first = class_index(probabilities)
    measures = [("accuracy", (first == true)), ("top5", _true_rank(probabilities, true) < _SHOWN)]
    shares = {name: _share(values, owners, weights) for name, values in measures}
    confusion = np.bincount(true * classes + first, minlength=classes**2).reshape(classes, classes)
    return ClassChoice(
        accuracy=shares["accuracy"],
        top5_accuracy=shares["top5"] if classes > _SHOWN else None,
        balanced_accuracy=_balanced(true, first == true, owners, weights, classes=classes),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        undecided=int((~rows).sum()),
    )


def _true_rank(probabilities: Array, true: Array) -> Array:
    """Number of classes that rank before the true one in each row."""
    own = np.take_along_axis(probabilities, true[:, np.newaxis], axis=1)
    is_earlier = np.arange(probabilities.shape[1]) < true[:, np.newaxis]
    return np.asarray(((probabilities > own) | ((probabilities == own) & is_earlier)).sum(axis=1))


def _share(is_right: Array, owners: Array, weights: Array) -> Measure:
    patients = weights.shape[1]
    right = np.bincount(owners, weights=is_right, minlength=patients)
    counts = np.bincount(owners, minlength=patients).astype(float)
    with np.errstate(invalid="ignore"):
        return with_interval(
            float(np.float64(right.sum()) / counts.sum()),
            (weights @ right) / (weights @ counts),
            patients=int((counts > 0).sum()),
        )


def _balanced(true: Array, is_right: Array, owners: Array, weights: Array, *, classes: int) -> Measure:
    shape = (weights.shape[1], classes)
    place = owners * classes + true
    right = np.bincount(place, weights=is_right, minlength=shape[0] * classes).reshape(shape)
    counts = np.bincount(place, minlength=shape[0] * classes).reshape(shape).astype(float)
    present = counts.sum(axis=0) > 0
    with np.errstate(invalid="ignore"):
        recalls = right.sum(axis=0)[present] / counts.sum(axis=0)[present]
        resampled = (weights @ right[:, present]) / (weights @ counts[:, present])  # NaN where a class vanishes
    if not present.any():
        return Measure.without_interval(float("nan"), patients=0)
    patients = int((counts[:, present] > 0).sum(axis=0).min())  # of the rarest class
    return with_interval(float(recalls.mean()), resampled.mean(axis=1), patients=patients)
