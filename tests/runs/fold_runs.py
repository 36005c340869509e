"""Trainings of all folds whose networks know their answer, made without any training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from medseg.atomic import write_json
from medseg.inference.segmentation import save_card
from medseg.manifest import assign_folds, load_manifest, manifest_digest
from medseg.networks import save_weights
from medseg.runs.run_folder import RunFolder, RunRecord
from medseg.scans import write_scan
from torch import Tensor, nn

from tests.grids import grid
from tests.remedies.inference import model_card

GRID = grid((20, 12, 10), spacing_mm=(2.0, 2.0, 2.5))  # a voxel is 0.01 ml
LABELS = {"background": 0, "organ": 1, "pair": 2}
FOLDS = 3


class Levels(nn.Module):
    """The label of a voxel is its intensity, rounded once a shift of the network's own is added."""

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor([shift]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([-20 * (x + self.shift - value).abs() for value in range(3)], dim=1)


def levels(config: object) -> nn.Module:
    """Builds it untrained."""
    return Levels()


def write_dataset(folder: Path, images: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Path:
    """A dataset of intensities and labels by case, in three folds."""
    entries = []
    for number, (name, (image, label)) in enumerate(images.items()):
        write_scan(image[None].astype(np.float32), GRID, folder / f"{name}.nii.gz")
        write_scan(label[None].astype(np.uint8), GRID, folder / f"{name}_label.nii.gz")
        files = {"image": f"{name}.nii.gz", "label": f"{name}_label.nii.gz"}
        entries.append({"case_id": name, "patient_id": f"p_{name}", "fold": number % FOLDS, **files})
    content: dict[str, Any] = {"name": "levels", "channel_names": {"0": "MR"}, "labels": LABELS, "training": entries}
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def write_folds(
    folder: Path, dataset: Path, *, shifts: tuple[float, ...] = (0.0,) * FOLDS, outputs: int = 3, **changes: Any
) -> Path:
    """A training of all folds of that dataset: a network of `Levels`, or of another with a shift, for each."""
    manifest = assign_folds(load_manifest(dataset)[0])
    write_json(folder / "folds.json", {"budget": None, "epochs": 1, "mlflow_run_id": None, "tracking_uri": None})
    for fold, shift in enumerate(shifts):
        run = RunFolder(folder / f"fold_{fold}")
        groups = {
            is_in: tuple(c.case_id for c in manifest.cases if (c.fold == fold) is is_in) for is_in in (True, False)
        }
        network = model_card().network.model_copy(update={"out_channels": outputs})
        identity = {"trained_on": groups[False], "own_network": "levels", "plan_digest": f"{folder.name}{fold}"}
        save_card(model_card(labels=LABELS, network=network, **identity, **changes), run.model)
        save_weights(Levels(shift).state_dict(), run.model / "last.safetensors")
        record = RunRecord(
            fold=str(fold),
            seed=None,
            budget=None,
            epochs=1,
            manifest_digest=manifest_digest(manifest),
            plan_digest="",
            mlflow_run_id=None,
            tracking_uri=None,
            training=groups[False],
            validation=groups[True],
        )
        run.save_record(record)
        run.validation.with_suffix(".json").write_text("{}", encoding="utf-8")
    return folder


def patients(count: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """An organ of one part with a speckle beside it that no label has, and a structure that truly is in two parts.

    The speckle has 3 to 7 voxels. The organ has a hole in the odd cases, which its label has, too.
    """
    found = {}
    for number in range(count):
        label = np.zeros(GRID.shape, np.uint8)
        label[1:6, 1 : 6 + number % 3, 1:6] = 1
        label[9:12, 1:4, 1:5] = label[15:18, 7:10, 5:9] = 2
        if number % 2:
            label[3, 3, 3] = 0
        image = label.astype(np.float32)
        image[8 : 11 + number % 5, 10, 1] = 1
        found[f"c{number:02d}"] = (image, label)
    return found
