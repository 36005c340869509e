"""A training on scans that are mostly padding, and the masks of its model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import medseg
import numpy as np
import pytest
import torch
from medseg.geometry import Geometry
from medseg.inference.segmentation import InferenceConfig, Predictor
from medseg.manifest import load_manifest, read_case
from medseg.planning import load_plan
from medseg.preprocess.segmentation import prepare_cases
from medseg.scans import write_scan
from medseg.training.segmentation.validate import validate_volume

GRID = Geometry((40, 36, 30), np.diag([4.0, 4.0, 4.0, 1.0]))
BODY = (slice(10, 30), slice(9, 27), slice(7, 23))
SMALL: dict[str, Any] = {
    "network": {
        "channels": [4, 8],
        "strides": [[1, 1, 1], [2, 2, 2]],
        "kernels": [[3, 3, 3]] * 2,
        "blocks": [1, 1],
        "decoder_blocks": [1],
    },
    "training": {"batch_size": 2, "patch_size": [16, 16, 16], "patches_per_case": 2, "validations": 1},
    "inference": {"patch_size": [16, 16, 16]},
}


def write_dataset(folder: Path, *, is_cut: bool = False) -> Path:
    """Four padded patients with a bright organ; with a voxel of it in the padding of one, if asked."""

    entries = []
    for n in range(4):
        image, label = np.zeros((1, *GRID.shape), np.float32), np.zeros((1, *GRID.shape), np.uint8)
        image[0][BODY] = np.random.default_rng(n).normal(100, 10, image[0][BODY].shape)
        label[0, 14:24, 13:22, 11:19] = 1
        image += 60 * label
        label[0, 0, 0, 0] = is_cut and n == 0
        write_scan(image, GRID, folder / f"c{n}.nii.gz")
        write_scan(label, GRID, folder / f"c{n}_label.nii.gz")
        entries.append({"case_id": f"c{n}", "image": f"c{n}.nii.gz", "label": f"c{n}_label.nii.gz", "fold": n % 2})
    content = {"name": "padded", "channel_names": {"0": "MR"}, "labels": {"background": 0, "organ": 1}}
    (folder / "dataset.json").write_text(json.dumps(content | {"training": entries}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training."""
    folder = write_dataset(tmp_path_factory.mktemp("padded"))
    store = folder / "store"
    medseg.train(folder, out=folder / "run", epochs=4, config=SMALL, tracking=False, store=store, device="cpu")
    return folder / "run"


def test_plan_crops_and_predictions_have_the_scan_s_grid(run: Path) -> None:
    plan = load_plan(run / "plan.yaml")
    assert plan.preprocess.body is not None
    manifest = load_manifest(run.parent / "dataset.json")[0]
    scan, _ = read_case(manifest.cases[0], manifest, run.parent)
    mask = Predictor.load(run, device=torch.device("cpu")).mask(scan)
    assert mask.shape == GRID.shape


def test_validation_draws_the_mask_that_prediction_draws(run: Path) -> None:
    plan, manifest = load_plan(run / "plan.yaml"), load_manifest(run.parent / "dataset.json")[0]
    predictor = Predictor.load(run, device=torch.device("cpu"))
    scan, label = read_case(manifest.cases[0], manifest, run.parent)
    done = prepare_cases(manifest.cases[:1], manifest, run.parent, config=plan.preprocess, store=run.parent / "store")
    case = done.cases[0]
    assert case.box is not None
    mask, rows = validate_volume(
        predictor.network,
        case,
        InferenceConfig(**plan.inference.model_dump()),
        target=predictor.target,
        device=predictor.device,
        precision=predictor.precision,
    )
    assert (mask != predictor.mask(scan)).mean() < 1e-3  # the store holds half precision
    both = float(np.count_nonzero((mask == 1) & (label == 1)))
    assert rows[0].values["dice"] == pytest.approx(2 * both / (np.count_nonzero(mask) + np.count_nonzero(label)))


def test_labels_that_a_crop_cuts_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_dataset(tmp_path, is_cut=True)
    body = {"above": [None], "margin_mm": 2}
    changes = SMALL | {"preprocess": {"body": body}}
    options: dict[str, Any] = {"epochs": 1, "tracking": False, "store": tmp_path / "store", "device": "cpu"}
    medseg.train(folder, out=tmp_path / "run", fold="1", **options, config=SMALL)
    assert load_plan(tmp_path / "run" / "plan.yaml").preprocess.body is None
    assert "outside of the body's box" not in caplog.text
    medseg.train(folder, out=tmp_path / "forced", fold="1", **options, config=changes)
    assert "label organ has voxels outside of the body's box, which no mask will hold, in case(s) c0" in caplog.text
