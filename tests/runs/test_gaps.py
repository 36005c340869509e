"""What the cases of a training lack is said before it begins, and a filled-in channel makes no NaN."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import medseg
import numpy as np
import pytest
from medseg.preprocess.classification import StoredSlices
from medseg.preprocess.classification.targets import SliceTargets
from medseg.preprocess.segmentation import StoredCase
from medseg.runs.classification.labels import LabelledSlices, warn_of_absent
from medseg.runs.segmentation.gaps import warn_of_gaps
from medseg.runs.train import TrainResult
from medseg.scans import read_label, write_scan
from medseg.targets import SliceClasses
from safetensors.numpy import load_file

from tests.grids import grid
from tests.manifest.datasets import manifest_of

GRID = grid((20, 18, 16))
SMALL: dict[str, Any] = {
    "network": {
        "channels": [4, 8],
        "strides": [[1, 1, 1], [2, 2, 2]],
        "kernels": [[3, 3, 3]] * 2,
        "blocks": [1, 1],
        "decoder_blocks": [1],
    },
    "training": {"batch_size": 2, "patch_size": [16, 16, 16], "patches_per_case": 1},
    "inference": {"patch_size": [16, 16, 16]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six patients of two channels: c2 has a T2 of zeros, and the label `rare` is in c0 of fold 0 alone."""
    folder = tmp_path_factory.mktemp("gaps")
    entries = []
    for n in range(6):
        label = np.zeros((1, *GRID.shape), np.uint8)
        label[:, 6:11, 5:12, 4:9] = 1
        label[:, 2:4, 2:4, 2:4] = 2 if n == 0 else 0
        image = (np.random.default_rng(n).normal(100, 10, (2, *GRID.shape)) + 60 * label).astype(np.float32)
        image[1] *= n != 2
        write_scan(image, GRID, folder / f"c{n}.nii.gz")
        write_scan(label, GRID, folder / f"c{n}_label.nii.gz")
        files = {"image": f"c{n}.nii.gz", "label": f"c{n}_label.nii.gz"}
        entries.append({"case_id": f"c{n}", "patient_id": f"p{n}", "fold": int(n > 1), **files})
    content = {"name": "gaps", "channel_names": {"0": "T1", "1": "T2"}, "training": entries}
    labels = {"background": 0, "organ": 1, "rare": 2}
    (folder / "dataset.json").write_text(json.dumps({**content, "labels": labels}))
    return folder


def train(folder: Path, place: Path, *, fold: str) -> TrainResult:
    return medseg.train(
        folder, out=place / "run", fold=fold, epochs=2, config=SMALL, store=place / "store", device="cpu",
        tracking=False,
    )  # fmt: skip


def test_gaps_are_said_and_nothing_becomes_nan(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    result = train(folder, tmp_path, fold="0")
    said = [record.getMessage() for record in caplog.records]
    assert said.count("channel T2 holds one value everywhere in case(s) c2") == 1
    (rare,) = [one for one in said if one.startswith("label rare has no voxel in any training case")]
    assert "1 validation case(s) show it: another fold may suit better" in rare
    assert result.failures == ()
    with (result.folder / "curves.csv").open() as stream:
        losses = [float(row["train_loss"]) for row in csv.DictReader(stream)]
    assert np.isfinite(losses).all()
    for weights in load_file(result.folder / "model" / "last.safetensors").values():
        assert np.isfinite(weights).all()

    caplog.clear()
    drawn = medseg.predict(result.folder, folder, out=tmp_path / "masks", device="cpu")
    assert [record.getMessage() for record in caplog.records] == ["case c2: channel T2 holds one value everywhere"]
    assert drawn.failures == ()
    for one in drawn.predictions:
        assert set(np.unique(read_label(one.mask_path, case_id="c")[0])) <= {0, 1, 2}


def test_other_fold_has_the_label(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(folder, tmp_path, fold="1")
    assert "label rare" not in caplog.text


def test_class_of_no_training_case_is_said(caplog: pytest.LogCaptureFixture) -> None:
    cases = [StoredSlices(name, name, Path("nowhere"), np.arange(2.0), 2, False, None) for name in "ab"]
    shown = {"a": [[1, 0, 0], [0, 0, 0]], "b": [[0, 0, -1], [1, 1, -1]]}
    truth = {name: SliceTargets(np.array(rows, np.int8), np.max(rows, axis=0)) for name, rows in shown.items()}
    targets = SliceClasses(classes=("liver", "spleen", "cyst"))
    warn_of_absent(LabelledSlices((cases[0],), (cases[1],), truth, ()), targets)
    absent = [record.getMessage().split()[1] for record in caplog.records]
    assert absent == ["spleen", "cyst"]


@pytest.mark.parametrize(("voxels", "is_said"), [({1: 3, 9: 5}, True), ({0: 1, 1: 3, 9: 5}, False)])
def test_background_that_no_training_case_annotates_is_said(
    voxels: dict[int, int], is_said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    case = StoredCase("a", Path("nowhere"), GRID.shape, GRID, GRID, voxels)
    labels = {"background": 0, "organ": 1}
    warn_of_gaps([case], [], manifest_of([], labels=labels, ignore=9))
    assert ("no training case has annotated background" in caplog.text) == is_said
    caplog.clear()
    warn_of_gaps([case], [], manifest_of([], labels=labels))  # which ignores nothing
    assert "background" not in caplog.text


def test_zeros_that_stand_for_a_missing_mask_are_no_annotated_background(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = manifest_of([], ignore=9)
    scribbled = StoredCase("s", tmp_path, GRID.shape, GRID, GRID, {1: 5, 2: 5, 9: 90})
    unmasked = StoredCase("u", tmp_path, GRID.shape, GRID, GRID, {0: 100}, unannotated=tuple(manifest.foreground))
    for cases, times in (([scribbled, unmasked], 1), ([scribbled, replace(unmasked, unannotated=())], 0)):
        caplog.clear()
        warn_of_gaps(cases, [], manifest)
        said = [record.getMessage() for record in caplog.records]
        assert sum(one.startswith("no training case has annotated background") for one in said) == times
