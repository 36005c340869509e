"""Pairs of images that are nearly the same: found by their hashes, confirmed by their likeness."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from medseg.audit.image_hash import HASH_BITS, flip_signs, image_hash
from medseg.audit.likeness import likeness
from medseg.records import Array

CANDIDATE_BITS = HASH_BITS // 4
SURE = 0.92
LIKELY = 0.87
MAX_CANDIDATES = 5000
_BLOCK = 256

Flips = tuple[bool, bool, bool]


class Pair(NamedTuple):
    """Two images that look the same.

    Attributes:
        first: Index of the earlier one.
        second: Index of the later one.
        bits: Number of bits in which their hashes differ.
        flips: Whether the second is mirrored along each of the axes R, A, S.
        likeness: Correlation of their fine structure once they are aligned.
    """

    first: int
    second: int
    bits: int
    flips: Flips
    likeness: float


def find_near_duplicates(images: Sequence[Array | None]) -> tuple[list[Pair], int]:
    """Pairs that look the same, most alike first.

    Thresholds were chosen by `benchmarks/near_duplicates.py` on scans that look alike: 200 hippocampus crops (MSD
    Task04), CT, T1 MR and PET of 8 patients (STS sarcoma), 40 late-enhanced atria, 100 microscopy pictures (DSB 2018)
    and 30 made-up eyes in one round field of view. Of pairs of different patients that were near enough to be compared
    none was above the likeness 0.86, of eyes none above 0.7; two pairs of atria were, and show one heart each. Found
    were all copies with noise of 2 and 5 %, another scale or gamma, 8 bits, more or fewer voxels, a crop of up to 2
    voxels a side, half a voxel's shift, blur, mirroring, or a crop, fewer voxels and noise at once, nearly all of them
    as sure; so were all volumes turned by 3°. Not found were most pictures turned by 3°, and some of those crops of
    35 × 50 × 35 voxels that had lost up to 3 a side.

    Every pair is compared, in one matrix product per mirroring: 9 s for 10,000 images on one core, and a
    hundred times that for ten times as many.

    Args:
        images: Image of each case from `shrink`.

    Returns:
        The pairs with a likeness of at least `LIKELY`, and the number of candidates left out beyond `MAX_CANDIDATES`.
    """
    found: dict[tuple[int, int], Pair] = {}
    left_out = 0
    for shape in {image.shape for image in images if image is not None}:
        members = [index for index, image in enumerate(images) if image is not None and image.shape == shape]
        hashes = np.stack([image_hash(_given(images[index])) for index in members])
        candidates, beyond = _candidates(hashes, shape)
        left_out += beyond
        for bits, one, other, number in candidates.tolist():
            first, second, flips = members[one], members[other], _all_flips(shape)[number]
            alike = likeness(_given(images[first]), _flipped(_given(images[second]), flips))
            known = found.get((first, second))
            if alike >= LIKELY and (known is None or alike > known.likeness):
                found[first, second] = Pair(first, second, bits, flips, alike)
    return sorted(found.values(), key=lambda pair: -pair.likeness), left_out


def linked(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Pairs in groups, so that no image is in two groups; groups and pairs stay in their order."""
    group_of: dict[int, int] = {}
    for number, pair in enumerate(pairs):
        joined = {group_of.get(pair.first, number), group_of.get(pair.second, number)}
        target = min(joined)
        group_of.update(dict.fromkeys((pair.first, pair.second), target))
        if len(joined) > 1:
            group_of.update({index: target for index, group in group_of.items() if group in joined})
    groups: dict[int, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(group_of[pair.first], []).append(pair)
    return list(groups.values())


def _candidates(hashes: Array, shape: tuple[int, ...]) -> tuple[Array, int]:
    """Pairs with hashes that differ in at most `CANDIDATE_BITS`, nearest first, and the number beyond the limit.

    Returns:
        Rows of bits, first, second and the number of the flips in `_all_flips`, shape `(N, 4)`, and a count.
    """
    signs = np.where(hashes, 1, -1).astype(np.float32)
    found, total = np.zeros((0, 4), np.int64), 0
    for number, flips in enumerate(_all_flips(shape)):
        mirrored = signs * flip_signs(shape, flips)
        for start in range(0, len(signs), _BLOCK):
            # The product of two sign vectors is the bits that agree less those that differ.
            agreement = signs[start : start + _BLOCK] @ mirrored[start:].T
            rows, columns = np.nonzero(agreement >= HASH_BITS - 2 * CANDIDATE_BITS)
            later = columns > rows
            rows, columns = rows[later], columns[later]
            bits = ((HASH_BITS - agreement[rows, columns]) / 2).astype(np.int64)
            new = np.stack([bits, start + rows, start + columns, np.full(len(rows), number)], axis=1)
            total += len(new)
            found = np.concatenate([found, new])
            if len(found) > 4 * MAX_CANDIDATES:  # a cohort of look-alikes would fill the memory
                found = found[np.argsort(found[:, 0], kind="stable")[:MAX_CANDIDATES]]
    nearest = found[np.lexsort(found.T[::-1])][:MAX_CANDIDATES]
    return nearest, total - len(nearest)


def _all_flips(shape: tuple[int, ...]) -> list[Flips]:
    """All choices of axes to mirror, none first; an axis of one voxel has no mirror image."""
    i, j, k = ([False, True] if n > 1 else [False] for n in shape)
    return list(product(i, j, k))


def _flipped(small: Array, flips: Flips) -> Array:
    return small[tuple(slice(None, None, -1 if is_flipped else 1) for is_flipped in flips)]


def _given(image: Array | None) -> Array:
    if image is None:
        raise ValueError("only images that could be shrunk are compared")
    return image
