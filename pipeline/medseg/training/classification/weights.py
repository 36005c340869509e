"""Class weights against imbalance."""

from __future__ import annotations

import numpy as np

from medseg.records import Array
from medseg.targets import ClassKind


def class_weights(truth: Array, *, kind: ClassKind, strongest: float) -> Array:
    """How much each class weighs in the loss, `(classes,)`.

    Multi-label: a positive slice weighs as many times a negative one as there are more negatives. Multi-class: each
    class the inverse of its share, times the number of classes. A class without positives or negatives weighs 1.

    Args:
        truth: 1, 0 or -1 (unknown), `(N, classes)`.
        kind: Multi-label or multi-class.
        strongest: Bound of the weights and, inverted, their lower bound.
    """
    positives = (truth == 1).sum(axis=0).astype(np.float64)
    negatives = (truth == 0).sum(axis=0).astype(np.float64)
    both = (positives > 0) & (negatives > 0)
    if kind == "multilabel":
        ratio = negatives / np.maximum(positives, 1)
    else:
        ratio = positives.sum() / np.maximum(positives, 1) / truth.shape[1]
    return np.asarray(np.clip(np.where(both, ratio, 1.0), 1 / strongest, strongest))
