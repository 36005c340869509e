from __future__ import annotations

from collections.abc import Callable

import medseg.audit.near_duplicates as module
import numpy as np
import pytest
from medseg.audit.image_hash import image_hash, shrink
from medseg.audit.likeness import likeness
from medseg.audit.near_duplicates import SURE, Pair, find_near_duplicates
from scipy import ndimage

from tests.audit.made_up import blob

SHAPE = (40, 36, 30)
CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "noise": lambda volume: volume + np.random.default_rng(0).normal(0, 0.03 * np.ptp(volume), volume.shape),
    "scale": lambda volume: 3 * volume + 77,
    "gamma": lambda volume: ((volume - volume.min()) / np.ptp(volume)) ** 0.7,
    "fewer voxels": lambda volume: ndimage.zoom(volume, 0.8, order=1),
    "crop": lambda volume: volume[1:, 1:-1, :-1],
    "shift": lambda volume: ndimage.shift(volume, 0.5, order=1, mode="nearest"),
    "blur": lambda volume: ndimage.gaussian_filter(volume, 0.7),
    "turn": lambda volume: ndimage.rotate(volume, 2, axes=(0, 1), reshape=False, order=1, mode="nearest"),
}


def pairs_of(volumes: list[np.ndarray]) -> list[Pair]:
    return find_near_duplicates([shrink(volume) for volume in volumes])[0]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copy_is_found_among_others(change: str) -> None:
    volumes = [blob(seed) for seed in range(12)]
    (pair,) = pairs_of([*volumes, CHANGES[change](volumes[5]).astype(np.float32)])
    assert (pair.first, pair.second, pair.flips) == (5, 12, (False, False, False))
    assert pair.likeness >= SURE


@pytest.mark.parametrize("flips", [(True, False, False), (False, True, False), (True, True, False), (True, True, True)])
def test_mirrored_copy_is_found_with_its_axes(flips: tuple[bool, bool, bool]) -> None:
    volumes = [blob(seed) for seed in range(4)]
    mirrored = volumes[1][tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    (pair,) = pairs_of([*volumes, CHANGES["noise"](mirrored)])
    assert (pair.first, pair.second, pair.flips) == (1, 4, flips)


def test_mirrored_picture_is_found() -> None:
    pictures = [blob(seed, (80, 60, 1)) for seed in range(4)]
    (pair,) = pairs_of([*pictures, pictures[2][:, ::-1]])
    assert (pair.first, pair.second, pair.flips) == (2, 4, (False, True, False))


def test_different_images_are_no_pair() -> None:
    assert pairs_of([blob(seed) for seed in range(30)]) == []


def test_common_anatomy_does_not_make_patients_alike() -> None:
    anatomy = ndimage.gaussian_filter(blob(99), 5)
    anatomy = 8 * anatomy * np.std(blob(0)) / np.std(anatomy)
    assert pairs_of([anatomy + blob(seed) for seed in range(20)]) == []


def test_candidates_that_do_not_fit_each_other_are_no_pair() -> None:
    # Signs of frequencies that correlate by 0.74 differ in arccos(0.74) / pi = 23 % of the bits: near enough to be
    # compared, and not alike.
    volumes = [blob(99) + 0.6 * blob(seed) for seed in range(6)]
    hashes = [image_hash(small) for volume in volumes if (small := shrink(volume)) is not None]
    assert min(int((hashes[0] != other).sum()) for other in hashes[1:]) <= module.CANDIDATE_BITS
    assert pairs_of(volumes) == []


def test_likeness_is_that_of_the_fine_structure() -> None:
    anatomy = ndimage.gaussian_filter(blob(99), 6)
    anatomy = 4 * anatomy * np.std(blob(0)) / np.std(anatomy)
    one, other = shrink(anatomy + blob(0)), shrink(anatomy + blob(1))
    assert one is not None
    assert other is not None
    plain = np.corrcoef(one.ravel().astype(float), other.ravel().astype(float))[0, 1]
    assert plain > 0.9
    assert likeness(one, other) < plain - 0.1


def test_pictures_and_volumes_are_not_compared() -> None:
    assert pairs_of([blob(0), blob(0)[:, :, :1]]) == []


def test_images_that_show_nothing_are_passed_over() -> None:
    volumes = [blob(0), np.zeros(SHAPE), blob(0) + 1, np.zeros(SHAPE)]
    (pair,) = pairs_of(volumes)
    assert (pair.first, pair.second) == (0, 2)


def test_pairs_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 3)
    volumes = [blob(seed) for seed in range(8)]
    found = pairs_of([*volumes, volumes[0], volumes[7]])
    assert {(pair.first, pair.second) for pair in found} == {(0, 8), (7, 9)}


def test_nearest_candidates_are_kept_and_the_others_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CANDIDATES", 1)
    monkeypatch.setattr(module, "_BLOCK", 2)
    same, noisy = blob(0), CHANGES["noise"](blob(1))
    found, left_out = find_near_duplicates([shrink(volume) for volume in (blob(1), noisy, same, same)])
    assert [(pair.first, pair.second, pair.bits) for pair in found] == [(2, 3, 0)]
    assert left_out == 1


def test_likeness_of_an_image_with_itself_is_one_and_with_its_negative_minus_one() -> None:
    small = shrink(blob(0))
    assert small is not None
    assert likeness(small, small) == pytest.approx(1, abs=1e-5)
    assert likeness(small, 255 - small) < 0


def test_likeness_finds_the_crop() -> None:
    whole, part = shrink(blob(0)), shrink(blob(0)[2:, :-2, 1:-1])
    assert whole is not None
    assert part is not None
    plain = np.corrcoef(whole.ravel().astype(float), part.ravel().astype(float))[0, 1]
    assert likeness(whole, part) > max(0.95, plain)
