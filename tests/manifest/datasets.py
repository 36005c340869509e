"""Small dataset.json files and folders for the tests of the manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from medseg.geometry import Geometry
from medseg.manifest import load_manifest
from medseg.records import Case, Manifest
from medseg.scans import write_scan

from tests.grids import OBLIQUE


def write_dataset(folder: Path, content: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def own_content(**changes: Any) -> dict[str, Any]:
    """A dataset.json in our own form, with three training cases and one test case."""
    training = [
        {"case_id": f"c{n}", "patient_id": f"p{n}", "image": f"images/c{n}.nii.gz", "label": f"labels/c{n}.nii.gz"}
        for n in range(3)
    ]
    content = {
        "name": "livers",
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1, "tumour": 2},
        "training": training,
        "test": [{"case_id": "t0", "patient_id": "p9", "image": "images/t0.nii.gz"}],
    }
    return {**content, **changes}


def load_own(folder: Path, **changes: Any) -> Manifest:
    return load_manifest(write_dataset(folder, own_content(**changes)))[0]


def manifest_of(cases: list[Case], **changes: Any) -> Manifest:
    content: dict[str, Any] = {
        "name": "made up",
        "channels": ("CT",),
        "labels": {"background": 0, "liver": 1, "tumour": 2},
        "cases": tuple(cases),
    }
    return Manifest(**{**content, **changes})


def write_case(
    root: Path,
    *,
    label: np.ndarray,
    image_grid: Geometry = OBLIQUE,
    label_grid: Geometry | None = None,
    channels: int = 1,
) -> Case:
    """Write one case of noise with the given label and name its files."""
    noise = np.random.default_rng(0).normal(size=(channels, *image_grid.shape)).astype(np.float32)
    write_scan(noise, image_grid, root / "image.nii.gz")
    write_scan(label[None], label_grid or image_grid, root / "label.nii.gz")
    return Case(case_id="c", patient_id="p", images=("image.nii.gz",), label="label.nii.gz")
