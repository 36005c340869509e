"""Several models that draw one mask from their mean probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from medseg.errors import ConfigError
from medseg.inference.model_identity import ModelIdentity
from medseg.inference.segmentation.agreement import Agreement
from medseg.inference.segmentation.mask_model import Drawing, MaskModel, Observer
from medseg.inference.segmentation.memory import check_free
from medseg.inference.segmentation.native_values import Course, NativeValues, background
from medseg.inference.segmentation.postprocess import Postprocessing, postprocessed
from medseg.inference.segmentation.predictor import Predictor
from medseg.inference.segmentation.prepared_scan import PreparedScan, observed
from medseg.inference.segmentation.quality import MembersConfidence, statistics_of_many
from medseg.inference.segmentation.value_planes import PreparedMember, ValuePlanes
from medseg.inference.slab import Slab
from medseg.preprocess.body import slices_of
from medseg.preprocess.segmentation.restore import SLAB_BYTES, restore_planes
from medseg.records import Labelmap, Scan
from medseg.targets import VoxelTarget, channel_meanings, regions_of

if TYPE_CHECKING:
    from medseg.inference.segmentation.head.card import HeadCard
    from medseg.inference.segmentation.quality.calibration import ConfidenceCalibration
    from medseg.inference.segmentation.quality.statistics import TrainingStatistics


Keep = Callable[[int, range, Tensor], None]
"""Function that takes an axis of the scan, a range of slices along it and their probabilities `(channels, I, J, K)`."""

Watch = Callable[[Sequence[Tensor]], None]
"""Function that sees the probabilities of each model before they are averaged."""


class Ensemble:
    """Folds, other networks, 2D with 3D: each works on a grid of its own, and all count alike.

    Args:
        members: Loaded models, at least two.

    Raises:
        ConfigError: If their channels, labels or postprocessing differ.
    """

    def __init__(self, members: Sequence[MaskModel]) -> None:
        self.members = tuple(members)
        first = self.members[0]
        for number, other in enumerate(self.members[1:], start=2):
            for what in ("channels", "labels", "postprocessing"):
                one, two = getattr(first, what), getattr(other, what)
                if one != two:
                    raise ConfigError(
                        f"models must have the same {what} to draw one mask, got {one or 'none'} in model 1 and "
                        f"{two or 'none'} in model {number}",
                        remedy="predict with each model into a folder of its own",
                    )
            if channel_meanings(first.target) != channel_meanings(other.target):
                raise ConfigError(
                    "models must all find labels or all find the same regions in the same order, got "
                    f"{_outputs(other.target)} in model {number} and {_outputs(first.target)} in model 1",
                    remedy="predict with each model into a folder of its own",
                )

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the image channels, in order."""
        return self.members[0].channels

    @property
    def labels(self) -> dict[str, int]:
        """Value of each label by name, the background included."""
        return self.members[0].labels

    @property
    def target(self) -> VoxelTarget:
        """Meaning of the averaged values."""
        return self.members[0].target

    @property
    def seen_cases(self) -> tuple[str, ...]:
        """Ids of the cases that some member was trained on."""
        return tuple(dict.fromkeys(case_id for member in self.members for case_id in member.seen_cases))

    @property
    def identities(self) -> tuple[ModelIdentity, ...]:
        """Model behind each network."""
        return tuple(identity for member in self.members for identity in member.identities)

    @property
    def statistics(self) -> TrainingStatistics | None:
        """Statistics of the member with the most training cases; its confidence is not the members' joint one."""
        return statistics_of_many(self.member_statistics)

    @property
    def member_statistics(self) -> tuple[TrainingStatistics | None, ...]:
        """Statistics of each member's training; None where its card has none."""
        return tuple(one for member in self.members for one in member.member_statistics)

    @property
    def postprocessing(self) -> Postprocessing | None:
        """Rules that all members share, for the mask that they draw together."""
        return self.members[0].postprocessing

    @property
    def head(self) -> HeadCard | None:
        """Nothing: several models find no classes together."""
        return None

    @property
    def device(self) -> torch.device:
        """Device of the networks."""
        return self.members[0].device

    def faster(self) -> Ensemble:
        """The same members with less work per scan each."""
        return Ensemble([member.faster() for member in self.members])

    def prepare(self, scan: Scan, *, slab: Slab | None = None) -> PreparedEnsemble:
        """Bring a scan onto the grid of every member."""
        prepared: dict[int, PreparedMember] = {}
        scans: list[PreparedScan] = []
        for number in sorted(range(len(self.members)), key=lambda n: not _is_flat(self.members[n])):
            member = self.members[number]
            if isinstance(member, Predictor):
                scans.append(PreparedScan(member, scan, slab, others=scans))
                prepared[number] = scans[-1]
            else:
                prepared[number] = member.prepare(scan, slab=slab)  # type: ignore[assignment]  # all kinds give planes
        in_order = [prepared[number] for number in range(len(prepared))]
        calibrations = [one.statistics.confidence if one.statistics else {} for one in self.members]
        finish = partial(postprocessed, rules=self.postprocessing, target=self.target, voxel_ml=scan.geometry.voxel_ml)
        return PreparedEnsemble(in_order, self.target, calibrations=calibrations, finish=finish)


