"""Made-up patients of which few have a mask: of the others only the slices with a lesion are listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from medseg.geometry import Geometry
from medseg.scans import write_scan

SHAPE = (16, 14, 12)
_NOISE = 0.3


def lesion(number: int, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """A box that four slices show; none in every third patient."""
    label = np.zeros(shape, np.uint8)
    if number % 3 != 2:
        rng = np.random.default_rng([5, number])
        i, j, k = (int(rng.integers(2, size - side - 1)) for size, side in zip(shape, (5, 5, 4), strict=True))
        label[i : i + 5, j : j + 5, k : k + 4] = 1
    return label


def write_listed(
    folder: Path, *, cases: int = 10, masked: int = 4, validation: int = 3, is_turned: bool = False, **facts: Any
) -> Path:
    """Write scans and dataset.json; the last cases are of fold 0 and have masks, and so have the first ones.

    Args:
        folder: Target folder.
        cases: Patients.
        masked: Training cases with a mask.
        validation: Cases of fold 0.
        is_turned: Whether slices of the files run along the patient's left-right axis, from left to right.
        facts: Further keys of dataset.json.
    """
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    if is_turned:
        affine = np.array([[0.0, 0, -3, 30], [2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1]])
    grid, entries = Geometry(SHAPE, affine), []
    for number in range(cases):
        label = lesion(number)
        noise = np.random.default_rng([6, number]).normal(0, _NOISE, label.shape)
        names = {"image": f"images/l{number}.nii.gz", "label": f"labels/l{number}.nii.gz"}
        for name in names.values():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_scan((2.0 * label + noise).astype(np.float32)[None], grid, folder / names["image"])
        write_scan(label[None], grid, folder / names["label"])
        is_validation = number >= cases - validation
        if not is_validation and number >= masked:
            del names["label"]
        entry = {"case_id": f"l{number}", "patient_id": f"p{number}", "fold": 0 if is_validation else 1, **names}
        entry["slice_labels"] = [["lesion"] if layer.any() else [] for layer in np.moveaxis(label, 2, 0)]
        entry["study_labels"] = ["sick"] if label.any() else []
        entries.append(entry)
    content = {
        "name": "listed",
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "lesion": 1},
        "study_classes": ["sick"],
        "allow_empty_labels": True,
        "training": entries,
    }
    (folder / "dataset.json").write_text(json.dumps({**content, **facts}))
    return folder
