"""A dataset of two quantities from formulas, and predictions of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from medseg.geometry import Geometry
from medseg.scans import write_scan

from tests.evaluation.regression.made_doses import beam
from tests.grids import grid

SHAPE, SPACING_MM = (24, 20, 14), (2.0, 2.5, 3.0)
GRID = grid(SHAPE, spacing_mm=SPACING_MM, angles=(0.1, 0.0, 0.2), origin_mm=(-20, 4, 30), axcodes="LPS")
QUANTITIES: dict[str, Any] = {"dose": {"unit": "Gy", "prescription": 60.0}, "ct": {"unit": "HU"}}
LABELS = {"background": 0, "PTV": 1, "cord": 2, "spleen": 3}


def write_dataset(folder: Path, *, cases: int = 3, errors: Mapping[str, float] | None = None, **changes: Any) -> Path:
    """Write cases `a`, `b`, … whose prediction is off by 0, 1, 2, … Gy and ten times as many HU; give the manifest.

    The third structure, the spleen, is in no case.

    Args:
        folder: Folder that gets `dataset.json`, the scans and `maps/`.
        cases: Number of cases, one per patient.
        errors: Error in Gy of each case by id, in place of those.
        changes: Further keys of the manifest.
    """
    dose = beam(GRID.shape, GRID.spacing_mm)[0]
    label = np.select([dose > 45, dose > 30], [1, 2], 0).astype(np.uint8)
    off_by = errors or {chr(ord("a") + n): float(n) for n in range(cases)}
    entries = []
    for case_id, error in off_by.items():
        ct = (dose * 10 - 300).astype(np.float32)
        volumes = {"image": ct, "dose": dose, "ct": ct, "label": label}
        for name, values in volumes.items():
            write_volume(values, folder / f"{case_id}_{name}.nii.gz")
        write_map(folder / "maps", "dose", case_id, dose + np.float32(error))
        write_map(folder / "maps", "ct", case_id, ct - np.float32(10 * error))
        entries.append(
            {
                "case_id": case_id,
                "patient_id": f"p{case_id}",
                "image": f"{case_id}_image.nii.gz",
                "label": f"{case_id}_label.nii.gz",
                "quantities": {name: f"{case_id}_{name}.nii.gz" for name in QUANTITIES},
            }
        )
    content = {
        "name": "beams",
        "task": "regression",
        "channel_names": {"0": "CT"},
        "quantities": QUANTITIES,
        "labels": LABELS,
        "training": entries,
    }
    path = folder / "dataset.json"
    path.write_text(json.dumps(content | changes), encoding="utf-8")
    return path


def write_map(maps: Path, quantity: str, case_id: str, values: np.ndarray, *, unit: str | None = "") -> None:
    """Write predicted values with their unit beside them: that of the manifest, another one, or none."""
    write_volume(values, maps / quantity / f"{case_id}.nii.gz")
    stated = QUANTITIES[quantity]["unit"] if unit == "" else unit
    (maps / quantity / f"{case_id}.json").write_text(json.dumps({"unit": stated}), encoding="utf-8")


def write_volume(values: np.ndarray, path: Path, *, geometry: Geometry = GRID) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_scan(values[None], geometry, path)