def _outputs(target: VoxelTarget) -> str:
    """The outputs of a model in words."""
    regions = regions_of(target)
    return f"the regions {regions}" if regions else f"{target.channels} outputs"


def check_heads(models: Sequence[MaskModel]) -> None:
    """Refuse several models that find classes beside masks, which nobody averages yet.

    Raises:
        ConfigError: If there are several, and one has a head.
    """
    if len(models) > 1 and any(model.head is not None for model in models):
        raise ConfigError(
            f"models with a head of classes must work alone, got {len(models)} models",
            remedy="predict with each model into a folder of its own, or out of fold",
        )


def _is_flat(member: MaskModel) -> bool:
    """Whether a model finishes the slices of a scan one by one, along an axis that others do better to follow."""
    return isinstance(member, Predictor) and member.card.inference.patch_size[2] == 1


class PreparedEnsemble:
    """A scan on the grids of several models.

    Args:
        members: The scan on the grid of each.
        target: Meaning of the averaged values.
        calibrations: Calibration of each model's confidence by structure; if not given, their confidence is not
            measured.
        finish: Changes the mask once it is decided; it stays as it is if not given.

    Raises:
        ScanError: If all of them together need more memory than is free.
    """

    def __init__(
        self,
        members: Sequence[PreparedMember],
        target: VoxelTarget,
        *,
        calibrations: Sequence[Mapping[str, ConfidenceCalibration]] = (),
        finish: Callable[[Drawing], Drawing] = lambda drawing: drawing,
    ) -> None:
        self._target = target
        self._finish = finish
        self._members = members
        self._shape = members[0].shape
        self._drawing = [member for member in members if all(member.box)]
        drawing_first = sorted(zip(calibrations, members, strict=False), key=lambda pair: not all(pair[1].box))
        self._calibrations = [calibration for calibration, _ in drawing_first]
        self._check_free()

    def draw(self, *, observe: Observer | None = None, keep: Keep | None = None) -> Drawing:
        """Average the members' probabilities and decide on the scan's own grid.

        Args:
            observe: As for `PreparedMask.draw`.
            keep: Takes the mean probabilities on the scan's own grid, each voxel once.
        """
        agreement = Agreement(self._target, len(self._members))
        confidence = MembersConfidence(self._target, self._calibrations)

        def watch(values: Sequence[Tensor]) -> None:
            agreement.add(values)
            confidence.observe(values)

        mask = self._target.blank(self._shape)
        if self._drawing:
            planes = [member.planes() for member in self._drawing]
            if keep is None and self._is_one_grid(planes):
                chunks = _means(planes, watch)
                chunks = chunks if observe is None else observed(chunks, observe)
                first = self._drawing[0]
                part = restore_planes(chunks, planes[0].grid, first.native, target=self._target, axis=planes[0].axis)
                mask[(..., *slices_of(first.box))] = part
            else:
                self._draw_natively(mask, planes, watch, _both(observe, keep))
        return self._finish(Drawing(mask, agreement.disagreement(), confidence.found()))

    def _check_free(self, more: int = 0) -> None:
        needed = sum(member.needed_bytes for member in self._drawing) + more
        check_free(needed, self._shape, self._target.channels)

    def _is_one_grid(self, planes: Sequence[ValuePlanes]) -> bool:
        """Whether all members give probabilities of the same voxels in the same order."""
        first = planes[0]
        return len(planes) == len(self._members) and all(
            member.box == self._drawing[0].box
            and other.axis == first.axis
            and other.target == self._target
            and other.grid.shape == first.grid.shape
            and np.allclose(other.grid.affine, first.grid.affine, atol=1e-6)
            for member, other in zip(self._drawing, planes, strict=True)
        )

    def _draw_natively(self, mask: Labelmap, planes: Sequence[ValuePlanes], watch: Watch, keep: Keep) -> None:
        """Average on the scan's own grid, a few slices at a time."""
        courses = [Course.of(member, part) for member, part in zip(self._drawing, planes, strict=True)]
        voxels = [math.prod(part.grid.shape) for part in planes]
        # Planes of all other models must be held at a time.
        course = min(courses, key=lambda one: sum(n for n, other in zip(voxels, courses, strict=True) if other != one))
        along = course.axis
        sources = [
            NativeValues(member, part, self._target, course) for member, part in zip(self._drawing, planes, strict=True)
        ]
        held = sum(source.held_bytes for source in sources)
        if held:
            self._check_free(held)
        for slices in self._slabs(course):
            values = [source.take(slices) for source in sources]
            values += [background(self._target, values[0].shape[1:])] * (len(self._members) - len(values))
            values = _on_one_device(values)
            watch(values)
            mean = torch.stack(values).mean(dim=0)
            keep(along, slices, mean)
            place = tuple(slice(slices.start, slices.stop) if n == along else slice(None) for n in range(3))
            mask[(..., *place)] = self._target.decide(mean)

    def _slabs(self, course: Course) -> Iterator[range]:
        """Ranges of slices that cover the whole scan."""
        size = self._shape[course.axis]
        slice_bytes = 4 * self._target.channels * math.prod(self._shape) // size
        step = max(1, SLAB_BYTES // (slice_bytes * (len(self._members) + 2)))
        starts = range(0, size, step)
        for start in reversed(starts) if course.is_falling else starts:
            yield range(start, min(start + step, size))


def _both(observe: Observer | None, keep: Keep | None) -> Keep:
    """One function that serves both."""

    def serve(axis: int, slices: range, values: Tensor) -> None:
        if observe is not None:
            observe(values)
        if keep is not None:
            keep(axis, slices, values)

    return serve


def _on_one_device(values: Sequence[Tensor]) -> list[Tensor]:
    """Values on the device of a network, if one of them is; those of a background are not."""
    device = next((part.device for part in values if part.device.type != "cpu"), values[0].device)
    return [part.to(device) for part in values]


def _means(planes: Sequence[ValuePlanes], watch: Watch) -> Iterator[Tensor]:
    """Mean of planes of the same grid, in pieces that all members have finished."""
    axis = planes[0].axis + 1
    sources = [iter(part.chunks) for part in planes]
    waiting: list[Tensor | None] = [None] * len(planes)
    while True:
        for number, source in enumerate(sources):
            if waiting[number] is None:
                waiting[number] = next(source, None)
        if any(part is None for part in waiting):
            return
        held = [part for part in waiting if part is not None]
        size = min(part.shape[axis] for part in held)
        values = [part.narrow(axis, 0, size) for part in held]
        watch(values)
        yield torch.stack(values).mean(dim=0)
        for number, part in enumerate(held):
            left = part.shape[axis] - size
            waiting[number] = part.narrow(axis, size, left) if left else None
