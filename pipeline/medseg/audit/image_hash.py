"""A robust image hash: the signs of the lowest frequencies of a small picture of the scan."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from medseg.audit.canonical import slices
from medseg.audit.frame import EVEN, frame_level, inside_frame
from medseg.audit.intensity_facts import thinned
from medseg.records import Array, Mask

HASH_BITS = 512
VOLUME_SIZE = (16, 16, 16)
PICTURE_SIZE = (64, 64, 1)
_PADDING = 0.02


def shrink(volume: Array) -> Array | None:
    """A small copy of a volume for comparisons, its intensities stretched from the 1st to the 99th percentile.

    The whole field of view is fitted, so that a scan cropped by a voxel, resampled or exported with a lost voxel size
    shrinks to nearly the same.

    The frame round what was seen is masked, since all images of one device share it.

    Args:
        volume: Canonical volume, shape `(I, J, K)`.

    Returns:
        uint8 of `VOLUME_SIZE`, or of `PICTURE_SIZE` if there is one slice, as a masked array if there is a frame; None
        if it shows nothing.
    """
    is_picture = volume.shape[2] == 1
    size = PICTURE_SIZE if is_picture else VOLUME_SIZE
    darkest, brightest = _tissue(volume)
    small = _shrunk(volume, size, lambda plane: np.clip(plane, darkest, brightest))
    inside = _inside(volume, size, brightest)
    low, high = np.percentile(small[inside] if is_picture and inside is not None else small, [1, 99])
    if not high > low:
        return None
    stretched: Array = np.rint(255 * np.clip((small - low) / (high - low), 0, 1)).astype(np.uint8)
    return stretched if inside is None else np.ma.array(stretched, mask=~inside)


def _shrunk(volume: Array, size: tuple[int, int, int], change: Callable[[Array], Array]) -> Array:
    """A volume at another size, its slices changed first."""
    over_i, over_j, over_k = (_shrinking(old, new) for old, new in zip(volume.shape, size, strict=True))
    small = np.zeros(size, np.float32)
    for index, one in enumerate(slices(volume)):
        if over_k[:, index].any():
            plane = over_i @ change(one.astype(np.float32, copy=False)) @ over_j.T
            small += plane[:, :, np.newaxis] * over_k[:, index]
    return small


def _inside(volume: Array, size: tuple[int, int, int], brightest: float) -> Mask | None:
    """The part of a small image inside its frame; None without a frame."""
    span = brightest - float(thinned(volume).min())
    level = frame_level(volume, span=span)
    if level is None:
        return None
    return inside_frame(_shrunk(volume, size, lambda plane: (np.abs(plane - level) <= EVEN * span).astype(np.float32)))


def _tissue(volume: Array) -> tuple[float, float]:
    """Intensities to clip at.

    Below them lies the padding round a scanner's field of view, the same in all its scans and darker than air; with it,
    CTs of different patients had a likeness of up to 0.98. Above them lies metal.
    """
    sample = thinned(volume)
    lowest, top = float(sample.min()), float(np.percentile(sample, 99))
    shown = sample[sample > lowest + _PADDING * (top - lowest)]
    if shown.size == 0:
        return lowest, float(sample.max())
    low, high = np.percentile(shown, [1, 99.5])
    return float(low), float(high)


def image_hash(small: Array) -> Array:
    """`HASH_BITS` bits: whether each of the lowest frequencies of a small image, the mean left out, is positive.

    The frame of a picture counts as its mean. That of a volume counts as it is: it is the air round a body, of which a
    little noise makes more or less.

    Args:
        small: Image from `shrink`.

    Source: Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions, section 3.2.1 (pHash: the
    signs of low DCT coefficients), here in three dimensions.
    """
    from scipy.fft import dctn

    waves = _lowest_frequencies(small.shape)
    shown = small if small.shape[2] == 1 else np.ma.getdata(small)
    spectrum = dctn(np.ma.filled(shown.astype(np.float64) - shown.mean(), 0.0), norm="ortho")
    return np.asarray(spectrum[tuple(waves.T)] > 0)


def flip_signs(shape: tuple[int, ...], flips: tuple[bool, bool, bool]) -> Array:
    """+1 for each bit of a hash that stays when the image is mirrored along these axes, -1 for each that flips.

    A mirrored cosine of odd frequency is its own negative, so a mirrored image need not be hashed again.
    """
    odd = _lowest_frequencies(shape)[:, list(flips)].sum(axis=1) % 2
    return np.where(odd, -1, 1).astype(np.float32)


def hash_text(bits: Array) -> str:
    """A hash as hexadecimal digits."""
    return np.packbits(bits).tobytes().hex()


@lru_cache(maxsize=4)
def _lowest_frequencies(shape: tuple[int, ...]) -> Array:
    """Indices of the `HASH_BITS` lowest frequencies without the mean, shape `(HASH_BITS, 3)`."""
    waves = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    return waves[np.argsort((waves**2).sum(axis=1), kind="stable")[1 : HASH_BITS + 1]]


def _shrinking(old: int, new: int) -> Array:
    """Weights `(new, old)` of a triangular kernel as wide as a new voxel, or as an old one where that is wider."""
    step = old / new
    centres = (np.arange(new) + 0.5) * step - 0.5
    reach = np.abs(centres[:, np.newaxis] - np.arange(old)) / max(step, 1.0)
    weights = np.maximum(0.0, 1.0 - reach)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
