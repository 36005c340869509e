"""What the training data of a plan are like, label by label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from medseg.configuration import Config
from medseg.geometry import significant
from medseg.planning.fingerprint import Fingerprint
from medseg.planning.structures import LabelStructures
from medseg.records import Manifest


class LabelProfile(Config):
    """A label in the training cases.

    Attributes:
        cases: Training cases that hold the label.
        median_ml: Median volume in millilitres over the cases that hold it; None for pictures.
        median_pixels: Median area in pixels over the cases that hold it; None for volumes.
        components: Median number of components per case over some of the cases that hold it; None where none of those
            looked at does.
        neighbours: Labels that touch it in at least half of those cases, the most frequent first.
    """

    cases: int = Field(ge=0)
    median_ml: float | None = Field(None, exclude_if=lambda size: size is None)
    median_pixels: float | None = Field(None, exclude_if=lambda size: size is None)
    components: float | None = None
    neighbours: tuple[str, ...] = ()


class DatasetProfile(Config):
    """The training cases of a plan.

    Attributes:
        cases: Training cases that could be read.
        structured_cases: Those of them in which components and neighbours were looked at.
        body_share: Mean share of the scans that the body's box takes; None where it was not looked for.
        labels: Labels by name, the background left out.
    """

    cases: int = Field(ge=0)
    structured_cases: int = Field(0, ge=0)
    body_share: float | None = Field(None, exclude_if=lambda share: share is None)
    labels: dict[str, LabelProfile] = Field(default_factory=dict)


def profile_of(
    fingerprint: Fingerprint, structures: Sequence[LabelStructures], manifest: Manifest
) -> DatasetProfile | None:
    """Profile of a dataset; None if the fingerprint holds no labels.

    Args:
        fingerprint: Fingerprint of the training cases.
        structures: Structures of some of the cases.
        manifest: Manifest of the cases, for the names of its labels.
    """
    if not any(case.voxels for case in fingerprint.cases):
        return None
    labels = {
        name: _label(value, fingerprint, structures, names=_names(manifest))
        for name, value in manifest.foreground.items()
    }
    share = fingerprint.body_share()
    return DatasetProfile(
        cases=len(fingerprint.cases),
        structured_cases=len(structures),
        body_share=None if share is None else significant(share, 3),
        labels=labels,
    )


def _names(manifest: Manifest) -> dict[int, str]:
    return {value: name for name, value in manifest.foreground.items()}


def _label(
    value: int, fingerprint: Fingerprint, structures: Sequence[LabelStructures], *, names: dict[int, str]
) -> LabelProfile:
    holding = [case for case in fingerprint.cases if case.voxels.get(value)]
    looked_at = [case for case in structures if value in case.components]
    return LabelProfile(
        cases=len(holding),
        median_ml=None if fingerprint.is_2d else _median([case.voxels[value] * case.voxel_ml for case in holding]),
        median_pixels=_median([case.voxels[value] for case in holding]) if fingerprint.is_2d else None,
        components=_median([case.components[value] for case in looked_at]),
        neighbours=tuple(names[other] for other in _neighbours(value, looked_at) if other in names),
    )


def _neighbours(value: int, structures: Sequence[LabelStructures]) -> list[int]:
    """Values that touch one in at least half of the cases."""
    found = Counter(low + high - value for case in structures for low, high in case.neighbours if value in (low, high))
    return [other for other, times in found.most_common() if 2 * times >= len(structures)]


def _median(values: Sequence[float]) -> float | None:
    return significant(float(np.median(values)), 4) if values else None
