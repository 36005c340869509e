"""Every fold is trained, in a run of its own below one that has the numbers of all patients."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, stdev
from types import SimpleNamespace
from typing import Any

import medseg
import pytest
from medseg.errors import ConfigError, TrainingError
from medseg.evaluation.segmentation import EvaluationContract, load_evaluation, read_metrics
from medseg.inference import load_record
from medseg.manifest import assign_folds
from medseg.records import CaseMetrics, Manifest
from medseg.runs import folds as folds_module

from tests.conftest import Medseg
from tests.runs.test_api import SMALL


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folds")


@pytest.fixture(autouse=True)
def working_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def uri(place: Path) -> str:
    return f"sqlite:///{place}/mlflow.db"


@pytest.fixture
def client(uri: str) -> Any:
    import mlflow

    return mlflow.MlflowClient(tracking_uri=uri)


def train(data: Path, out: Path, uri: str | bool, **settings: Any) -> Any:
    choices = {"epochs": 1, "config": SMALL, "store": out.parent / "store", "device": "cpu", "tracking": uri}
    return medseg.train(data, out=out, fold="all-folds", **(choices | settings))


def test_every_labelled_case_is_measured_once_by_a_network_that_has_not_seen_it(
    cohort: tuple[Manifest, Path], place: Path, uri: str, client: Any
) -> None:
    manifest, data = cohort
    result = train(data, place / "out", uri)
    manifest = assign_folds(manifest)
    by_fold: dict[int, set[str]] = {}
    for case in manifest.select("training"):
        by_fold.setdefault(int(case.fold or 0), set()).add(case.case_id)
    assert sorted(path.name for path in (place / "out").glob("fold_*")) == [f"fold_{fold}" for fold in sorted(by_fold)]
    for fold, cases in by_fold.items():
        folder = place / "out" / f"fold_{fold}"
        assert {row.case_id for row in read_metrics(folder / "validation.csv")} == cases
        card = json.loads((folder / "model" / "model.json").read_text(encoding="utf-8"))
        assert not cases & set(card["trained_on"])
    stored = load_evaluation(place / "out")
    assert [row.case_id for row in stored.rows if row.label == "liver"] == [
        case_id for fold in sorted(by_fold) for case_id in read_ids(place / "out" / f"fold_{fold}" / "validation.csv")
    ]
    assert {row.case_id for row in stored.rows} == set().union(*by_fold.values())
    assert stored.patients == {case.case_id: case.patient_id for case in manifest.select("training")}
    count = f"{len(stored.patients)} validation cases of {len(by_fold)} of {len(by_fold)} folds"
    spread = [SimpleNamespace(**entry) for entry in stored.notes["spread"] if entry["metric"] == "dice"]
    assert [note.split(":")[0] for note in result.notes] == [count, *(f"{one.label} Dice" for one in spread)]
    means = {fold: means_of(row for row in stored.rows if row.case_id in cases) for fold, cases in by_fold.items()}
    for one in spread:
        by_fold_mean = {str(fold): mean[one.label] for fold, mean in means.items() if one.label in mean}
        assert one.by_fold == {fold: pytest.approx(mean, abs=1e-6) for fold, mean in by_fold_mean.items()}
        assert one.between_folds == pytest.approx(stdev(by_fold_mean.values()), abs=1e-6)

    masks = load_record(place / "out" / "out_of_fold")
    assert masks is not None
    assert {case.case_id: case.drawn_by for case in masks.cases} == {
        case.case_id: (case.fold,) for case in manifest.select("training")
    }
    contract = EvaluationContract(metrics=("dice", "iou"))
    again = medseg.evaluate(
        data, masks=place / "out" / "out_of_fold", out=place / "again", contract=contract, split="training",
        tracking=False,
    )  # fmt: skip
    assert not any("flatter" in warning for warning in again.warnings)
    assert again.summary.means == pytest.approx(result.summary.means)

    parent = client.get_run(result.run_id)
    children = client.search_runs(
        [parent.info.experiment_id], filter_string=f"tags.`mlflow.parentRunId` = '{result.run_id}'"
    )
    names = sorted(child.info.run_name for child in children)
    assert [name.split(", ")[:3] for name in names] == [
        [f"train fold_{fold}", f"fold {fold}", "1 epochs"] for fold in sorted(by_fold)
    ]
    plans = {child.data.tags["medseg.plan_digest"] for child in children}
    assert len(plans) == 1
    assert {run.info.status for run in [parent, *children]} == {"FINISHED"}
    assert parent.info.run_name.startswith("train out, all folds, 1 epochs")
    assert parent.data.metrics["val/dice/mean"] == pytest.approx(result.summary.means["dice"])
    assert {"metrics.csv", "summary.json"} <= {item.path for item in client.list_artifacts(result.run_id)}
    shown = load_evaluation(place / "out").notes["dataset"]["name"]
    assert f"**{shown}**, all folds" in parent.data.tags["mlflow.note.content"]


def means_of(rows: Iterable[CaseMetrics]) -> dict[str, float]:
    """Mean Dice of each structure that any case has."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row.label, []).extend([value] if (value := row.values["dice"]) == value else [])
    return {label: fmean(values) for label, values in found.items() if values}


def read_ids(path: Path) -> list[str]:
    return [row.case_id for row in read_metrics(path) if row.label == "liver"]


