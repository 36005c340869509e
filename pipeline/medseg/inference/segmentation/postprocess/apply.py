"""Rules carried out on a mask, with a record of what they have changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from medseg.inference.postprocessed_record import PostprocessedRecord
from medseg.inference.segmentation.postprocess.config import Postprocessing, StructureRule
from medseg.inference.segmentation.postprocess.parts import Box, Parts, holes, numbered_parts, rimmed
from medseg.records import Labelmap, Mask
from medseg.targets import ExclusiveLabels, VoxelTarget

if TYPE_CHECKING:
    from medseg.inference.segmentation.mask_model import Drawing

_ROUNDING = 1e-9


def postprocessed(drawing: Drawing, rules: Postprocessing | None, *, target: VoxelTarget, voxel_ml: float) -> Drawing:
    """A drawing with the rules carried out on its mask; the drawing itself if there are none."""
    if rules is None:
        return drawing
    mask, changes = postprocess(drawing.mask, rules, target=target, voxel_ml=voxel_ml)
    return replace(drawing, mask=mask, changes=changes)


def postprocess(
    mask: Labelmap, rules: Postprocessing, *, target: VoxelTarget, voxel_ml: float
) -> tuple[Labelmap, tuple[PostprocessedRecord, ...]]:
    """Carry rules out on a mask.

    What is removed becomes background, as if no label had been found there; holes are filled where they are background,
    so that no other label is overwritten.

    Args:
        mask: Mask on the scan's own grid, which is not changed.
        rules: Rules by structure.
        target: Meaning of the mask.
        voxel_ml: Volume of a voxel in millilitres.

    Returns:
        The mask, and a record of each rule that has changed something.
    """
    changes: list[PostprocessedRecord] = []
    changed = mask
    for rule, box in zip(rules.structures, _boxes(mask, rules, target), strict=True):
        part, found = _with_rule(changed[box], rule, target, voxel_ml)
        if found:
            changed = changed.copy(order="K") if changed is mask else changed
            changed[box] = part
        changes += found
    return changed, tuple(changes)


def _boxes(mask: Labelmap, rules: Postprocessing, target: VoxelTarget) -> list[Box]:
    """Where each rule can change something: the box of its label, or the whole scan for structures that may overlap."""
    from scipy import ndimage

    if not isinstance(target, ExclusiveLabels):
        return [tuple(slice(0, size) for size in mask.shape)] * len(rules.structures)
    found = dict(enumerate(ndimage.find_objects(mask), start=1))
    return [rimmed(found.get(target.labels[rule.structure]), mask.shape) for rule in rules.structures]


def first_largest(voxels: Sequence[int]) -> int | None:
    """Place of the largest part, the first of equals; None without any."""
    return max(range(len(voxels)), key=voxels.__getitem__, default=None)


def is_below(voxels: float, smallest_ml: float, *, voxel_ml: float) -> bool:
    """Whether a part of so many voxels is smaller than a volume; rounding aside."""
    return voxels * voxel_ml < smallest_ml * (1 - _ROUNDING)


def _with_rule(
    mask: Labelmap, rule: StructureRule, target: VoxelTarget, voxel_ml: float
) -> tuple[Labelmap, list[PostprocessedRecord]]:
    changes = []
    if rule.keep_largest or rule.smallest_ml is not None:
        where = target.shows(mask, rule.structure)
        parts = numbered_parts(where)
        removed = list(_removed(parts, rule, voxel_ml))
        if removed:
            gone = _of_parts(parts, removed, where)
            mask = target.without(mask, gone, rule.structure)
            changes.append(
                _record(rule, gone, voxel_ml, parts=len(removed), is_emptied=len(removed) == len(parts.voxels))
            )
    if rule.fill_holes:
        filled = holes(target.shows(mask, rule.structure)) & target.is_blank(mask)
        if filled.any():
            mask = target.extended(mask, rule.structure, filled)
            changes.append(_record(rule, filled, voxel_ml, is_filled=True))
    return mask, changes


def _removed(parts: Parts, rule: StructureRule, voxel_ml: float) -> Iterator[int]:
    """Numbers of the parts that a rule removes."""
    sizes = parts.voxels.tolist()
    largest = first_largest(sizes)
    for place, voxels in enumerate(sizes):
        if rule.keep_largest:
            is_removed = place != largest
        else:
            is_removed = rule.smallest_ml is not None and is_below(voxels, rule.smallest_ml, voxel_ml=voxel_ml)
        if is_removed:
            yield place + 1


def _of_parts(parts: Parts, numbers: list[int], where: Mask) -> Mask:
    found = np.zeros_like(where)
    found[parts.box] = np.isin(parts.numbers, numbers)
    return found


def _record(
    rule: StructureRule,
    where: Mask,
    voxel_ml: float,
    *,
    parts: int = 0,
    is_filled: bool = False,
    is_emptied: bool = False,
) -> PostprocessedRecord:
    voxels = int(where.sum())
    return PostprocessedRecord(
        structure=rule.structure,
        rule="holes" if is_filled else "largest part" if rule.keep_largest else "smallest volume",
        voxels=voxels,
        volume_ml=float(f"{voxels * voxel_ml:.5g}"),
        parts=parts,
        is_emptied=is_emptied,
    )
