"""A training, a prediction and an evaluation from Python, without the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import medseg
import pytest
from medseg.errors import ConfigError, ManifestError, TrainingError
from medseg.records import Manifest
from medseg.runs.train import TrainResult
from medseg.training.forecast import Forecast

SMALL: dict[str, Any] = {
    "network": {
        "channels": [4, 8],
        "strides": [[1, 1, 1], [2, 2, 2]],
        "kernels": [[3, 3, 3]] * 2,
        "blocks": [1, 1],
        "decoder_blocks": [1],
    },
    "preprocess": {"spacing_mm": [12.0, 12.0, 12.0]},
    "training": {"batch_size": 2, "patch_size": [16, 16, 16], "patches_per_case": 1},
    "inference": {"patch_size": [16, 16, 16]},
}


class Diary:
    """A progress that remembers what it heard."""

    def __init__(self) -> None:
        self.stages: dict[str, int] = {}
        self.cases: list[str] = []
        self.shares: list[float] = []
        self.scores: list[float] = []

    @contextmanager
    def over_cases(self, total: int, stage: str) -> Iterator[Callable[[str], None]]:
        self.stages[stage] = total
        yield self.cases.append

    @contextmanager
    def over_budget(self, stage: str) -> Iterator[Callable[[float, float], None]]:
        self.stages[stage] = 0
        yield lambda share, loss: self.shares.append(share)

    def validated(self, score: float, forecast: Forecast | None) -> None:
        self.scores.append(score)


@pytest.fixture(scope="module")
def trained(cohort: tuple[Manifest, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainResult, Path, Diary]:
    """A run on the phantoms, its folder's parent, and what its progress heard."""
    place, diary = tmp_path_factory.mktemp("api"), Diary()
    result = medseg.train(
        cohort[1],
        out=place / "run",
        epochs=2,
        config=SMALL,
        store=place / "store",
        device="cpu",
        tracking=False,
        progress=diary,
    )
    return result, place, diary


def test_training_returns_what_came_of_it(trained: Any, cohort: tuple[Manifest, Path]) -> None:
    result, place, diary = trained
    training = len(cohort[0].select("training"))
    assert result.folder == place / "run"
    assert (result.folder / "model" / "last.safetensors").is_file()
    assert result.steps == len(diary.shares)
    assert "mean over structures" in str(result.summary)
    assert (result.failures, result.warnings, result.run_id) == ((), (), None)
    assert set(diary.stages) == {"plan", "prepare", "train"}
    assert diary.stages["prepare"] == training
    assert diary.shares[-1] == 1


def test_masks_are_drawn_and_measured_from_python(trained: Any, cohort: tuple[Manifest, Path], tmp_path: Path) -> None:
    result, _, _ = trained
    manifest, data = cohort
    test_ids = [case.case_id for case in manifest.select("test")]
    drawn = medseg.predict(result.folder, data, out=tmp_path / "masks", split="test", device="cpu")
    assert [item.case_id for item in drawn.predictions] == test_ids
    assert all(item.mask_path.is_file() for item in drawn.predictions)
    measured = medseg.evaluate(data, masks=tmp_path / "masks", out=tmp_path / "ev", split="test", tracking=False)
    assert {row.case_id for row in measured.rows} == set(test_ids)
    assert (tmp_path / "ev" / "summary.json").is_file()
    assert measured.warnings == ()


def test_cases_that_the_model_has_seen_are_a_warning(
    trained: Any, cohort: tuple[Manifest, Path], tmp_path: Path
) -> None:
    result, _, _ = trained
    medseg.predict(result.folder, cohort[1], out=tmp_path / "masks", split="training", device="cpu")
    seen = medseg.evaluate(cohort[1], masks=tmp_path / "masks", out=tmp_path / "e", split="training", tracking=False)
    assert "their numbers flatter it" in seen.warnings[0]


