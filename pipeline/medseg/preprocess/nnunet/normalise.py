"""nnU-Net's normalisation schemes."""

from __future__ import annotations

import numpy as np

from medseg.errors import ScanError
from medseg.preprocess.nnunet.config import NnunetScheme
from medseg.records import Array, Mask

_TINY = 1e-8  # least divisor


def normalise(channel: Array, scheme: NnunetScheme, *, region: Mask | None = None) -> Array:
    """Normalise one channel.

    Args:
        channel: Shape `(I, J, K)`.
        scheme: Rule of the channel.
        region: Voxels that a masked `zscore` counts and changes.

    Returns:
        A new array, float32.

    Raises:
        ScanError: If a scheme of colours is given other values than 0 to 255.
    """
    image = np.array(channel, dtype=np.float32)
    match scheme.kind:
        case "ct":
            _standardise_by_training(image, scheme)
        case "zscore":
            _standardise(image, region if scheme.is_masked else None)
        case "to_01":
            image -= image.min()
            image /= max(float(image.max()), _TINY)
        case "rgb_to_01":
            _check_colours(image)
            image /= np.float32(255)
    return image


def _standardise_by_training(image: Array, scheme: NnunetScheme) -> None:
    if scheme.clip is None or scheme.mean is None or scheme.std is None:
        raise ValueError("normalisation ct must have clip, mean and std")
    np.clip(image, *map(np.float32, scheme.clip), out=image)
    image -= np.float32(scheme.mean)
    image /= np.float32(max(scheme.std, _TINY))


def _standardise(image: Array, region: Mask | None) -> None:
    values = image if region is None else image[region]
    mean = values.mean(dtype=np.float64) if values.size else 0.0
    std = values.std(dtype=np.float64) if values.size else 1.0
    values = (values - np.float32(mean)) / np.float32(max(std, _TINY))
    if region is None:
        image[:] = values
    else:
        image[region] = values


def _check_colours(image: Array) -> None:
    low, high = float(image.min()), float(image.max())
    if low < 0 or high > 255:
        raise ScanError(
            f"a picture must have values from 0 to 255, got {low:g} to {high:g}",
            remedy="give a picture with 8 bits per colour",
        )
