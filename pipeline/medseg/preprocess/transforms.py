"""The MONAI transforms that bring a scan onto the network's grid and intensities, for pipelines of your own."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.transforms.compose import Compose
from monai.transforms.transform import MapTransform
from torch import Tensor

from medseg.errors import PipelineError
from medseg.geometry import Geometry
from medseg.preprocess.config import PreprocessConfig
from medseg.preprocess.grid import network_grid, part_of
from medseg.preprocess.intensities import normalisation
from medseg.preprocess.partial_labels import resample_partial
from medseg.preprocess.resample import resample_averaged, resample_labels
from medseg.preprocess.scan import check_channels
from medseg.records import Labelmap, Scan


def scan_transforms(config: PreprocessConfig) -> Compose:
    """Dictionary transforms over `image` (and `label`), with the grid under `geometry`.

    `preprocess_scan` computes the same values in one pass. If an item has a `box`, only those voxels of the network's
    grid are resampled; intensities are still normalised by the whole scan.
    """
    return Compose([NormaliseChannelsd(["image"], config), ToNetworkGridd(["image", "label"], config)])


def transform_scan(
    scan: Scan, config: PreprocessConfig, *, label: Labelmap | None = None, ignore: int | None = None
) -> tuple[Tensor, Geometry, Labelmap | None]:
    """Bring a training scan and its label onto the network's grid by the transforms; see `preprocess_scan`.

    Args:
        scan: Scan as it was read.
        config: Grid and intensities.
        label: Label on the scan's grid.
        ignore: Value of the label that stands for voxels that nobody has annotated, if there is one.
    """
    check_channels(scan, config)
    item: dict[Hashable, Any] = {"image": torch.from_numpy(scan.array), "geometry": scan.geometry}
    if label is not None:
        item["label"] = label
    if ignore is not None:
        item["ignore"] = ignore
    try:
        done = scan_transforms(config)(item)
    except RuntimeError as error:  # MONAI wraps what a transform raises
        if isinstance(error.__cause__, PipelineError | MemoryError | RuntimeError):
            raise error.__cause__ from error
        raise
    return done["image"], done["geometry"], done.get("label")


class NormaliseChannelsd(MapTransform):  # type: ignore[misc]  # MONAI is untyped
    """Normalise each channel as configured, on the scan's own voxels."""

    def __init__(self, keys: list[str], config: PreprocessConfig) -> None:
        super().__init__(keys)
        self.config = config

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Normalise the image."""
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = normalisation(item[key], self.config)(item[key])
        return item


class ToNetworkGridd(MapTransform):  # type: ignore[misc]  # as above
    """Resample image and label from `geometry` to the network's grid or a box of it, which becomes `geometry`."""

    def __init__(self, keys: list[str], config: PreprocessConfig) -> None:
        super().__init__(keys, allow_missing_keys=True)
        self.config = config

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace image, label and geometry."""
        item = dict(data)
        source: Geometry = item["geometry"]
        target = network_grid(source, self.config)
        target = part_of(target, item["box"]) if "box" in item else target
        for key in self.key_iterator(item):
            if isinstance(item[key], Tensor):
                item[key] = resample_averaged(item[key], source, target)
            elif "ignore" in item:
                item[key] = resample_partial(item[key], source, target, ignore=item["ignore"])
            else:
                item[key] = resample_labels(item[key], source, target)
        item["geometry"] = target
        return item