def test_fold_that_fails_is_listed_and_resumed_without_training_the_others_again(
    cohort: tuple[Manifest, Path], place: Path, medseg: Medseg, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = folds_module.train_job

    def failing(job: Any, dataset: Path, settings: Any, **more: Any) -> Any:
        if settings.fold == "1":
            raise TrainingError("loss is NaN")
        return real(job, dataset, settings, **more)

    monkeypatch.setattr(folds_module, "train_job", failing)
    config = place / "small.yaml"
    import yaml

    config.write_text(yaml.safe_dump(SMALL), encoding="utf-8")
    options = ("--out", place / "broken", "--fold", "all-folds", "--epochs", "1", "--config", config, "--no-tracking")
    done = medseg("train", cohort[1], *options, "--device", "cpu", "--store", place / "store")
    assert done.code == 1
    assert "fold 1" in done.err
    assert "loss is NaN" in done.err
    first = load_evaluation(place / "broken")
    assert 1 not in first.notes["folds"]
    assert len(first.notes["not_measured"]) > 0
    times = {path: path.stat().st_mtime_ns for path in (place / "broken").glob("fold_*/model/last.safetensors")}

    monkeypatch.setattr(folds_module, "train_job", real)
    resumed = medseg(
        "train", cohort[1], "--out", place / "broken", "--fold", "all-folds", "--resume", "--no-tracking",
        "--config", config, "--device", "cpu", "--store", place / "store",
    )  # fmt: skip
    assert resumed.code == 0, resumed.err
    whole = load_evaluation(place / "broken")
    assert 1 in whole.notes["folds"]
    assert whole.notes["not_measured"] == []
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_budget_is_shared_by_the_folds(
    cohort: tuple[Manifest, Path], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets: list[float] = []

    def noting(job: Any, dataset: Path, settings: Any, **more: Any) -> Any:
        budgets.append(float(settings.budget.removesuffix("s")))
        raise TrainingError("noted")

    monkeypatch.setattr(folds_module, "train_job", noting)
    with pytest.raises(TrainingError, match=r"none could be trained; .*noted"):
        train(cohort[1], place / "shared", False, epochs=None, budget="100s")
    count = len(budgets)
    assert count > 1
    assert budgets[0] == pytest.approx(90 / count, rel=0.05)  # a tenth is for the masks out of fold
    assert budgets[-1] == pytest.approx(90, rel=0.05)  # what is left is all the last one's

    (place / "shared" / "fold_0").mkdir()
    (place / "shared" / "fold_0" / "run.json").write_text("{}")  # begun with too little, before its first step
    with pytest.raises(TrainingError, match="noted"):
        train(cohort[1], place / "shared", False, epochs=None, config=None, resume=True)
    assert budgets[count:] == [pytest.approx(100 / count, abs=0.1)] * count


def test_classifier_says_that_it_takes_one_fold_at_a_time(cohort: tuple[Manifest, Path], place: Path) -> None:
    with pytest.raises(ConfigError, match="fold must be a single one here, got all-folds"):
        medseg.train_classifier(cohort[1], out=place / "classifier", fold="all-folds", tracking=False)


def test_misspelt_setting_is_refused_as_for_one_fold_and_leaves_the_folder_free(
    cohort: tuple[Manifest, Path], place: Path
) -> None:
    with pytest.raises(ConfigError, match="did you mean"):
        train(cohort[1], place / "misspelt", False, config={"training": {"learning_rat": 0.1}})
    train(cohort[1], place / "misspelt", False)


def test_other_length_extends_every_fold(cohort: tuple[Manifest, Path], place: Path, uri: str, client: Any) -> None:
    first = train(cohort[1], place / "longer", uri)
    second = train(cohort[1], place / "longer", uri, epochs=2, config=None, resume=True)
    assert second.run_id == first.run_id
    assert second.steps == 2 * first.steps
    run = client.get_run(first.run_id)
    assert run.data.tags["medseg.length"] == "2 epochs"
    history = client.get_metric_history(first.run_id, "val/dice/mean")
    assert [point.step for point in history] == [first.steps, second.steps]
    kept = train(cohort[1], place / "longer", uri, epochs=None, config=None, resume=True)
    assert kept.steps == second.steps


def test_folds_go_on_below_a_new_run_where_the_store_has_lost_theirs(
    cohort: tuple[Manifest, Path], place: Path, uri: str, client: Any
) -> None:
    first = train(cohort[1], place / "lost", uri)
    (place / "lost" / "fold_1" / "validation.json").unlink()  # as if it had been killed
    other = f"sqlite:///{place}/other.db"
    second = train(cohort[1], place / "lost", other, epochs=None, config=None, resume=True)
    assert second.run_id != first.run_id
    import mlflow

    found = mlflow.MlflowClient(other).get_run(second.run_id)
    assert found.data.metrics["val/dice/mean"] == pytest.approx(second.summary.means["dice"])


def test_fold_alone_cannot_be_resumed_in_the_folder_of_all(cohort: tuple[Manifest, Path], place: Path) -> None:
    train(cohort[1], place / "all", False)
    with pytest.raises(ConfigError, match="holds all folds, got fold 0; give the fold all-folds"):
        medseg.train(cohort[1], out=place / "all", resume=True, tracking=False)
