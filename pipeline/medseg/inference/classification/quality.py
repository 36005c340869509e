"""Whether a slice classifier and a mask tell the same story."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from medseg.errors import ConfigError
from medseg.inference.classification.card import ClassifierCard
from medseg.inference.classification.disagreement import slice_disagreement
from medseg.inference.record import QualityRecord
from medseg.preprocess.classification.targets import TargetConfig
from medseg.records import Array, Labelmap, Mask, SliceScores


def shared_classes(card: ClassifierCard, labels: Mapping[str, int]) -> tuple[str, ...]:
    """The model's foreground labels that the classifier knows.

    Raises:
        ConfigError: If it knows none.
    """
    shared = tuple(name for name, value in labels.items() if value != 0 and name in card.targets.classes)
    if not shared:
        raise ConfigError(
            f"classifier: must know a label of the model ({', '.join(labels)}), got {', '.join(card.targets.classes)}; "
            "train it on the model's labels"
        )
    return shared


def check_mask(
    mask: Labelmap, scores: SliceScores, card: ClassifierCard, *, labels: Mapping[str, int], pixel_mm2: float
) -> QualityRecord:
    """Compare a mask with the classifier's probabilities, slice by slice.

    A slice of the mask shows what it would have taught the classifier: labels above its area threshold, or with one
    class per slice the largest of them.

    Args:
        mask: Label values on the scan's own grid, `(I, J, K)`.
        scores: Of the same scan.
        card: The classifier's.
        labels: Value of each of the model's labels by name.
        pixel_mm2: Area of a voxel on a slice.
    """
    shared = shared_classes(card, labels)
    columns = [card.targets.classes.index(name) for name in shared]
    others = tuple(axis for axis in range(3) if axis != scores.axis)
    voxels = np.stack([(mask == labels[name]).sum(axis=others) for name in shared], axis=1)  # (N, classes)
    shows = _shown(voxels * pixel_mm2, card.targets)
    found = slice_disagreement(scores.probabilities[:, columns], shows, classes=shared)
    limit = card.calibration.disagreement_limit
    is_flagged = limit is not None and found.mean > limit
    reason = None
    if is_flagged and found.worst_slice is not None and found.worst_class is not None:
        column = shared.index(found.worst_class)
        probability = float(scores.probabilities[found.worst_slice, columns[column]])
        drawn = "is drawn" if shows[found.worst_slice, column] else "is not drawn"
        reason = (
            f"slice {found.worst_slice} along axis {scores.axis}: {found.worst_class} {drawn}, the classifier's "
            f"probability is {probability:.2f}"
        )
    return QualityRecord(
        disagreement=found.mean,
        longest_run=found.longest_run,
        limit=limit,
        is_flagged=is_flagged,
        reason=reason,
    )


def _shown(areas_mm2: Array, targets: TargetConfig) -> Mask:
    """Which classes slices of these areas show, `(N, classes)`."""
    shows: Mask = areas_mm2 > targets.min_area_mm2
    if targets.kind == "multilabel":
        return shows
    largest = np.where(shows, areas_mm2, -1).argmax(axis=1)
    return np.asarray(shows & (np.arange(shows.shape[1]) == largest[:, np.newaxis]))
