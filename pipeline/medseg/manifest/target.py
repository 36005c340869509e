"""The target of a network that learns from a manifest's label volumes."""

from __future__ import annotations

from medseg.manifest.region_checks import require_plain
from medseg.records import Manifest
from medseg.targets import ExclusiveLabels


def manifest_target(manifest: Manifest) -> ExclusiveLabels:
    """The target of a checked manifest, with its labels sorted by value as in `foreground`."""
    require_plain(manifest, "a segmentation")
    return ExclusiveLabels(labels=dict(sorted(manifest.labels.items(), key=lambda item: item[1])))
