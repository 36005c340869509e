"""The parts and holes of a structure in the masks of all cases, from which the Dice after any rule is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.evaluation.segmentation import find_mask
from medseg.evaluation.segmentation.structure_box import StructureBoxes
from medseg.inference.segmentation.postprocess import first_largest, holes, is_below, numbered_parts, rimmed
from medseg.manifest import case_target, unannotated
from medseg.manifest.case_scans import check_same_grid, read_case_label
from medseg.records import Case, Manifest
from medseg.scans import read_label
from medseg.targets.structure_values import structure_values

_MOST_VOLUMES = 32


@dataclass(frozen=True, slots=True)
class StructureParts:
    """Parts of one structure in the mask of one case.

    Attributes:
        case_id: Id of the case.
        structure: Name of the structure.
        label_voxels: Voxels of the label.
        voxels: Voxels of each part of the mask.
        overlaps: Voxels of each part that the label has, too.
        hole_voxels: Background voxels that the structure encloses.
        hole_overlap: Those of them that the label has.
        voxel_ml: Volume of a voxel in millilitres.
    """

    case_id: str
    structure: str
    label_voxels: int
    voxels: tuple[int, ...]
    overlaps: tuple[int, ...]
    hole_voxels: int
    hole_overlap: int
    voxel_ml: float

    def as_it_is(self) -> float:
        """Dice of the mask."""
        return self._dice(sum(self.voxels), sum(self.overlaps))

    def with_largest(self) -> float:
        """Dice of the largest part alone, the first of equals."""
        largest = first_largest(self.voxels)
        return self.as_it_is() if largest is None else self._dice(self.voxels[largest], self.overlaps[largest])

    def without_small(self, smallest_ml: float | None) -> float:
        """Dice without the parts below a volume; that of the mask if there is none."""
        if smallest_ml is None:
            return self.as_it_is()
        kept = [not is_below(voxels, smallest_ml, voxel_ml=self.voxel_ml) for voxels in self.voxels]
        pairs = zip(self.voxels, self.overlaps, kept, strict=True)
        left = [(voxels, overlap) for voxels, overlap, is_kept in pairs if is_kept]
        return self._dice(sum(voxels for voxels, _ in left), sum(overlap for _, overlap in left))

    def without_holes(self) -> float:
        """Dice of the mask with its holes filled."""
        return self._dice(sum(self.voxels) + self.hole_voxels, sum(self.overlaps) + self.hole_overlap)

    def _dice(self, voxels: int, overlap: int) -> float:
        """Dice; 1 where label and mask are both empty, so that what is rightly removed counts."""
        both = self.label_voxels + voxels
        return 2 * overlap / both if both else 1.0


def parts_of_case(case: Case, manifest: Manifest, root: Path, masks: Path) -> list[StructureParts]:
    """Parts of every structure in the mask of a case.

    Args:
        case: Case with a label.
        manifest: Dataset of the case.
        root: Data root.
        masks: Folder of the masks.
    """
    target = case_target(case, manifest)
    label, grid = read_case_label(case, manifest, root)
    mask, mask_grid = read_label(find_mask(masks, case.case_id), case_id=case.case_id)
    check_same_grid(mask_grid, grid, case_id=case.case_id, thing="mask", reference="label")
    ignored = target.ignored(label)
    if ignored is not None:
        label, mask = (np.where(ignored, array.dtype.type(0), array) for array in (label, mask))
    found = []
    others, boxes = unannotated(case, manifest), StructureBoxes(label, mask)
    for structure, values in structure_values(target).items():
        if structure in others:
            continue
        box = rimmed(boxes.around(values), label.shape)
        reference, where = target.shows(label[box], structure), target.shows(mask[box], structure)
        parts = numbered_parts(where)
        overlaps = np.bincount(parts.numbers[reference[parts.box]].ravel(), minlength=len(parts.voxels) + 1)[1:]
        filled = holes(where) & target.is_blank(mask[box])
        found.append(
            StructureParts(
                case_id=case.case_id,
                structure=structure,
                label_voxels=int(reference.sum()),
                voxels=tuple(parts.voxels.tolist()),
                overlaps=tuple(overlaps.tolist()),
                hole_voxels=int(filled.sum()),
                hole_overlap=int((filled & reference).sum()),
                voxel_ml=grid.voxel_ml,
            )
        )
    return found


def smallest_volume(tables: Sequence[StructureParts]) -> float | None:
    """The volume in millilitres below which removing parts raises the mean Dice most; None where none raises it.

    Tried are volumes between each part that is mostly not of the label and the next larger part, at most 32 of them.

    Args:
        tables: Parts of one structure in some cases.
    """
    volumes = sorted({voxels * one.voxel_ml for one in tables for voxels in one.voxels})
    wrong = {
        voxels * one.voxel_ml
        for one in tables
        for voxels, overlap in zip(one.voxels, one.overlaps, strict=True)
        if 2 * overlap < voxels
    }
    between = [
        float(f"{np.sqrt(volume * after):.4g}")
        for volume, after in zip(volumes, [*volumes[1:], volumes[-1] * 1.2] if volumes else [], strict=True)
        if volume in wrong
    ]
    places = np.unique(np.linspace(0, len(between) - 1, min(len(between), _MOST_VOLUMES)).round().astype(int))
    best, most = None, float(np.mean([one.as_it_is() for one in tables])) if tables else 0.0
    for tried in (between[place] for place in places):
        mean = float(np.mean([one.without_small(tried) for one in tables]))
        if mean > most:
            best, most = tried, mean
    return best


def cross_fitted_volumes(tables: Sequence[StructureParts], folds: Mapping[str, int]) -> dict[int, float | None]:
    """The smallest volume for the cases of each fold, chosen on the cases of all other folds.

    Args:
        tables: Parts of one structure in all cases.
        folds: Fold of each case.
    """
    numbers = sorted({folds[one.case_id] for one in tables})
    return {fold: smallest_volume([one for one in tables if folds[one.case_id] != fold]) for fold in numbers}
