"""The meaning of a network's output channels: the only place that turns logits into values, and values into decisions.

A target states how many channels a network needs (`channels`), turns a reference into what training compares with
(`encode`), names the parts of it that do not count (`ignored`), turns logits into values (`activate`), and values into
decisions (`decide`). Losses, metrics and writers are chosen by it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from medseg.quantity import Quantity
from medseg.targets.channel_meanings import channel_meanings
from medseg.targets.class_kind import ClassKind, called_classes, class_index, class_probabilities
from medseg.targets.exclusive_labels import IGNORED, ExclusiveLabels
from medseg.targets.head_classes import HeadClasses, HeadLevel
from medseg.targets.on_logits import LabelsOnHalfLogits, on_logits
from medseg.targets.quantities import Quantities
from medseg.targets.regions import Regions, regions_of
from medseg.targets.slice_classes import BACKGROUND, UNKNOWN, SliceClasses, TargetSource
from medseg.targets.voxel_target import ChannelTarget, VoxelTarget
from medseg.targets.written_regions import WrittenRegions

LabelMap = ExclusiveLabels | Regions  # targets whose native array is one map of label values
# The tag `kind` is that of the saved files: slice classes are `multilabel` or `multiclass` there.
Target = Annotated[ExclusiveLabels | SliceClasses, Field(discriminator="kind")]

__all__ = [
    "BACKGROUND",
    "IGNORED",
    "UNKNOWN",
    "ChannelTarget",
    "ClassKind",
    "ExclusiveLabels",
    "HeadClasses",
    "HeadLevel",
    "LabelMap",
    "LabelsOnHalfLogits",
    "Quantities",
    "Quantity",
    "Regions",
    "SliceClasses",
    "Target",
    "TargetSource",
    "VoxelTarget",
    "WrittenRegions",
    "called_classes",
    "channel_meanings",
    "class_index",
    "class_probabilities",
    "on_logits",
    "regions_of",
]
