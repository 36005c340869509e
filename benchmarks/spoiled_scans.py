"""Copies of a scan and its label with something wrong, as it goes wrong in hospitals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from medseg.geometry import Geometry
from medseg.records import Labelmap, Scan
from scipy import ndimage

TURN_DEG = 50.0


class Copy(NamedTuple):
    """A copy of a case.

    Attributes:
        what: Name of what is wrong with it.
        scan: Its scan.
        label: Its label on the same grid.
    """

    what: str
    scan: Scan
    label: Labelmap


def spoiled_copies(scan: Scan, label: Labelmap, *, seed: int) -> Iterator[Copy]:
    """The case as it is, and every copy that its kind of scan can have.

    Args:
        scan: Scan as it was read.
        label: Its label.
        seed: Seed of the noise.
    """
    rng = np.random.default_rng(seed)
    yield Copy("as it is", scan, label)
    for share in (0.5, 1.0):
        noise = rng.normal(size=scan.array.shape) * scan.array.std() * share
        yield Copy(f"noise of {share:g} standard deviations", changed(scan, scan.array + noise), label)
    yield Copy("intensities inverted", changed(scan, scan.array.max() + scan.array.min() - scan.array), label)
    ghost = 0.7 * np.roll(scan.array, scan.array.shape[2] // 2, axis=2)
    yield Copy("ghost in phase direction", changed(scan, scan.array + ghost), label)
    blurred = np.stack([ndimage.gaussian_filter(channel.astype(float), 2.5) for channel in scan.array])
    yield Copy("blurred", changed(scan, blurred), label)
    yield Copy("half of it", *cropped(scan, label, axis=0, extent=lambda size: range(size // 2)))
    if scan.geometry.shape[2] > 1:
        yield from _of_volumes(scan, label)


def _of_volumes(scan: Scan, label: Labelmap) -> Iterator[Copy]:
    yield Copy("turned by 50°", changed(scan, turned(scan.array, order=1)), turned(label[None], order=0)[0])
    yield Copy("header turned by 50°", Scan(scan.array, turned_header(scan.geometry)), label)
    yield Copy("front to back", changed(scan, scan.array[:, :, ::-1]), label[:, ::-1])
    yield Copy("a third of the slices missing", *_without_slices(scan, label))
    yield Copy("one slice", *cropped(scan, label, axis=2, extent=lambda size: range(size // 2, size // 2 + 1)))


def changed(scan: Scan, array: np.ndarray) -> Scan:
    """The scan with other voxels."""
    return Scan(np.ascontiguousarray(array, np.float32), scan.geometry)


def turned(array: np.ndarray, *, order: int) -> np.ndarray:
    """An array `(C, I, J, K)` turned in the plane of i and j, with zeros where nothing was."""
    return ndimage.rotate(array, TURN_DEG, axes=(1, 2), reshape=False, order=order)


def turned_header(geometry: Geometry) -> Geometry:
    """The grid turned about the patient's long axis."""
    angle = np.radians(TURN_DEG)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return Geometry(geometry.shape, turn @ geometry.affine)


def cropped(scan: Scan, label: Labelmap, *, axis: int, extent: Callable[[int], range]) -> tuple[Scan, Labelmap]:
    """Some layers along an axis."""
    kept = extent(label.shape[axis])
    array = np.take(scan.array, list(kept), axis=axis + 1)
    return Scan(array, scan.geometry.cropped(axis, kept)), np.take(label, list(kept), axis=axis)


def _without_slices(scan: Scan, label: Labelmap) -> tuple[Scan, Labelmap]:
    """The scan without every third slice, and with a header that does not say so."""
    kept = [k for k in range(label.shape[2]) if k % 3 != 1]
    grid = scan.geometry.cropped(2, range(len(kept)))
    return Scan(np.ascontiguousarray(scan.array[..., kept]), grid), label[..., kept]
