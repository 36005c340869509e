"""The labels of several raters fused into one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np

from medseg.raters.staple import staple
from medseg.raters.votes import UNDECIDED, majority
from medseg.raters.votings import Votings
from medseg.records import Array, Labelmap, Mask
from medseg.targets import LabelMap, Regions

Fusion = Literal["majority", "staple"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)
_Decide = Callable[..., Array]
_METHODS: Mapping[Fusion, _Decide] = {"majority": majority, "staple": staple}


def fuse(readings: Sequence[Labelmap], target: LabelMap, *, method: Fusion) -> Labelmap:
    """One label of several: that of the majority of the raters, or the most probable one by STAPLE.

    A voxel that some raters have not annotated is decided by the others. What stays undecided is ignored: a voxel that
    no rater has annotated, and one where as many raters stand against as for. Of regions, each is decided apart, and
    a voxel of which one is undecided is ignored.

    Args:
        readings: Label values of each rater, `(I, J, K)`, on one grid.
        target: Meaning of the values; it has a value for ignored voxels.
        method: `majority`, the label that most raters chose, or `staple`, which weighs the raters by how they agree.

    Returns:
        Label values `(I, J, K)` in the smallest unsigned type that holds them and the ignored value.

    Raises:
        ValueError: If the target has no value for ignored voxels.
    """
    ignore = target.ignore
    if ignore is None:
        raise ValueError("a target of fused labels must have a value for ignored voxels")
    votings = Votings.of(readings, values=target.values, ignore=ignore)
    decide = _METHODS[method]
    if isinstance(target, Regions):
        values, is_decided = _by_region(votings, target, decide)
    else:
        values, is_decided = _by_label(votings, target, decide)
    kind = np.min_scalar_type(max(ignore, target.values[-1]))
    return votings.map_of(np.append(np.where(is_decided, values, ignore), ignore).astype(kind))


def _by_label(votings: Votings, target: LabelMap, decide: _Decide) -> tuple[Array, Mask]:
    """Value of each voting, where a voxel has one label, and whether it is decided."""
    chosen = decide(votings.votes, votings.voxels, classes=len(target.values))
    return np.array(target.values)[chosen], chosen != UNDECIDED


def _by_region(votings: Votings, target: Regions, decide: _Decide) -> tuple[Array, Mask]:
    """Value of each voting, where every region is in a voxel or not, and whether all of them are decided."""
    values = np.array(target.values)
    found = []
    for name in target.structures:
        inside = np.isin(values, target.regions[name]).astype(votings.votes.dtype)
        votes = np.where(votings.votes == UNDECIDED, UNDECIDED, inside[votings.votes])
        found.append(decide(votes, votings.voxels, classes=2))
    chosen = np.stack(found)
    return target.combine(chosen == 1), (chosen != UNDECIDED).all(axis=0)
