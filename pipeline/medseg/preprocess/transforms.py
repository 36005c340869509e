"""The MONAI transforms that bring a scan onto the network's grid and intensities."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.transforms.compose import Compose
from monai.transforms.intensity.array import NormalizeIntensity, ThresholdIntensity
from monai.transforms.transform import MapTransform
from torch import Tensor

from medseg.errors import ConfigError, PipelineError
from medseg.geometry import Geometry
from medseg.preprocess.config import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.grid import Box, network_grid, part_of
from medseg.preprocess.resample import resample_averaged, resample_labels
from medseg.records import Labelmap, Scan


def scan_transforms(config: PreprocessConfig) -> Compose:
    """Dictionary transforms over `image` (and `label`), with the grid under `geometry`.

    Training and inference both use them. If an item has a `box`, only those voxels of the network's grid are
    resampled; intensities are still normalised by the whole scan.
    """
    return Compose([NormaliseChannelsd(["image"], config), ToNetworkGridd(["image", "label"], config)])


def preprocess_scan(
    scan: Scan, config: PreprocessConfig, *, label: Labelmap | None = None, box: Box | None = None
) -> tuple[Tensor, Geometry, Labelmap | None]:
    """Bring a scan, and its label if given, onto the network's grid.

    Args:
        scan: Scan as it was read.
        config: Grid and intensities.
        label: Reference on the scan's grid, shape `(I, J, K)`.
        box: Voxels of the network's grid to compute; all if not given. Their values are the same as without a box.

    Returns:
        Image `(C, I', J', K')` float32, its grid, and the label on that grid.

    Raises:
        ConfigError: If scan and configuration differ in their number of channels.
    """
    item: dict[Hashable, Any] = {"image": torch.from_numpy(scan.array), "geometry": scan.geometry}
    item |= {key: value for key, value in (("label", label), ("box", box)) if value is not None}
    if scan.array.shape[0] != len(config.normalisation):
        raise ConfigError(
            f"preprocess.normalisation must have one entry for each of {scan.array.shape[0]} channels, "
            f"got {len(config.normalisation)}"
        )
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
            channels = zip(item[key], self.config.normalisation, strict=True)
            item[key] = torch.stack([_normalise(channel[None], config)[0] for channel, config in channels])
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
            is_image = isinstance(item[key], Tensor)
            item[key] = (resample_averaged if is_image else resample_labels)(item[key], source, target)
        item["geometry"] = target
        return item


def _normalise(channel: Tensor, config: ChannelNormalisation) -> Tensor:
    """One channel `(1, I, J, K)`."""
    if config.kind == "none":
        return channel
    if config.kind == "zscore" or config.clip_hu is None:
        return _plain(NormalizeIntensity()(channel))
    low, high = config.clip_hu
    clipped = ThresholdIntensity(low, above=True, cval=low)(channel)
    clipped = ThresholdIntensity(high, above=False, cval=high)(clipped)
    return _plain(NormalizeIntensity(subtrahend=config.mean_hu, divisor=config.std_hu)(clipped))


def _plain(image: Any) -> Tensor:
    """The bare tensor of MONAI's result."""
    tensor: Tensor = image.as_tensor() if hasattr(image, "as_tensor") else torch.as_tensor(image)
    return tensor
