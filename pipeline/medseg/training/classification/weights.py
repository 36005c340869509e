"""Class weights against imbalance."""

from __future__ import annotations

import numpy as np

from medseg.records import Array
from medseg.targets import ClassKind


def class_weights(truth: Array, *, kind: ClassKind, strongest: float) -> Array:
    """Weight of each class in the loss, `(classes,)`.

    Multi-label: the number of negatives over that of positives, as the weight of a positive. Multi-class: the inverse
    of the class's share, over the number of classes. A class without positives or negatives has weight 1.

    Args:
        truth: Truth of 1, 0 or -1 (unknown), `(N, classes)`.
        kind: Multi-label or multi-class.
        strongest: Largest weight; its inverse is the smallest.
    """
    positives = (truth == 1).sum(axis=0).astype(np.float64)
    negatives = (truth == 0).sum(axis=0).astype(np.float64)
    both = (positives > 0) & (negatives > 0)
    if kind == "multilabel":
        ratio = negatives / np.maximum(positives, 1)
    else:
        ratio = positives.sum() / np.maximum(positives, 1) / truth.shape[1]
    return np.asarray(np.clip(np.where(both, ratio, 1.0), 1 / strongest, strongest))
