"""The same training on parts of the cases, and what it tells."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from medseg.delivery.segmentation import CurvePoint
from medseg.errors import ConfigError, TrainingError
from medseg.manifest import assign_folds, split_fold
from medseg.records import Manifest
from medseg.runs import learning_curve
from medseg.runs.learning_curve import LearningCurve, train_learning_curve
from medseg.runs.progress import Silence
from medseg.runs.run_folder import RunFolder
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.settings import TrainingSettings
from medseg.runs.tracking import Tracking
from medseg.runs.train import TrainResult, train_job
from medseg.runs.training_cases import load_training_cases
from medseg.training import parse_duration_s
from medseg.training.forecast import Interval
from medseg.training.segmentation import SegmentationParts
from PIL import Image

from tests.runs.test_api import SMALL


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("curve")


def settings(place: Path, name: str = "out", **choices: Any) -> TrainingSettings:
    kept: dict[str, Any] = {
        "epochs": 1,
        "changes": SMALL,
        "store": place / "store",
        "device": "cpu",
        "tracking": Tracking(uri=f"sqlite:///{place}/mlflow.db"),
    }
    return TrainingSettings(out=place / name, **(kept | choices))


@pytest.fixture(scope="module")
def result(cohort: tuple[Manifest, Path], place: Path) -> TrainResult:
    return train_learning_curve(SegmentationJob(), cohort[1], settings(place))


def test_smaller_trainings_take_whole_patients_of_the_larger_ones(
    cohort: tuple[Manifest, Path], place: Path, result: TrainResult
) -> None:
    manifest = assign_folds(cohort[0])
    training, validation = split_fold(manifest, 0)
    patient_of = {case.case_id: case.patient_id for case in manifest.cases}
    parts = [
        set(RunFolder(result.folder / f"cases_{one.cases}").load_record().training) for one in result.summary.points
    ]
    assert parts[-1] == {case.case_id for case in training}
    for small, large in pairwise(parts):
        assert small < large
        held = {patient_of[case_id] for case_id in small}
        assert small == {case.case_id for case in training if case.patient_id in held}
    for part in parts:
        assert not part & {case.case_id for case in validation}


def test_all_have_one_plan_and_lie_below_one_run(place: Path, result: TrainResult) -> None:
    import mlflow

    folders = sorted(result.folder.glob("cases_*"))
    assert len(folders) == len(result.summary.points) == 3
    assert len({RunFolder(folder).load_record().plan_digest for folder in folders}) == 1
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{place}/mlflow.db")
    children = [RunFolder(folder).load_record().mlflow_run_id for folder in folders]
    parents = {client.get_run(str(child)).data.tags["mlflow.parentRunId"] for child in children}
    assert parents == {result.run_id}
    history = client.get_metric_history(str(result.run_id), "learning_curve_dice")
    assert sorted(one.step for one in history) == [one.cases for one in result.summary.points]
    assert client.get_run(str(result.run_id)).info.status == "FINISHED"


def test_table_and_record_hold_every_training(result: TrainResult) -> None:
    with (result.folder / "learning_curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["cases"]) for row in rows] == [one.cases for one in result.summary.points]
    assert [float(row["dice"]) for row in rows] == pytest.approx([one.score for one in result.summary.points], abs=1e-6)
    record = json.loads((result.folder / "learning_curve.json").read_text())
    assert record["verdict"] == result.summary.verdict
    with Image.open(result.folder / "learning_curve.png") as picture:
        assert min(picture.size) > 300


def test_unknown_case_is_refused(cohort: tuple[Manifest, Path], place: Path) -> None:
    with pytest.raises(ConfigError, match="must be training cases of the fold, got nobody"):
        train_job(SegmentationJob(), cohort[1], settings(place, "unknown", cases=("nobody",)))


@pytest.mark.parametrize("choices", [{"fold": "all"}, {"fold": "all-folds"}])
def test_curve_is_of_one_fold(cohort: tuple[Manifest, Path], place: Path, choices: Any) -> None:
    with pytest.raises(ConfigError, match="is of a single fold, got all"):
        train_learning_curve(SegmentationJob(), cohort[1], settings(place, "refused", **choices))


def test_curve_of_an_update_is_refused_before_any_work(cohort: tuple[Manifest, Path], place: Path) -> None:
    with pytest.raises(ConfigError, match="got an update of a run that may know them"):
        train_learning_curve(SegmentationJob(), cohort[1], settings(place, "updated", update=place / "out"))
    assert not (place / "updated").exists()


class Interrupting(Silence):
    """Ctrl-C when the second training begins its steps.

    Args:
        largest: Cases of the first.
    """

    def __init__(self, largest: int) -> None:
        self._first = f"{largest} cases"

    @contextmanager
    def over_budget(self, stage: str) -> Iterator[Callable[[float, float], None]]:
        if self._first not in stage:
            raise KeyboardInterrupt
        yield lambda progress, loss: None


def test_interrupted_curve_is_resumed_to_the_same_table_in_the_same_run(
    cohort: tuple[Manifest, Path], place: Path, result: TrainResult
) -> None:
    import mlflow

    interrupting = Interrupting(result.summary.points[-1].cases)
    with pytest.raises(KeyboardInterrupt):
        train_learning_curve(SegmentationJob(), cohort[1], settings(place, "cut"), progress=interrupting)
    assert not (place / "cut" / "learning_curve.csv").exists()
    begun = json.loads((place / "cut" / "curve.json").read_text())
    resumed = train_learning_curve(SegmentationJob(), cohort[1], settings(place, "cut", resume=True))
    assert resumed.run_id == begun["mlflow_run_id"]
    assert timeless(place / "cut") == timeless(result.folder)
    for name in (f"cases_{point.cases}/model/last.safetensors" for point in result.summary.points):
        assert (place / "cut" / name).read_bytes() == (result.folder / name).read_bytes()
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{place}/mlflow.db")
    experiment = client.get_run(str(resumed.run_id)).info.experiment_id
    below = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{resumed.run_id}'")
    assert [one.info.status for one in below] == ["FINISHED"] * 3
    history = client.get_metric_history(str(resumed.run_id), "learning_curve_dice")
    assert [one.step for one in history] == [one.cases for one in result.summary.points]


def test_other_length_is_refused(cohort: tuple[Manifest, Path], place: Path, result: TrainResult) -> None:
    with pytest.raises(ConfigError, match="must be as the run began with them: epochs 1, got 2"):
        train_learning_curve(SegmentationJob(), cohort[1], settings(place, epochs=2, changes={}, resume=True))


def test_resume_of_a_single_training_names_the_curve(
    cohort: tuple[Manifest, Path], place: Path, result: TrainResult
) -> None:
    with pytest.raises(ConfigError, match="holds a learning curve, got a single training"):
        train_job(SegmentationJob(), cohort[1], settings(place, changes={}, resume=True))


def test_smaller_training_is_resumed_with_its_own_cases(
    cohort: tuple[Manifest, Path], place: Path, result: TrainResult
) -> None:
    smallest = result.folder / f"cases_{result.summary.points[0].cases}"
    before = RunFolder(smallest).load_record().training
    train_job(
        SegmentationJob(),
        cohort[1],
        settings(place, f"out/{smallest.name}", epochs=2, changes={}, resume=True, tracking=Tracking(is_on=False)),
    )
    assert RunFolder(smallest).load_record().training == before


def timeless(folder: Path) -> list[list[str]]:
    """The table without its clock."""
    with (folder / "learning_curve.csv").open() as file:
        return [[value for name, value in row.items() if name != "seconds"] for row in csv.DictReader(file)]


def test_cases_are_prepared_before_the_budget_is_shared(
    cohort: tuple[Manifest, Path], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget_s, slow_s = 30.0, 15.0
    begun = time.monotonic() - slow_s  # as if so much had passed while cases were prepared
    monkeypatch.setattr(learning_curve, "fill_store", lambda *given, **named: setattr(work, "started", begun))
    given = settings(place, "shared", budget=f"{budget_s:.0f}s", epochs=None)
    work = learning_curve._Work(SegmentationJob(), cohort[1], given, None, Silence(), time.monotonic())
    work.prepare(load_training_cases(cohort[1], fold="0"), trainings=3)
    first = work._settings_of((), left=3)
    assert parse_duration_s(str(first.budget)) <= (budget_s - slow_s) / 3


def test_without_the_training_on_all_cases_nothing_is_said(cohort: tuple[Manifest, Path], place: Path) -> None:
    begun = []

    def fail_once(trainer: Any, evaluator: Any, state: Any) -> None:
        begun.append(state)
        if len(begun) == 1:
            raise TrainingError("no time")

    given = settings(place, "torn", tracking=Tracking(is_on=False))
    curve = train_learning_curve(SegmentationJob(SegmentationParts(attach=(fail_once,))), cohort[1], given)
    assert len(curve.summary.points) == 2
    assert [failure.reason for failure in curve.failures] == ["case cases_6: no time"]
    assert (curve.summary.more_cases, curve.summary.more_time) == (None, None)
    assert "cannot be told" in curve.summary.verdict


def test_three_patients_make_no_curve(tmp_path: Path, place: Path) -> None:
    from medseg.phantom import write_cohort

    write_cohort(tmp_path, patients=4, test_patients=0)
    with pytest.raises(TrainingError, match="must have 4 training patients and a validation case, got 3"):
        train_learning_curve(SegmentationJob(), tmp_path, settings(place, "few"))


def point(cases: int, score: float) -> CurvePoint:
    return CurvePoint(cases, cases, 10, 1.0, score, 0.0)


@pytest.mark.parametrize(
    ("cases", "time", "verdict"),
    [
        (Interval(0.02, 0.01, 0.03), Interval(0.0, -0.002, 0.005), "more labelled cases would help more"),
        (Interval(0.0, -0.01, 0.01), Interval(0.03, 0.02, 0.04), "more time would help more"),
        (Interval(0.0, -0.01, 0.01), Interval(0.0, -0.01, 0.01), "neither is sure to help"),
        (Interval(0.02, 0.01, 0.03), Interval(0.02, 0.01, 0.03), "which of both would help more cannot be told"),
        (None, Interval(0.02, 0.01, 0.03), "what would help more cannot be told"),
    ],
)
def test_verdict_needs_intervals_apart(cases: Interval | None, time: Interval, verdict: str) -> None:
    curve = LearningCurve((point(10, 0.8), point(20, 0.85)), cases, time)
    assert verdict in curve.verdict
    assert verdict in str(curve)
