"""Probability maps of a case: a file for each structure, on the scan's own grid."""

from __future__ import annotations

import math
import os
import shutil
import weakref
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from medseg.atomic import replacing_folder, temporary_name
from medseg.inference.mask_folder import maps_folder
from medseg.inference.segmentation.ensemble import PreparedEnsemble
from medseg.inference.segmentation.mask_model import Drawing, Observer, PreparedMask
from medseg.inference.segmentation.prepared_scan import PreparedScan
from medseg.manifest.case_names import safe_name
from medseg.records import Scan
from medseg.scans import write_share_map
from medseg.targets import ExclusiveLabels, Regions, VoxelTarget
from medseg.targets.written_regions import WrittenRegions

_LEVELS = 255


class ProbabilityMaps:
    """Probabilities of one case in steps of 1/255, in a file that is mapped to memory until the maps are written.

    Args:
        folder: Folder of the masks.
        target: Meaning of the network's channels.
        shape: Voxels of the scan.

    Attributes:
        close: Removes the file; at the latest, that happens with the object's end.

    Raises:
        OSError: If the disk has no room for it.
    """

    def __init__(self, folder: Path, target: VoxelTarget, shape: tuple[int, int, int]) -> None:
        self._folder, self._names = folder, _map_names(target)
        scratch = folder / temporary_name()  # removed by the next prediction if this one is killed
        self.close = weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        scratch.mkdir()
        self._shares = [_reserved(scratch / str(channel), shape) for channel in self._names]

    def keep(self, axis: int, slices: range, values: Tensor) -> None:
        """Take the probabilities `(channels, I, J, K)` of some slices of the scan along an axis."""
        place = tuple(slice(slices.start, slices.stop) if n == axis else slice(None) for n in range(3))
        for channel, share in zip(self._names, self._shares, strict=True):
            rounded = (values[channel].clamp(0, 1) * _LEVELS).round().to(torch.uint8)
            share[place] = rounded.cpu().numpy()

    def write(self, scan: Scan, case_id: str) -> None:
        """Write a file for each structure to `probabilities/<case_id>`, all or none.

        Raises:
            DeliveryError: If they cannot be written.
        """
        target = maps_folder(self._folder, case_id)
        with replacing_folder(target.parent) as (temporary, move):
            for name, share in zip(self._names.values(), self._shares, strict=True):
                write_share_map(np.asarray(share), scan, temporary, name=name, levels=_LEVELS)
            move(target)


def draw_with_maps(
    prepared: PreparedMask, target: VoxelTarget, maps: ProbabilityMaps, *, observe: Observer | None = None
) -> Drawing:
    """Draw a mask and keep the probabilities that it was decided from, on the scan's own grid.

    The mask is that of `prepared.draw` but where two labels are equally likely within rounding.

    Args:
        prepared: Prepared scan.
        target: Meaning of the network's channels.
        maps: Takes the probabilities.
        observe: As for `PreparedMask.draw`.
    """
    if isinstance(prepared, PreparedEnsemble):
        return prepared.draw(observe=observe, keep=maps.keep)
    alone = PreparedEnsemble([prepared], target)  # type: ignore[list-item]  # all kinds give planes
    drawing = Drawing(alone.draw(observe=observe, keep=maps.keep).mask)
    return prepared.finished(drawing) if isinstance(prepared, PreparedScan) else drawing


def _reserved(path: Path, shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Zeros in a file whose room is taken at once: a mapped file that finds the disk full ends the process."""
    with path.open("wb") as stream:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), 0, math.prod(shape))
        else:
            for _ in range(shape[0]):
                stream.write(bytes(math.prod(shape[1:])))
    return np.memmap(path, np.uint8, "r+", shape=shape, order="F")


def _map_names(target: VoxelTarget) -> dict[int, str]:
    """Name of the file of each channel that shows a structure: its value (of regions its number) and its name."""
    if isinstance(target, WrittenRegions):
        values = dict(enumerate(target.order))
    elif isinstance(target, ExclusiveLabels):
        values = {channel: value for channel, value in enumerate(target.channel_values or ()) if value != 0}
    elif isinstance(target, Regions):
        return {channel: f"{channel + 1:03d}_{safe_name(name)}" for channel, name in enumerate(target.structures)}
    else:
        raise TypeError(f"no maps are written of {type(target).__name__}")
    names = {value: name for name, value in target.labels.items()}
    return {channel: f"{value:03d}_{safe_name(names[value])}" for channel, value in values.items()}
