"""Labels of which no training case annotates both are learned from halves, and measured on whole cases."""

from __future__ import annotations

import json
from pathlib import Path

import medseg
import numpy as np
from medseg.geometry import Geometry
from medseg.scans import write_scan

from tests.integration.test_regions_route import TINY

SHAPE = (24, 24, 24)
LABELS = {"background": 0, "dark": 1, "bright": 2}
VALIDATION, TRAINING = 2, 6


def write_halves(folder: Path) -> Path:
    """Two balls in each case, of which those that are trained on annotate the one or the other."""
    rng, grid, entries = np.random.default_rng(3), Geometry(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0])), []
    for number in range(VALIDATION + TRAINING):
        label = np.zeros(SHAPE, np.uint8)
        for value, low in ((1, 6), (2, 17)):
            centre = rng.uniform((low, 7, 7), (low + 1, 17, 17))[:, None, None, None]
            label[np.linalg.norm(np.indices(SHAPE) - centre, axis=0) < 5] = value
        image = np.array([0, 1.5, 3])[label] + rng.normal(0, 0.3, SHAPE)
        entry = {"case_id": f"c{number}", "patient_id": f"p{number}", "fold": int(number >= VALIDATION)}
        if number >= VALIDATION:
            name = ("dark", "bright")[number % 2]
            label[label != LABELS[name]] = 0
            entry["annotated_labels"] = [name]
        write_scan(image[None].astype(np.float32), grid, folder / f"c{number}.nii.gz")
        write_scan(label[None], grid, folder / f"c{number}_label.nii.gz")
        entries.append({**entry, "image": f"c{number}.nii.gz", "label": f"c{number}_label.nii.gz"})
    content = {"name": "halves", "channel_names": {"0": "MR"}, "labels": LABELS, "training": entries}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def test_labels_that_no_case_annotates_together_are_both_learned(tmp_path: Path) -> None:
    (tmp_path / "halves").mkdir()
    result = medseg.train(
        write_halves(tmp_path / "halves"), out=tmp_path / "run", fold=0, epochs=80, changes=TINY,
        store=tmp_path / "store", tracking=False, device="cpu",
    )  # fmt: skip
    found = {entry.label: entry.mean for entry in result.summary.labels if entry.metric == "dice"}
    assert found.keys() == {"dark", "bright"}
    assert min(found.values()) > 0.5, found
