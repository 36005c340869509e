"""A made-up cohort that three raters have drawn: one shifts, one draws too much, one misses the small structure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from medseg.geometry import Geometry
from medseg.records import Labelmap
from medseg.scans import write_scan

LABELS = {"background": 0, "organ": 1, "node": 2}
SHAPE = (24, 20, 12)
SPACING_MM = (1.0, 1.0, 2.0)
GRID = Geometry(SHAPE, np.diag([*SPACING_MM, 1.0]))
RATERS = ("A", "B", "C")


def boxes(i: int = 6, *, node: bool = True, more: int = 0) -> Labelmap:
    """A box of 8×8×6 voxels from voxel `i` on, and a node of 3×4×4 voxels further along.

    Args:
        i: First voxel of the box along i.
        node: Whether the node is drawn.
        more: Voxels by which the box is longer along i.
    """
    label = np.zeros(SHAPE, np.uint8)
    label[i : i + 8 + more, 6:14, 3:9] = 1
    if node:
        label[19:22, 8:12, 4:8] = 2
    return label


def readings(i: int = 6) -> dict[str, Labelmap]:
    """What each rater draws: A the truth two voxels further along i, B two voxels more, C no node."""
    return {"A": boxes(i + 2), "B": boxes(i, more=2), "C": boxes(i, node=False)}


def write_raters(
    folder: Path,
    *,
    cases: int = 3,
    labels: dict[str, int] | None = None,
    entry: dict[str, Any] | None = None,
    **keys: Any,
) -> Path:
    """Write cases with three raters each and a dataset.json; the last case is of fold 0, the others of fold 1.

    Args:
        folder: Folder of the dataset.
        cases: Number of cases.
        labels: Labels of the manifest.
        entry: Keys of every case's entry beside those of the files.
        keys: Keys of the manifest.
    """
    rng = np.random.default_rng(3)
    entries = []
    for number in range(cases):
        i = 4 + number % 3
        names = {"image": f"images/r{number}.nii.gz"}
        image = boxes(i).astype(np.float32)[None] + rng.normal(0, 0.2, (1, *SHAPE)).astype(np.float32)
        write(image, folder / names["image"])
        raters = {}
        for rater, label in readings(i).items():
            raters[rater] = f"labels_{rater}/r{number}.nii.gz"
            write(label[None], folder / raters[rater])
        fold = 0 if number == cases - 1 else 1
        case = {"case_id": f"r{number}", "patient_id": f"p{number}", "fold": fold, **names, "raters": raters}
        entries.append(case | (entry or {}))
    content = {"name": "raters", "channel_names": {"0": "MRI"}, "labels": labels or LABELS, **keys, "training": entries}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def write(array: np.ndarray, path: Path) -> None:
    """Write an array `(C, I, J, K)` on the cohort's grid, folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_scan(array, GRID, path)
