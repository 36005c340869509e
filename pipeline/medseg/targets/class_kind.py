"""Classes of pictures: several at once, or exactly one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from medseg.targets.voxel_target import Array, Mask

if TYPE_CHECKING:
    from torch import Tensor

ClassKind = Literal["multilabel", "multiclass"]
ArrayOrTensor = TypeVar("ArrayOrTensor", "Array", "Tensor")


def class_probabilities(logits: Array, kind: ClassKind) -> Array:
    """Probabilities of the classes.

    Args:
        logits: Logits of the classes, `(…, classes)`.
        kind: `multilabel` gives each class a probability of its own, `multiclass` shares 1 among the classes.
    """
    if kind == "multilabel":
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))))
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def class_index(rows: ArrayOrTensor) -> ArrayOrTensor:
    """Index of each row's largest entry, the first of equals: the likeliest class, or the true one of a one-hot row.

    Args:
        rows: Probabilities or truth, `(N, classes)`.

    Returns:
        Index of a class for each row, `(N,)`.
    """
    index: ArrayOrTensor = rows.argmax(-1)
    return index


def called_classes(probabilities: Array, kind: ClassKind, *, threshold: float = 0.5) -> Mask:
    """Classes that are called in each row.

    Args:
        probabilities: Probabilities of the classes, `(N, classes)`.
        kind: `multilabel` calls every class that reaches the threshold, `multiclass` the likeliest one alone.
        threshold: Lowest probability that `multilabel` calls.

    Returns:
        bool of shape `(N, classes)`.
    """
    if kind == "multilabel":
        return np.asarray(probabilities >= threshold)
    return np.asarray(class_index(probabilities)[:, np.newaxis] == np.arange(probabilities.shape[1]))
