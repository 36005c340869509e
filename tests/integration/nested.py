"""Made-up patients with nested structures: a whole lesion, its core, and what enhances in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from medseg.geometry import Geometry
from medseg.scans import write_scan

LABELS = {"background": 0, "rim only": 1, "core only": 2, "enhancing part": 3}
REGIONS = {"whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]}
SIZE = 32
_LEVELS = (0.0, 1.0, 2.0, 3.0)  # brightness of each label
_NOISE = 0.3


def nested_label(rng: np.random.Generator) -> np.ndarray:
    """Three balls, one in the other: 1 in the rim, 2 in the core, 3 where it enhances."""
    centre, radius = rng.uniform(13, 19, 3), rng.uniform(9, 11)
    away = np.linalg.norm(np.indices((SIZE,) * 3) - centre[:, None, None, None], axis=0)
    return sum((away < radius * share).astype(np.uint8) for share in (1, 0.7, 0.45))


def write_nested(folder: Path, *, cases: int, validation: int = 2) -> Path:
    """Write the cases and an own dataset.json with regions; the last ones are of fold 0."""
    rng = np.random.default_rng(7)
    grid = Geometry((SIZE,) * 3, np.diag([2.0, 2.0, 2.0, 1.0]))
    entries = []
    for number in range(cases):
        label = nested_label(rng)
        image = np.array(_LEVELS, np.float32)[label] + rng.normal(0, _NOISE, label.shape).astype(np.float32)
        names = {"image": f"images/n{number}.nii.gz", "label": f"labels/n{number}.nii.gz"}
        for name in names.values():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_scan(image[None], grid, folder / names["image"])
        write_scan(label[None], grid, folder / names["label"])
        fold = 0 if number >= cases - validation else 1
        entries.append({"case_id": f"n{number}", "patient_id": f"p{number}", "fold": fold, **names})
    content = {
        "name": "nested",
        "channel_names": {"0": "MRI"},
        "labels": LABELS,
        "regions": REGIONS,
        "regions_order": [1, 2, 3],
        "training": entries,
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder
