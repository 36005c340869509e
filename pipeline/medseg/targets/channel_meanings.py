"""What the channels of two networks must have in common before their values are averaged."""

from __future__ import annotations

from medseg.targets.regions import Regions
from medseg.targets.voxel_target import VoxelTarget
from medseg.targets.written_regions import WrittenRegions


def channel_meanings(target: VoxelTarget) -> tuple[object, ...]:
    """What the channels of a target stand for, in their order; equal for targets whose values may be averaged."""
    shared = (target.kind, target.channels, target.channel_values)
    if isinstance(target, Regions):
        return (*shared, tuple(target.regions.items()), target.order)
    if isinstance(target, WrittenRegions):
        return (*shared, target.regions, target.order)
    return shared
