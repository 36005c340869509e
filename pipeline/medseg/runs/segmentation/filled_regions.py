"""The check that a training has something of every region."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.errors import TrainingError
from medseg.preprocess.segmentation import StoredCase
from medseg.records import Manifest


def check_regions_filled(prepared: Sequence[StoredCase], manifest: Manifest) -> None:
    """Refuse a region that is empty in every case, which would be trained to nothing.

    Raises:
        TrainingError: If there is one.
    """
    for name, values in (manifest.regions or {}).items():
        if not any(case.voxels.get(value) for case in prepared for value in values):
            raise TrainingError(
                f"manifest {manifest.name}: region {name!r} must hold a voxel in some case, got none in "
                f"{len(prepared)} cases",
                remedy="draw it, or take it out of regions and regions_order",
            )
