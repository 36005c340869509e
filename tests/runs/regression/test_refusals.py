"""What is for labels alone refuses quantities by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import medseg
import pytest
from medseg.errors import CheckpointError, ConfigError, ManifestError
from medseg.runs.audit import audit_dataset
from medseg.runs.learning_curve import train_learning_curve
from medseg.runs.lens.measure import lens_of
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.segmentation.prepare import PrepareSettings, prepare_dataset
from medseg.runs.settings import TrainingSettings
from medseg.runs.tracking import Tracking

from tests.quantity_data import write_dose_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dose_dataset(tmp_path_factory.mktemp("doses"))


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    out = data.parent / "run"
    medseg.train(
        data, out=out, preset="nano", epochs=1, device="cpu", store=data.parent / "store", tracking=False,
        config={"training": {"batch_size": 2}},
    )  # fmt: skip
    return out


def curve(data: Path, run: Path, out: Path) -> Any:
    settings = TrainingSettings(out=out, budget="60s", tracking=Tracking(is_on=False))
    return train_learning_curve(SegmentationJob(), data, settings)


REFUSALS: dict[str, tuple[Callable[[Path, Path, Path], Any], type[Exception], str]] = {
    "report": (
        lambda data, run, out: medseg.report(run, out=out, tracking=False),
        CheckpointError,
        "must be of labels, got one of quantities",
    ),
    "choose": (
        lambda data, run, out: medseg.choose(data, [run], out=out, tracking=False),
        ManifestError,
        "a choice of models must be of task segmentation or classification, got regression",
    ),
    "prepare": (
        lambda data, run, out: prepare_dataset(data, PrepareSettings(plan=run / "plan.yaml", store=out)),
        ManifestError,
        "cases prepared beforehand must be of task segmentation or classification, got regression",
    ),
    "audit": (
        lambda data, run, out: audit_dataset(data, out=out, fix=out / "fixed"),
        ManifestError,
        "a repaired version must be of task segmentation or classification, got regression",
    ),
    "classes": (
        lambda data, run, out: medseg.train_classifier(data, out=out, tracking=False),
        ManifestError,
        "a training of classes must be of task segmentation or classification, got regression",
    ),
    "lens": (lambda data, run, out: lens_of(run), ConfigError, "must be of masks, got one of quantities"),
    "watch": (
        lambda data, run, out: medseg.watch(run, data.parent, out=out),
        ConfigError,
        "must draw masks, got a model of quantities",
    ),
    "learning curve": (curve, ManifestError, "task must be segmentation, got regression"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_for_labels_refuses_quantities(name: str, data: Path, run: Path, tmp_path: Path) -> None:
    call, error, words = REFUSALS[name]
    with pytest.raises(error, match=words):
        call(data, run, tmp_path / "out")


def test_audit_and_split_keep_quantities(data: Path, tmp_path: Path) -> None:
    from medseg.runs.split import split_dataset
    from medseg.split import SplitConfig

    result = audit_dataset(data, out=tmp_path / "audit")
    assert result.audit.count("error") == 0
    cases = json.loads((tmp_path / "audit/audit.json").read_text())["cases"]
    assert cases[0]["quantities"]["dose"]["unknown_share"] == 0
    assert 0 < cases[0]["quantities"]["dose"]["low"] < cases[0]["quantities"]["dose"]["high"] < 60
    page = (tmp_path / "audit/audit.html").read_text()
    assert "quantity: dose in Gy" in page
    assert "quantity dose" in page
    copy = write_dose_dataset(tmp_path)
    split_dataset(copy, SplitConfig(folds=2, test=0.25, force=True))
    content = json.loads(copy.read_text())
    assert len(content["test"]) == 1
    assert all(entry["quantities"] for entry in (*content["training"], *content.get("test", [])))
