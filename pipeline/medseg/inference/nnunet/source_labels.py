"""Channels and labels of an nnU-Net dataset.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from medseg.errors import CheckpointError
from medseg.inference.nnunet.card import RegionRule

_IGNORED = "ignore"
_BACKGROUND = "background"


class SourceLabels(NamedTuple):
    """Meaning of a model's output.

    Attributes:
        labels: Value of each label by name.
        regions: Regions, where the model finds these.
    """

    labels: dict[str, int]
    regions: RegionRule | None

    @property
    def channels(self) -> int:
        """Output channels of the network."""
        return len(self.labels) if self.regions is None else len(self.regions.regions)

    @property
    def label_values(self) -> tuple[int, ...]:
        """Every value that a label file of the training has."""
        inside = () if self.regions is None else (value for region in self.regions.regions for value in region)
        return tuple(sorted({*self.labels.values(), *inside}))


def channel_names(dataset: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the image channels, in order.

    Raises:
        CheckpointError: If there are none.
    """
    listed = dataset.get("channel_names", dataset.get("modality"))
    if not isinstance(listed, Mapping) or not listed:
        raise _unusable("must have channel_names", listed, remedy="add the names that the model was trained with")
    return tuple(str(name) for _, name in sorted(listed.items(), key=lambda item: int(item[0])))


def source_labels(dataset: Mapping[str, Any]) -> SourceLabels:
    """Labels or regions; nnU-Net's value of unlabelled voxels is none of them.

    Raises:
        CheckpointError: If labels are missing, not numbered without gaps, or regions have no order.
    """
    listed = dataset.get("labels")
    if not isinstance(listed, Mapping) or not _is_background(listed.get(_BACKGROUND)):
        raise _unusable("must have labels with background 0", listed, remedy=_FROM_TRAINING)
    named = {str(name): _values(value) for name, value in listed.items() if name != _IGNORED}
    if any(len(values) > 1 for values in named.values()):
        return _regions(named, dataset.get("regions_class_order"))
    labels = {name: values[0] for name, values in named.items()}
    if set(labels.values()) != set(range(len(labels))):
        raise _unusable("must number its labels 0, 1, 2, … without gaps", dict(labels), remedy=_FROM_TRAINING)
    return SourceLabels(labels, None)


def _regions(named: Mapping[str, tuple[int, ...]], order: Any) -> SourceLabels:
    """Regions in their order, and a name for each value that they write.

    A value of a region of several is what later regions leave of it, and is called so.
    """
    regions = {name: values for name, values in named.items() if set(values) != {0}}
    if not isinstance(order, list) or len(order) != len(regions):
        raise _unusable(
            f"must have regions_class_order with a value for each of {len(regions)} regions",
            order,
            remedy=_FROM_TRAINING,
        )
    labels = {_BACKGROUND: 0}
    for value, (name, values) in zip(map(int, order), regions.items(), strict=True):
        labels[name if values == (value,) else f"{name} (rest)"] = value
    return SourceLabels(labels, RegionRule(regions=tuple(regions.values()), order=tuple(map(int, order))))


def _values(value: Any) -> tuple[int, ...]:
    try:
        return tuple(int(one) for one in value) if isinstance(value, list | tuple) else (int(value),)
    except (TypeError, ValueError) as error:
        raise _unusable("must have whole numbers for labels", value, remedy=_FROM_TRAINING) from error


def _is_background(value: Any) -> bool:
    return value == 0 and not isinstance(value, bool | list)


_FROM_TRAINING = "take the dataset.json that the model was trained with"


def _unusable(rule: str, found: Any, *, remedy: str) -> CheckpointError:
    return CheckpointError(f"dataset.json {rule}, got {str(found)[:120]}", remedy=remedy)
