"""A search whose worker is killed ends with every trial, none of them twice."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import medseg
import pytest
import yaml
from medseg.errors import ConfigError, TrainingError
from medseg.planning import load_plan
from medseg.records import Manifest
from medseg.runs.search import search
from medseg.runs.search.curve_watch import CurveWatch, pruned_because
from medseg.runs.search.record import SearchFolder
from medseg.runs.search.search import SearchResult
from medseg.runs.search.settings import SearchSettings
from medseg.runs.search.study import Study
from medseg.runs.tracking import Tracking
from medseg.runs.training_cases import load_training_cases

from tests.conftest import Medseg
from tests.runs.test_api import SMALL

EPOCHS = 2
SPACE = {"batch_factor": [1, 0.5], "patch_factor": [], "spacing_factor": [], "width_factor": []}
KILLED = """
import json, os, signal, sys
from pathlib import Path
import medseg
from ignite.engine import Events
from medseg.training.events import TrainingEvents

def attach(trainer, evaluator, state):
    def end():
        if Path("search/trial_0001").exists():
            os.kill(os.getpid(), signal.SIGKILL)
    evaluator.add_event_handler(Events.COMPLETED, end)

given = json.loads(sys.argv[1])
medseg.search(parts=medseg.SegmentationParts(attach=[attach]), **given)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture(autouse=True)
def working_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def choices(data: Path, place: Path, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "dataset": str(data), "out": str(place / "search"), "trials": 2, "trial_epochs": EPOCHS, "repeats": 0,
        "config": SMALL, "space": SPACE, "store": str(place / "store"), "device": "cpu",
        "tracking": f"sqlite:///{place}/mlflow.db",
    }  # fmt: skip
    return given | changes


