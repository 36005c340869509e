"""Sizes of a training by name, for those who would rather choose them than leave them to the device."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from medseg.planning.sizes import RESOURCES, DeviceKind, Resources

PresetName = Literal["nano", "S", "M", "L", "XL"]

_SMALL = {is_2d: RESOURCES["cpu", is_2d] for is_2d in (False, True)}
_MEDIUM = {is_2d: RESOURCES["cuda", is_2d] for is_2d in (False, True)}

PRESETS: dict[tuple[PresetName, bool], Resources] = {
    ("nano", False): replace(
        _SMALL[False], patch_voxels=48**3, clock_voxels=48**3, step_voxels=2 * 48**3, width=8, widest=64, stages=4
    ),
    ("nano", True): replace(
        _SMALL[True], patch_voxels=128**2, clock_voxels=128**2, step_voxels=8 * 128**2, width=8, widest=64, stages=4
    ),
    ("S", False): _SMALL[False],
    ("S", True): _SMALL[True],
    ("M", False): _MEDIUM[False],
    ("M", True): _MEDIUM[True],
    # Steps of 9.4 and 24.4 GiB on volumes, of about 9 and 26.5 GiB on pictures (benchmarks/README.md): less than 70 %
    # of a GPU of 16 and 48 GB.
    ("L", False): replace(_MEDIUM[False], patch_voxels=160**3, clock_voxels=160**3, step_voxels=2 * 160**3),
    ("L", True): replace(_MEDIUM[True], patch_voxels=768**2, clock_voxels=768**2, step_voxels=20 * 512**2),
    ("XL", False): replace(_MEDIUM[False], patch_voxels=224**3, clock_voxels=224**3, step_voxels=2 * 224**3),
    ("XL", True): replace(_MEDIUM[True], patch_voxels=1024**2, clock_voxels=1024**2, step_voxels=64 * 512**2),
}


def resources_of(device: DeviceKind, *, is_2d: bool, preset: PresetName | None = None) -> Resources:
    """Limits of a training step.

    Args:
        device: Kind of device that will train.
        is_2d: Whether the scans are pictures.
        preset: Name of the sizes; those of the device if not given.
    """
    if preset is None:
        return RESOURCES[device, is_2d]
    return replace(PRESETS[preset, is_2d], where=f"in preset {preset}")