def test_nothing_is_printed(cohort: tuple[Manifest, Path], tmp_path: Path) -> None:
    code = (
        "import sys, json, medseg\n"
        "data, out, small = sys.argv[1:]\n"
        "r = medseg.train(data, out=out + '/run', epochs=1, config=json.loads(small), store=out + '/store')\n"
        "print(r.summary)\n"
    )
    command = [sys.executable, "-c", code, str(cohort[1]), str(tmp_path), json.dumps(SMALL)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stderr == ""
    rows = tuple(
        f"{name} {metric} " for name in (*cohort[0].foreground, "mean over structures") for metric in ("Dice", "IoU")
    )
    lines = done.stdout.splitlines()
    assert all(any(row in line for line in lines) for row in rows)
    assert all(line.strip().startswith((*cohort[0].foreground, "mean over structures")) for line in lines)


def test_a_failure_raises(cohort: tuple[Manifest, Path], trained: Any, tmp_path: Path) -> None:
    result, place, _ = trained
    settings: dict[str, Any] = {"config": SMALL, "store": place / "store", "device": "cpu", "tracking": False}
    with pytest.raises(ConfigError, match="must be new or empty"):
        medseg.train(cohort[1], out=result.folder, epochs=1, **settings)
    with pytest.raises(ConfigError, match="budget and epochs exclude each other"):
        medseg.train(cohort[1], out=tmp_path / "a", epochs=1, budget="1m", **settings)
    with pytest.raises(ConfigError, match="fold must be a number, 'all' or 'all-folds'"):
        medseg.train(cohort[1], out=tmp_path / "a", fold="first", **settings)
    with pytest.raises(ManifestError, match="fold must be one of"):
        medseg.train(cohort[1], out=tmp_path / "a", fold=99, **settings)
    with pytest.raises(ManifestError):
        medseg.train(tmp_path / "nowhere", out=tmp_path / "a", **settings)
    with pytest.raises(TrainingError, match="must leave time for a first step"):
        medseg.train(cohort[1], out=tmp_path / "b", budget="0.001s", **settings)
    assert not (tmp_path / "a").exists()


def test_exported_names_exist_and_cost_nothing_before_they_are_used() -> None:
    for name in medseg.__all__:
        assert getattr(medseg, name) is not None
    assert dir(medseg) == sorted(medseg.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        medseg.trian  # noqa: B018
    code = "import sys, medseg; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"epochs": -1}, "epochs must be a whole number of at least 1, got -1"),
        ({"budget": ""}, "budget must be a positive number"),
        ({"workers": -1}, "workers must be a whole number of at least 1"),
        ({"device": "gpu"}, "device must be one of auto, cpu, cuda"),
    ],
)
def test_setting_out_of_its_range_is_refused(
    cohort: tuple[Manifest, Path], tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        medseg.train(cohort[1], out=tmp_path / "run", tracking=None, **wrong)


def test_own_mlflow_run_and_store_of_the_caller_stay_as_they_were(
    cohort: tuple[Manifest, Path], tmp_path: Path
) -> None:
    import mlflow

    own, other = (f"sqlite:///{tmp_path / name}.db" for name in ("own", "other"))
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(own)
    try:
        with mlflow.start_run(run_name="own") as mine:
            run = medseg.train(
                cohort[1], out=tmp_path / "run", epochs=1, config=SMALL, store=tmp_path / "store", tracking=other
            )
            assert mlflow.get_tracking_uri() == own
        assert mlflow.MlflowClient(own).get_run(mine.info.run_id).info.status == "FINISHED"
        assert mlflow.MlflowClient(other).get_run(run.run_id).info.status == "FINISHED"
    finally:
        mlflow.set_tracking_uri(before)


def test_dataset_is_ingested_from_python_without_a_progress(tmp_path: Path) -> None:
    from medseg.phantom import write_hospital_export
    from medseg.runs.ingest import IngestSettings, ingest_source

    write_hospital_export(tmp_path / "export")
    report = ingest_source(tmp_path / "export", IngestSettings(out=tmp_path / "dataset", workers=1))
    assert report.cases
