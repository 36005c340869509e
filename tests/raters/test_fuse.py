from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from medseg.raters import fuse
from medseg.records import Labelmap
from medseg.targets import ExclusiveLabels, Regions

IGNORE = 9
LABELS = ExclusiveLabels(labels={"background": 0, "organ": 1, "node": 4}, ignore=IGNORE)
NESTED = Regions(
    labels={"background": 0, "rim": 1, "core": 2, "enhancing": 3},
    regions={"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)},
    order=(1, 2, 3),
    ignore=IGNORE,
)


def blobs(raters: int, *, seed: int) -> list[Labelmap]:
    """Readings of a ball with a smaller one in it; each rater moves, grows and now and then forgets."""
    rng = np.random.default_rng(seed)
    places = np.indices((14, 15, 16)).transpose(1, 2, 3, 0)
    readings = []
    for _ in range(raters):
        away = np.linalg.norm(places - (7, 7, 8) - rng.uniform(-1.5, 1.5, 3), axis=-1)
        label = np.where(away < 5 + rng.uniform(-1, 1), 1, 0).astype(np.uint8)
        label[away < 2 + rng.uniform(-1, 1)] = 4
        label[rng.random(label.shape) < 0.02] = rng.choice([0, 1, 4])
        readings.append(label)
    return readings


@pytest.mark.parametrize("raters", [2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(3))
def test_majority_is_the_vote_of_simpleitk(raters: int, seed: int) -> None:
    readings = blobs(raters, seed=seed)
    expected = sitk.GetArrayFromImage(sitk.LabelVoting([sitk.GetImageFromArray(one) for one in readings], IGNORE))
    assert np.array_equal(fuse(readings, LABELS, method="majority"), expected)


@pytest.mark.parametrize("raters", [3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_staple_is_that_of_simpleitk(raters: int, seed: int) -> None:
    readings = blobs(raters, seed=seed)
    images = [sitk.GetImageFromArray(one) for one in readings]
    expected = sitk.GetArrayFromImage(sitk.MultiLabelSTAPLE(images, IGNORE))
    assert np.array_equal(fuse(readings, LABELS, method="staple"), expected)


def test_staple_follows_reliable_raters_against_a_majority_of_careless_ones() -> None:
    """Two raters agree with each other everywhere; three each miss most of the structure, at random."""
    rng = np.random.default_rng(0)
    truth = (np.arange(4000) % 4 == 0).astype(np.uint8).reshape(10, 20, 20)
    careless = [np.where(rng.random(truth.shape) < 0.35, truth, 0).astype(np.uint8) for _ in range(3)]
    readings = [truth, truth, *careless]
    target = ExclusiveLabels(labels={"background": 0, "organ": 1}, ignore=2)
    voted = fuse(readings, target, method="majority")
    assert np.array_equal(fuse(readings, target, method="staple"), truth)
    assert (voted[truth == 1] == 0).mean() > 0.2


def voxels(*columns: list[int]) -> list[Labelmap]:
    """Readings from what all raters say of each voxel."""
    return [np.array(one, np.uint8).reshape(-1, 1, 1) for one in np.array(columns).T]


def fused(*columns: list[int], target: ExclusiveLabels | Regions = LABELS, method: str = "majority") -> list[int]:
    return fuse(voxels(*columns), target, method=method).ravel().tolist()  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["majority", "staple"])
def test_what_all_say_stays(method: str) -> None:
    assert fused([0, 0, 0], [1, 1, 1], [4, 4, 4], method=method) == [0, 1, 4]


def test_ties_are_ignored_and_most_votes_win() -> None:
    assert fused([0, 1], [4, 1], [1, 1], [0, 0]) == [IGNORE, IGNORE, 1, 0]
    assert fused([0, 1, 4], [0, 1, 1], [4, 4, 1]) == [IGNORE, 1, 4]


@pytest.mark.parametrize("method", ["majority", "staple"])
def test_unannotated_voxels_are_decided_by_the_others_and_ignored_where_there_are_none(method: str) -> None:
    columns = [[0, 0, 0]] * 8 + [[1, 1, 1]] * 8
    columns += [[1, 1, IGNORE], [IGNORE, IGNORE, 1], [IGNORE] * 3]
    assert fused(*columns, method=method)[16:] == [1, 1, IGNORE]


def test_regions_are_decided_apart() -> None:
    """Rim, core and enhancing part in one voxel: all are whole, two are core, one enhances."""
    assert fused([1, 2, 3], [0, 3, 3], [0, 0, 3], target=NESTED) == [2, 3, 0]


def test_voxel_of_which_a_region_is_undecided_is_ignored() -> None:
    assert fused([1, 2], [3, 3], [0, 0], target=NESTED) == [IGNORE, 3, 0]


def test_hundreds_of_labels_are_fused() -> None:
    target = ExclusiveLabels(labels={"background": 0, **{f"s{n}": n for n in range(1, 400)}}, ignore=400)
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 400, (20, 20, 20)).astype(np.uint16)
    other = np.where(rng.random(truth.shape) < 0.1, rng.integers(0, 400, truth.shape), truth).astype(np.uint16)
    result = fuse([truth, truth, other], target, method="majority")
    assert np.array_equal(result, truth)
    assert result.dtype == np.uint16


def test_target_without_an_ignored_value_is_refused() -> None:
    plain = ExclusiveLabels(labels={"background": 0, "organ": 1})
    with pytest.raises(ValueError, match="must have a value for ignored voxels"):
        fuse(voxels([0, 1]), plain, method="majority")
