"""What a training leaves in the model's card for the flags of later masks, and the flags of a prediction."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import medseg
import numpy as np
import pytest
from medseg.inference import load_record
from medseg.inference.segmentation import load_card
from medseg.inference.segmentation.quality import TrainingStatistics
from medseg.runs.segmentation.predict import PredictResult
from medseg.scans import write_scan

from tests.grids import grid

TRAINING, VALIDATION = 8, 6
GRID = grid((20, 18, 16), spacing_mm=(2.0, 2.0, 2.0))
SMALL: dict[str, Any] = {
    "network": {
        "channels": [8, 16],
        "strides": [[1, 1, 1], [2, 2, 2]],
        "kernels": [[3, 3, 3]] * 2,
        "blocks": [1, 1],
        "decoder_blocks": [1],
    },
    "training": {"batch_size": 2, "patch_size": [16, 16, 16], "patches_per_case": 2, "validations": 1},
    "inference": {"patch_size": [16, 16, 16]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patients of MR with a bright organ of 5·7·5 voxels, which is a layer thicker in those of fold 0."""
    folder = tmp_path_factory.mktemp("organs")
    entries = []
    for n in range(TRAINING + VALIDATION):
        label = np.zeros((1, *GRID.shape), np.uint8)
        label[:, 6 : 11 + (n < VALIDATION), 5:12, 4:9] = 1
        image = np.random.default_rng(n).normal(100, 10, (1, *GRID.shape)).astype(np.float32) + 60 * label
        write_scan(image, GRID, folder / f"c{n}.nii.gz")
        write_scan(label, GRID, folder / f"c{n}_label.nii.gz")
        files = {"image": f"c{n}.nii.gz", "label": f"c{n}_label.nii.gz", "modality": "MR"}
        entries.append({"case_id": f"c{n}", "patient_id": f"p{n}", "fold": int(n >= VALIDATION), **files})
    content = {"name": "organs", "channel_names": {"0": "MR"}, "labels": {"background": 0, "organ": 1}}
    (folder / "dataset.json").write_text(json.dumps(content | {"training": entries}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    """A training that is validated on fold 0."""
    options: dict[str, Any] = {"epochs": 6, "config": SMALL, "store": folder / "store", "tracking": False}
    medseg.train(folder, out=folder / "run", fold="0", device="cpu", **options)
    return folder / "run"


def statistics_of(run: Path) -> TrainingStatistics:
    statistics = load_card(run).training_statistics
    assert statistics is not None
    return statistics


def predict(run: Path, *scans: Path, out: Path) -> PredictResult:
    return medseg.predict(run, scans, out=out, device="cpu")


def test_statistics_are_of_the_training_cases_alone(run: Path) -> None:
    statistics = statistics_of(run)
    organ = statistics.structures["organ"]
    assert statistics.cases == organ.present == TRAINING
    assert organ.size is not None
    assert organ.size.p5 == organ.size.p95 == pytest.approx(5 * 7 * 5 * 0.008)  # the validation's have 6·7·5 voxels
    assert (organ.touching, organ.parts_median) == (0, 1)
    assert [spread.median for spread in statistics.scans.extent] == [40, 36, 32]
    assert statistics.scans.modalities == ("MR",)


def test_confidence_is_calibrated_by_the_validation(run: Path) -> None:
    statistics = statistics_of(run)
    calibration = statistics.confidence["organ"]
    assert calibration.cases == statistics.validation_cases == VALIDATION
    dice = json.loads((run / "validation.json").read_text(encoding="utf-8"))["means"]["dice"]
    assert calibration.p5 - 0.01 <= dice <= calibration.p95 + 0.01
    assert 0.5 <= calibration.limit <= calibration.p5 - 0.05
    assert statistics.validation_flagged <= 1


def test_card_names_no_case_but_where_it_lists_them(run: Path) -> None:
    content = json.loads((run / "model" / "model.json").read_text(encoding="utf-8"))
    assert '"c7' not in json.dumps(content["training_statistics"])


def test_ordinary_scan_has_a_confidence_and_no_flag(run: Path, folder: Path, tmp_path: Path) -> None:
    result = predict(run, folder / "c1.nii.gz", out=tmp_path / "masks")
    assert result.warnings == ()
    (case,) = result.cases
    assert case.flags == ()
    assert case.confidence is not None
    assert 0.5 < (case.confidence["organ"] or 0) <= 1


def test_zeros_another_size_and_another_place_are_flagged_in_the_record(run: Path, tmp_path: Path) -> None:
    write_scan(np.zeros((1, *GRID.shape), np.float32), GRID, tmp_path / "in" / "zeros.nii.gz")
    large = grid((60, 54, 48), spacing_mm=(2.0, 2.0, 2.0))
    noise = np.random.default_rng(0).normal(100, 10, (1, *large.shape)).astype(np.float32)
    write_scan(noise, large, tmp_path / "in" / "large.nii.gz")
    predict(run, tmp_path / "in", out=tmp_path / "masks")
    record = load_record(tmp_path / "masks")
    assert record is not None
    flags = {case.case_id: case.flags for case in record.cases}
    assert flags["zeros"][0].reason == "channel MR holds one value, 0, everywhere"
    assert "grid" in {flag.kind for flag in flags["large"]}
    sidecar = json.loads((tmp_path / "masks" / "zeros.json").read_text(encoding="utf-8"))
    assert sidecar["flags"][0]["kind"] == "intensity"


def test_model_without_statistics_says_so_once(run: Path, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / "model" / "model.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["training_statistics"]
    path.write_text(json.dumps(content), encoding="utf-8")
    result = predict(tmp_path / "run", folder / "c1.nii.gz", folder / "c2.nii.gz", out=tmp_path / "masks")
    (warning,) = result.warnings
    assert "holds no statistics of its training scans" in warning
    assert all(case.confidence is None for case in result.cases)


def test_training_on_all_cases_has_statistics_and_no_calibration(folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 1, "config": SMALL, "store": folder / "store", "tracking": False}
    medseg.train(folder, out=tmp_path / "run", fold="all", device="cpu", **options)
    statistics = statistics_of(tmp_path / "run")
    assert statistics.cases == TRAINING + VALIDATION
    assert statistics.confidence == {}
    result = predict(tmp_path / "run", folder / "c1.nii.gz", out=tmp_path / "masks")
    assert result.warnings == ()
    assert [case.confidence for case in result.cases] == [None]


def test_report_shows_what_is_usual(run: Path, folder: Path, tmp_path: Path) -> None:
    medseg.report(run, out=tmp_path / "report", dataset=folder)
    card = next(path for path in (tmp_path / "report").iterdir() if path.suffix == ".md").read_text(encoding="utf-8")
    assert "What is usual, and what a later mask is flagged by" in card
    (row,) = [line for line in card.splitlines() if line.startswith("| organ |") and "flagged below" in line]
    assert "| 1.4 |" in row
    assert f"| 0 of {TRAINING} |" in row