@pytest.fixture(scope="module")
def searched(cohort: tuple[Manifest, Path], place: Path) -> SearchResult:
    """A search whose first worker was killed after a validation of its second trial."""
    given = choices(cohort[1], place)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, json.dumps(given)], cwd=place, env=environment, check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = json.loads((place / "search" / "trial_0001" / "run.json").read_text(encoding="utf-8"))
    assert not (place / "search" / "trial_0001" / "validation.json").exists()
    assert before["mlflow_run_id"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        return medseg.search(**given)


def steps_of(folder: Path) -> list[int]:
    with (folder / "curves.csv").open(encoding="utf-8") as stream:
        return [int(row["step"]) for row in csv.DictReader(stream)]


def test_every_trial_is_done_and_none_twice(searched: SearchResult, place: Path) -> None:
    trials = searched.findings.trials
    assert [(trial.number, trial.state) for trial in trials] == [(0, "complete"), (1, "complete")]
    own = sorted(path.name for path in searched.folder.glob("trial_*") if "again" not in path.name)
    assert own == ["trial_0000", "trial_0001"]
    for trial in trials:
        steps = steps_of(searched.folder / f"trial_{trial.number:04d}")
        assert steps == sorted(set(steps))
        assert steps[-1] == trial.facts["steps"]


def test_trials_are_runs_below_one_and_the_killed_one_goes_on_in_its_own(searched: SearchResult, place: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{place}/mlflow.db")
    parent = client.get_run(str(searched.run_id))
    below = client.search_runs(
        [parent.info.experiment_id], filter_string=f"tags.`mlflow.parentRunId` = '{searched.run_id}'"
    )
    assert {run.info.status for run in [parent, *below]} == {"FINISHED"}
    names = sorted(run.info.run_name.split(",")[0].removeprefix("train ") for run in below)
    assert names == sorted(path.name for path in searched.folder.glob("trial_*"))
    assert parent.data.metrics["trials_complete"] == 2
    assert parent.data.metrics["plan_score"] == pytest.approx(searched.findings.scores[0])
    assert {"search.json", "trials.csv", "index.html", "best.yaml"} <= {
        item.path for item in client.list_artifacts(str(searched.run_id))
    }


def test_first_worker_that_is_killed_before_the_record_leaves_one_mlflow_run(
    searched: SearchResult, cohort: tuple[Manifest, Path], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    uri = f"sqlite:///{place}/mlflow.db"
    folder, cases = SearchFolder(place / "early"), load_training_cases(cohort[1], fold="0")
    folder.path.mkdir()
    settings = SearchSettings(out=folder.path, trials=1, trial_epochs=1, tracking=Tracking(uri=uri))
    plan = load_plan(searched.folder / "plan.yaml")
    with monkeypatch.context() as patch:
        patch.setattr(SearchFolder, "save_record", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            search._record(folder, plan, cases, settings)
    record, _ = search._record(folder, plan, cases, settings)
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name(cases.manifest.name)
    found = client.search_runs([experiment.experiment_id], filter_string="attributes.run_name LIKE 'search early%'")
    assert [run.info.run_id for run in found] == [record.mlflow_run_id]
    assert sorted(path.name for path in folder.path.iterdir()) == ["study.json"]


def test_first_trial_is_the_plan_and_the_others_have_the_values_that_are_listed(searched: SearchResult) -> None:
    plan = load_plan(searched.folder / "plan.yaml")
    first = load_plan(searched.folder / "trial_0000" / "plan.yaml")
    assert first.training == plan.training
    for trial in searched.findings.trials[1:]:
        own = load_plan(searched.folder / f"trial_{trial.number:04d}" / "plan.yaml").training
        assert own.dice_weight == pytest.approx(trial.choice["dice_weight"])
        assert own.learning_rate == pytest.approx(plan.training.learning_rate * trial.choice["learning_rate_factor"])
        assert own.seed == plan.training.seed


def test_best_is_trained_again_with_another_seed_and_chance_is_no_answer(
    cohort: tuple[Manifest, Path], place: Path
) -> None:
    rates = {"learning_rate_factor": {"low": 4000, "high": 8000}}  # a plan that hardly learns is easily beaten
    slow = {**SMALL, "training": {**SMALL["training"], "learning_rate": 1e-6}}
    given = choices(cohort[1], place, out=place / "again", space=SPACE | rates, config=slow, tracking=False)
    result = medseg.search(**given | {"trial_epochs": 8, "repeats": 1, "finalists": 1})
    found = result.findings
    assert found.scores[1] > found.scores[0]
    assert sorted(found.repeats) == ["trial_0000_again_1", "trial_0001_again_1"]
    record = json.loads((result.folder / "trial_0001_again_1" / "run.json").read_text(encoding="utf-8"))
    assert record["seed"] == load_plan(result.folder / "plan.yaml").training.seed + 1
    assert found.answer == 0  # two validation patients tell nothing
    assert found.verdict.startswith("keep the plan: the best trials may be luck. trial_0001: ")
    assert result.best.read_text(encoding="utf-8") == (result.folder / "plan.yaml").read_text(encoding="utf-8")


def test_tables_and_page_hold_every_trial(searched: SearchResult) -> None:
    with (searched.folder / "trials.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["trial"] for row in rows] == ["trial_0000", "trial_0001"]
    assert [float(row["score"]) for row in rows] == pytest.approx(list(searched.findings.scores.values()), rel=1e-4)
    page = (searched.folder / "index.html").read_text(encoding="utf-8")
    assert all(row["trial"] in page for row in rows)
    assert "the search goes on" not in page
    assert str(searched.folder) not in page
    assert json.loads((searched.folder / "search.json").read_text(encoding="utf-8"))["is_over"] is True


def test_search_that_is_over_is_not_trained_again(
    searched: SearchResult, cohort: tuple[Manifest, Path], place: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in searched.folder.glob("trial_*/curves.csv")}
    again = medseg.search(**choices(cohort[1], place, tracking=False))
    assert (again.findings.trials, again.findings.scores) == (searched.findings.trials, searched.findings.scores)
    assert {path: path.stat().st_mtime_ns for path in searched.folder.glob("trial_*/curves.csv")} == before


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"seed": 5}, "seed 5 in place of 0"), ({"space": {}}, "another space"), ({"config": None}, "another plan")],
)
def test_worker_with_other_settings_is_refused(
    changes: dict[str, Any], why: str, searched: SearchResult, cohort: tuple[Manifest, Path], place: Path
) -> None:
    with pytest.raises(ConfigError, match=f"must be joined with what it began with, got {why}"):
        medseg.search(**choices(cohort[1], place, **changes))


def test_impossible_plan_is_a_failed_trial_with_its_reason(
    cohort: tuple[Manifest, Path], place: Path, medseg: Medseg
) -> None:
    space = dict.fromkeys(["learning_rate_factor", "foreground_share", "dice_weight"])
    space |= {name: [] for name in ("batch_factor", "spacing_factor", "width_factor", "augmentation")}
    (place / "space.yaml").write_text(yaml.safe_dump(space | {"patch_factor": [0.01, 0.02]}), encoding="utf-8")
    (place / "small.yaml").write_text(yaml.safe_dump(SMALL), encoding="utf-8")
    done = medseg(
        "search", cohort[1], "--out", place / "impossible", "--trials", 2, "--trial-epochs", 1, "--space",
        place / "space.yaml", "--config", place / "small.yaml", "--store", place / "store", "--device", "cpu",
        "--no-tracking",
    )  # fmt: skip
    assert done.code == 0, done.err
    failed, verdict, _ = done.out.splitlines()[1:]
    assert failed.startswith("trial_0001 failed        - trial 0001: ")
    assert "must leave more than one voxel" in failed
    assert verdict == "keep the plan: no trial scored better"


def test_trial_behind_the_others_ends_early_and_again_after_a_kill(cohort: tuple[Manifest, Path], place: Path) -> None:
    study = Study(None, place, name="curves", seed=0, validations=10)
    for _ in range(4):
        number = study.add({}, {}).number
        for step in range(1, 10):
            study.report(number, 1.0, step)
        study.end(number, "complete", score=1.0)
    number, out = study.add({}, {}).number, place / "behind"
    given: dict[str, Any] = {"config": SMALL, "store": place / "store", "device": "cpu", "tracking": False}
    parts = medseg.SegmentationParts(attach=[CurveWatch(study, number, out, validations=10)])
    ended = medseg.train(cohort[1], out=out, epochs=10, parts=parts, **given)
    whole = 10 * ended.steps // steps_of(out).index(ended.steps)
    assert ended.steps < whole
    assert (out / "model" / "last.safetensors").is_file()
    assert str(pruned_because(out)).startswith("at validation 3 its best score")
    given["config"] = None
    again = medseg.train(cohort[1], out=out, epochs=10, parts=parts, resume=True, **given)
    assert again.steps == ended.steps


def test_search_without_any_score_says_why(cohort: tuple[Manifest, Path], place: Path) -> None:
    config = {**SMALL, "training": {**SMALL["training"], "learning_rate": 1e30}}
    given = choices(cohort[1], place, out=place / "none", trials=1, config=config, tracking=False)
    with pytest.raises(TrainingError, match=r"no trial could be trained to its end, got: .*loss must be finite"):
        medseg.search(**given)
