"""Agreement of a slice classifier and a mask."""

from __future__ import annotations

import numpy as np

from medseg.errors import ConfigError
from medseg.inference.classification.card import ClassifierCard
from medseg.inference.classification.disagreement import slice_disagreement
from medseg.inference.record import QualityRecord
from medseg.records import Labelmap, SliceScores
from medseg.targets import VoxelTarget


def shared_classes(card: ClassifierCard, target: VoxelTarget) -> tuple[str, ...]:
    """The model's structures that the classifier knows.

    Raises:
        ConfigError: If the classifier knows none of them.
    """
    shared = tuple(name for name in target.structures if name in card.targets.classes)
    if not shared:
        raise ConfigError(
            f"classifier: must know a label of the model ({', '.join(target.names)}), got "
            f"{', '.join(card.targets.classes)}",
            remedy="train it on the model's labels",
        )
    return shared


def check_mask(
    mask: Labelmap, scores: SliceScores, card: ClassifierCard, *, target: VoxelTarget, pixel_mm2: float
) -> QualityRecord:
    """Compare a mask with the classifier's probabilities, slice by slice.

    A slice of the mask shows a class by the rule that the classifier was trained with: labels above the least area, or
    with one class per slice the largest of them.

    Args:
        mask: Native array on the scan's own grid.
        scores: Probabilities of the same scan.
        card: Card of the classifier.
        target: Target of the model that drew the mask.
        pixel_mm2: Area of a voxel on a slice.
    """
    shared = shared_classes(card, target)
    columns = [card.targets.classes.index(name) for name in shared]
    others = tuple(axis for axis in range(3) if axis != scores.axis)
    voxels = np.stack([target.shows(mask, name).sum(axis=others) for name in shared], axis=1)  # (N, classes)
    shows = card.targets.shown(voxels * pixel_mm2)
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
