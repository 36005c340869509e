"""Metrics of real labels against independent libraries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from medseg.evaluation.segmentation import EvaluationContract, case_metrics
from medseg.geometry import Geometry
from medseg.records import Array
from medseg.scans import read_label
from monai.metrics import compute_hausdorff_distance, compute_surface_dice

pytestmark = [
    pytest.mark.data,
    pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning"),  # MONAI's own call of itself
]
TOLERANCE_MM = 2.0


def labels_of(data: Path) -> list[tuple[str, Array, Geometry]]:
    """The organs of a CT, and the parts of two hippocampi."""
    paths = [data / "ct_organs" / "example_seg.nii.gz"]
    paths += sorted((data / "msd_hippocampus" / "labelsTr").glob("*.nii.gz"))[:2]
    return [(path.name, *read_label(path, case_id=path.name)) for path in paths]


def shifted(label: Array) -> Array:
    mask = np.zeros_like(label)
    mask[2:, 1:] = label[:-2, :-1]
    return mask


def test_overlaps_are_those_of_simpleitk_and_distances_those_of_monai(real_data: Path) -> None:
    for name, label, geometry in labels_of(real_data):
        mask = shifted(label)
        values = [int(value) for value in np.unique(label) if value]
        contract = EvaluationContract.model_validate(
            {"labels": {str(value): value for value in values}, "tolerances_mm": (TOLERANCE_MM,)}
        )
        rows = {int(row.label): row.values for row in case_metrics(label, mask, geometry, contract, case_id=name)}
        overlap = SimpleITK.LabelOverlapMeasuresImageFilter()
        overlap.Execute(*(SimpleITK.GetImageFromArray(part.astype(np.uint16)) for part in (label, mask)))
        shared = {"include_background": True, "spacing": list(geometry.spacing_mm)}
        for value in values[:12]:
            if not (mask == value).any():
                continue
            found = rows[value]
            assert found["dice"] == pytest.approx(overlap.GetDiceCoefficient(value), rel=1e-6)
            assert found["iou"] == pytest.approx(overlap.GetJaccardCoefficient(value), rel=1e-6)
            ours, theirs = (torch.from_numpy(part == value)[None, None] for part in (mask, label))
            expected = float(compute_hausdorff_distance(ours, theirs, percentile=95, **shared))
            assert found["hd95_mm"] == pytest.approx(expected, rel=1e-6), (name, value)
            expected = float(
                compute_surface_dice(ours, theirs, class_thresholds=[TOLERANCE_MM], use_subvoxels=True, **shared)
            )
            assert found["surface_dice_2mm"] == pytest.approx(expected, rel=1e-6), (name, value)
