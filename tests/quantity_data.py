"""Small datasets of quantities: a dose that follows the image, so that little training learns it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from medseg.geometry import Geometry
from medseg.scans import write_scan
from scipy import ndimage

PRESCRIPTION = 60.0


def smooth_image(seed: int, shape: tuple[int, int, int]) -> np.ndarray:
    """An image of soft blobs, with mean 0 and deviation 1."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 1.5)
    return ((noise - noise.mean()) / noise.std()).astype(np.float32)


def dose_of(image: np.ndarray) -> np.ndarray:
    """Dose in Gy of a smooth image: half the prescription where it is 0, between 0 and all of it elsewhere."""
    return (PRESCRIPTION / (1 + np.exp(-image))).astype(np.float32)


def write_dose_dataset(
    folder: Path,
    *,
    cases: int = 4,
    shape: tuple[int, int, int] = (16, 14, 12),
    spacing_mm: tuple[float, float, float] = (2.0, 2.0, 3.0),
    unknown: bool = False,
    **changes: Any,
) -> Path:
    """Write images, doses and structures, and the manifest that lists them; the path of the manifest is returned."""
    affine = np.diag([*spacing_mm, 1.0])
    entries = []
    for number in range(cases):
        image = smooth_image(number, shape)
        dose = dose_of(image)
        if unknown:
            dose[:3] = np.nan
        structures = (image > 1).astype(np.uint8)
        name = f"case_{number}"
        write_scan(image[np.newaxis], Geometry(shape, affine), folder / f"{name}_mr.nii.gz")
        write_scan(dose[np.newaxis], Geometry(shape, affine), folder / f"{name}_dose.nii.gz")
        write_scan(structures[np.newaxis], Geometry(shape, affine), folder / f"{name}_structures.nii.gz")
        entries.append(
            {
                "case_id": name,
                "patient_id": f"p{number}",
                "image": f"{name}_mr.nii.gz",
                "quantities": {"dose": f"{name}_dose.nii.gz"},
                "label": f"{name}_structures.nii.gz",
                "fold": number % 2,
            }
        )
    content = {
        "name": "doses",
        "task": "regression",
        "channel_names": {"0": "MR"},
        "labels": {"background": 0, "target": 1},
        "quantities": {"dose": {"unit": "Gy", "prescription": PRESCRIPTION}},
        "training": entries,
    }
    path = folder / "dataset.json"
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")
    return path
