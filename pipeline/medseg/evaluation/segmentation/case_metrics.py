"""All metrics of a contract for one case, on the scan's own grid, in millimetres and millilitres.

Where definitions agree, the numbers do: Dice, IoU and confusion with any library; Hausdorff distances and their mean
with MONAI (symmetric, beyond the scan is outside); the surface Dice with DeepMind's surface-distance and with MONAI's
`use_subvoxels`. MONAI's surface Dice without it counts voxels in place of areas, DeepMind's percentile and mean weigh
distances by area, and SimpleITK's Hausdorff distance is that of all voxels, so that a cavity in one of the masks gives
it another number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medseg.errors import GeometryError
from medseg.evaluation.segmentation.contract import EvaluationContract, surface_dice_name
from medseg.evaluation.segmentation.object_metrics import object_metrics
from medseg.evaluation.segmentation.same_grid import check_same_shape
from medseg.evaluation.segmentation.structure_box import StructureBoxes
from medseg.evaluation.segmentation.surface_distances import solid_axes, surface_distances
from medseg.evaluation.segmentation.surface_elements import ROUNDING_VOXELS, surface_elements
from medseg.geometry import Geometry
from medseg.records import Array, CaseMetrics, Labelmap, Mask

NAN = float("nan")
_DISTANCES = ("hd95_mm", "hd_mm", "assd_mm", "centre_distance_mm")


def case_metrics(
    label: Labelmap,
    mask: Labelmap,
    geometry: Geometry,
    contract: EvaluationContract,
    *,
    case_id: str,
    objects: Labelmap | None = None,
) -> list[CaseMetrics]:
    """Measure every label and region of a contract in one case.

    TP, FP, FN and TN are the voxels of a structure that both, only the mask, only the label and none of them hold, V
    and U the volumes of mask and label; surfaces are those of `surface_distances` and `surface_elements`.

    | metric | meaning | undefined |
    | --- | --- | --- |
    | `dice`, `iou` | 2 TP / (2 TP + FP + FN), TP / (TP + FP + FN) | both empty |
    | `accuracy` | (TP + TN) / all; the background dominates it | |
    | `sensitivity`, `precision` | TP / (TP + FN), TP / (TP + FP) | both empty; sensitivity without a label |
    | `specificity` | TN / (TN + FP) | the label fills the scan |
    | `hd_mm`, `hd95_mm` | largest, 95th percentile of the distances of a direction; the larger of both | one empty |
    | `assd_mm` | mean of the distances of both directions together | one empty |
    | `surface_dice_1mm` | share of both surfaces within a tolerance of the other; one per tolerance | both empty |
    | `volume_difference_ml` | V - U | |
    | `volume_similarity` | 1 - abs(V - U) / (V + U) | both empty |
    | `centre_distance_mm` | distance of the centres of mass | one empty |
    | `objects_…` | as `object_metrics` has them, for the structures in `contract.objects` | |

    What is undefined is NaN, but for empty structures: where one of the two is empty, shares are 0 and distances the
    diagonal of the scan, unless the contract leaves them out; where both are, it may count them as perfect, 1 and 0 mm.

    Args:
        label: Label values of the reference, shape `(I, J, K)`.
        mask: Label values of the prediction on the same grid.
        geometry: Grid of both.
        contract: What is measured, with its labels.
        case_id: Id of the case.
        objects: The reference's objects numbered from 1, where they are known; else they are its connected parts.

    Raises:
        GeometryError: If the shapes differ, or are not that of the grid.

    Source: Maier-Hein et al. 2024, https://doi.org/10.1038/s41592-023-02151-z; the volume similarity of Taha and
        Hanbury 2015, https://doi.org/10.1186/s12880-015-0068-x.
    """
    check_same_shape(label, mask)
    if label.shape != geometry.shape:
        fact = f"label must have the {geometry.shape} voxels of its grid, got {label.shape}"
        raise GeometryError(fact, case_id=case_id)
    boxes = StructureBoxes(label, mask)
    rows = []
    for name, values in contract.structures.items():
        box = boxes.around(values)
        in_label, in_mask = boxes.masks(values, box) if box else (np.zeros((1, 1, 1), bool),) * 2
        numbered = in_label if objects is None or box is None else np.where(in_label, objects[box], 0)
        part = _Structure(name, in_label, in_mask, numbered, geometry, contract)
        rows.append(
            CaseMetrics(case_id, name, part.values(), label_voxels=part.label_voxels, mask_voxels=part.mask_voxels)
        )
    return rows


@dataclass(frozen=True, eq=False)
class _Structure:
    """One structure of a case, cut to the box that it fills.

    Attributes:
        name: Name of the label or region.
        label: Its voxels in the reference, bool, in the box.
        mask: Its voxels in the prediction.
        objects: Its numbered objects in the reference, or `label` where they are not known.
        geometry: The whole grid.
        contract: What is measured.
    """

    name: str
    label: Mask
    mask: Mask
    objects: Mask | Labelmap
    geometry: Geometry
    contract: EvaluationContract

    @cached_property
    def label_voxels(self) -> int:
        """Voxels of the reference."""
        return int(np.count_nonzero(self.label))

    @cached_property
    def mask_voxels(self) -> int:
        """Voxels of the prediction."""
        return int(np.count_nonzero(self.mask))

    def values(self) -> dict[str, float]:
        """Value by name, in the contract's order."""
        measured = self._overlaps() | self._volumes() | self._distances() | self._surface_dice()
        wanted = {name: self._by_policy(name, measured[name]) for name in self.contract.values_of(self.name)}
        if self.name in self.contract.objects:
            wanted |= object_metrics(self.objects, self.mask, match_iou=self.contract.match_iou)
        return wanted

    def _by_policy(self, name: str, value: float) -> float:
        """A value, or what the contract says of empty structures in place of an undefined one."""
        empty = (self.label_voxels == 0) + (self.mask_voxels == 0)
        is_length = name in _DISTANCES
        if empty == 2 and value != value and self.contract.both_empty == "perfect":
            return 0.0 if is_length else 1.0
        if empty == 1 and name not in ("accuracy", "specificity", "volume_difference_ml"):
            return value if self.contract.one_empty == "worst" else NAN
        return value

    def _overlaps(self) -> dict[str, float]:
        both = int(np.count_nonzero(self.label & self.mask))
        label, mask = self.label_voxels, self.mask_voxels
        voxels = math.prod(self.geometry.shape)
        neither = voxels - label - mask + both
        return {
            "dice": _ratio(2 * both, label + mask),
            "iou": _ratio(both, label + mask - both),
            "accuracy": (both + neither) / voxels,
            "sensitivity": _ratio(both, label),
            "specificity": _ratio(neither, voxels - label),
            "precision": _ratio(both, mask) if mask or not label else 0.0,
        }

    def _volumes(self) -> dict[str, float]:
        label, mask = self.label_voxels, self.mask_voxels
        return {
            "volume_difference_ml": (mask - label) * self.geometry.voxel_ml,
            "volume_similarity": 1 - abs(mask - label) / (mask + label) if mask + label else NAN,
        }

    def _distances(self) -> dict[str, float]:
        wanted = [name for name in _DISTANCES if name in self.contract.metrics]
        if not wanted or not (self.label_voxels and self.mask_voxels):
            is_one_empty = bool(self.label_voxels or self.mask_voxels)
            return dict.fromkeys(_DISTANCES, self._diagonal_mm() if is_one_empty else NAN)
        found = {"centre_distance_mm": self._centre_distance_mm()}
        if wanted != ["centre_distance_mm"]:
            label, mask, spacing_mm = self._solid()
            distances = surface_distances(label, mask, spacing_mm=spacing_mm)
            found |= {"hd95_mm": distances.percentile_mm(95), "hd_mm": distances.percentile_mm(100)}
            found["assd_mm"] = distances.mean_mm()
        return found

    def _surface_dice(self) -> dict[str, float]:
        if "surface_dice" not in self.contract.metrics:
            return {}
        tolerances = self.contract.tolerances_of(self.name)
        if not (self.label_voxels and self.mask_voxels):
            is_one_empty = bool(self.label_voxels or self.mask_voxels)
            return dict.fromkeys(map(surface_dice_name, tolerances), 0.0 if is_one_empty else NAN)
        label, mask, spacing_mm = self._solid()
        elements = surface_elements(label, mask, spacing_mm=spacing_mm)
        rounding = ROUNDING_VOXELS * min(spacing_mm)
        return {surface_dice_name(mm): elements.agreeing_share(mm + rounding) for mm in tolerances}

    def _solid(self) -> tuple[Mask, Mask, tuple[float, ...]]:
        """Both masks and the voxel size without the axes along which the scan has one voxel."""
        axes = solid_axes(self.geometry.shape)
        shape = [self.label.shape[axis] for axis in axes]
        spacing_mm = tuple(self.geometry.spacing_mm[axis] for axis in axes)
        return self.label.reshape(shape), self.mask.reshape(shape), spacing_mm

    def _diagonal_mm(self) -> float:
        return float(np.linalg.norm(np.array(self.geometry.shape) * self.geometry.spacing_mm))

    def _centre_distance_mm(self) -> float:
        centres = [_centre(part) for part in (self.label, self.mask)]
        return float(np.linalg.norm((centres[0] - centres[1]) * np.array(self.geometry.spacing_mm)))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else NAN


def _centre(part: Mask) -> Array:
    """Mean voxel index along each axis of a mask that is not empty."""
    counts = [part.sum(axis=tuple(a for a in range(part.ndim) if a != axis)) for axis in range(part.ndim)]
    return np.array([np.average(np.arange(len(count)), weights=count) for count in counts])
