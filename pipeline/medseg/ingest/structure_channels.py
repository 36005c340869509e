"""Channels that are masks of structures, such as the target of a dose."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import numpy as np

from medseg.errors import ManifestError
from medseg.ingest.case_build import CaseBuild
from medseg.ingest.context import IngestContext
from medseg.ingest.cropped import Cropped
from medseg.records import Labelmap
from medseg.scans import write_scan


def write_structure_channels(
    masks: Mapping[str, Cropped],
    build: CaseBuild,
    context: IngestContext,
    *,
    onto_reference: Callable[[Labelmap], Labelmap],
) -> dict[str, str]:
    """Write a mask for each channel of the mapping that is a structure, whole even where another label covers it.

    Args:
        masks: Mask of each label of the case.
        build: Case.
        context: Settings and state that all cases share.
        onto_reference: Brings a label on the grid of the case's labels onto that of its reference.

    Returns:
        SHA-256 of each file, by its path relative to the dataset, in the order of the channels.

    Raises:
        ManifestError: If the case has no such structure.
    """
    sums: dict[str, str] = {}
    for number, rule in enumerate(context.mapping.channels):
        if rule.structure is None:
            continue
        mask = masks.get(rule.structure)
        if mask is None or not mask.mask.any():
            raise ManifestError(
                f"channel {rule.name} must be the mask of label {rule.structure}, got a case without it",
                remedy="draw it and export it again, or leave the case out",
            )
        drawn = np.zeros(build.labels[0].image.known_grid().shape, np.uint8)
        drawn[mask.box][mask.mask] = 1
        relative = f"images/{build.case_id}_{number:04d}.nii.gz"
        write_scan(onto_reference(drawn)[np.newaxis], build.reference.known_grid(), context.out / relative)
        sums[relative] = hashlib.sha256((context.out / relative).read_bytes()).hexdigest()
    return sums
