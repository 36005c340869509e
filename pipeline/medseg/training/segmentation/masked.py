"""Which cases a network learns masks from."""

from __future__ import annotations

from medseg.preprocess.segmentation import StoredCase
from medseg.targets import VoxelTarget


def has_mask(case: StoredCase, target: VoxelTarget) -> bool:
    """Whether somebody has annotated a structure of a case."""
    return not set(target.structures) <= set(case.unannotated)
