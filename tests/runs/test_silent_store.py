"""The MLflow store is looked at before the work, and never ends it."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import medseg
import pytest
from medseg.errors import DeliveryError, TrackingError
from medseg.records import Manifest
from medseg.tracking import run as run_module
from medseg.tracking import sender as sender_module
from medseg.tracking.post import post as real_post
from medseg.training import TrainingEvents

from tests.conftest import Medseg
from tests.runs.test_api import SMALL

EPOCHS = 4


class Switch:
    """The store of the runs, which a test can silence."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_silent = False
        self.silent_after: int | None = None
        self._taken = 0
        monkeypatch.setattr(run_module, "post", self._post)
        monkeypatch.setattr(run_module, "answers", lambda uri: not self.is_silent)
        monkeypatch.setattr(
            sender_module.Sender.close, "__kwdefaults__", {"grace_s": 0.3, "stall_s": 30.0, "total_s": 60.0}
        )

    def _post(self, client: Any, run_id: str, entries: Sequence[Any]) -> None:
        if self.silent_after is not None and self._taken >= self.silent_after:
            self.is_silent, self.silent_after = True, None
        if self.is_silent:
            raise ConnectionResetError("Connection reset by peer")
        self._taken += 1
        real_post(client, run_id, entries)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Switch:
    return Switch(monkeypatch)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('silent')}/mlflow.db"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, in which artefacts end up."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(data: Path, place: Path, uri: str, **settings: Any) -> Any:
    choices = {"epochs": EPOCHS, "config": SMALL, "store": place / "store", "device": "cpu", "tracking": uri}
    return medseg.train(data, **({"out": place / "run"} | choices | settings))


def losses(uri: str, run_id: str) -> list[tuple[int, float]]:
    import mlflow

    history = mlflow.MlflowClient(uri).get_metric_history(run_id, "train_loss")
    return [(item.step, item.value) for item in history]


def curve(run: Path) -> list[tuple[int, float]]:
    with (run / "curves.csv").open(encoding="utf-8") as stream:
        return [(int(row["step"]), float(row["train_loss"])) for row in csv.DictReader(stream)]


def assert_all_arrived(uri: str, run_id: str, run: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient(uri)
    sent = losses(uri, run_id)
    assert sent == [(step, pytest.approx(value, rel=1e-5)) for step, value in curve(run)]
    assert client.get_run(run_id).info.status == "FINISHED"
    assert {"plan.yaml", "validation.json"} <= {item.path for item in client.list_artifacts(run_id)}
    experiment = client.get_run(run_id).info.experiment_id
    assert len(client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'")) == 1
    assert not (run / "tracking.jsonl").exists()


def test_training_goes_on_without_its_store_and_sync_sends_every_number_once(
    cohort: tuple[Manifest, Path], place: Path, uri: str, store: Switch, medseg: Medseg
) -> None:
    store.silent_after = 3
    result = train(cohort[1], place, uri)
    assert len(curve(result.folder)) == EPOCHS
    assert (result.folder / "model" / "last.safetensors").is_file()
    (warning,) = result.warnings
    assert "have not reached the store" in warning
    assert "Connection reset by peer" in warning
    assert f"kept in {result.folder}, and `medseg sync {result.folder}` sends them" in warning
    assert len(losses(uri, result.run_id)) < EPOCHS

    sent = medseg("sync", result.folder)
    assert (sent.code, sent.err) == (0, "")
    assert f"run {result.run_id}" in sent.out
    assert_all_arrived(uri, result.run_id, result.folder)
    assert "no kept entries found" in medseg("sync", result.folder).out


def test_resumed_training_sends_what_the_first_part_kept(
    cohort: tuple[Manifest, Path], place: Path, uri: str, store: Switch
) -> None:
    store.silent_after = 3
    train(cohort[1], place, uri, epochs=2)
    store.is_silent = False
    result = train(cohort[1], place, uri, epochs=EPOCHS, resume=True)
    assert result.warnings == ()
    assert [step for step, _ in losses(uri, result.run_id)] == [3, 6, 9, 12]
    assert not (result.folder / "tracking.jsonl").exists()


def test_resumed_training_goes_on_in_a_new_run_if_the_store_was_wiped(
    cohort: tuple[Manifest, Path], place: Path, uri: str, store: Switch
) -> None:
    import mlflow

    store.silent_after = 6
    first = train(cohort[1], place, uri, epochs=2)
    store.is_silent = False
    empty = f"sqlite:///{place}/empty.db"
    result = train(cohort[1], place, empty, epochs=EPOCHS, resume=True)
    assert result.warnings == ()
    assert result.run_id != first.run_id
    assert [step for step, _ in losses(empty, result.run_id)] == [3, 6, 9, 12]
    found = mlflow.MlflowClient(empty).get_run(result.run_id)
    assert found.data.params
    assert found.info.status == "FINISHED"
    assert not (result.folder / "tracking.jsonl").exists()
    assert json.loads((result.folder / "run.json").read_text())["mlflow_run_id"] == result.run_id


def test_sync_to_a_wiped_store_notes_the_new_run_for_a_resume(
    cohort: tuple[Manifest, Path], place: Path, uri: str, store: Switch
) -> None:
    from medseg.runs.sync import sync_folder

    store.silent_after = 3
    result = train(cohort[1], place, uri, epochs=2)
    store.is_silent = False
    empty = f"sqlite:///{place}/empty.db"
    (sent,) = sync_folder(place, tracking_uri=empty)
    assert_all_arrived(empty, sent.run_id, result.folder)
    record = json.loads((result.folder / "run.json").read_text())
    assert (record["mlflow_run_id"], record["tracking_uri"]) == (sent.run_id, empty)
    card = json.loads((result.folder / "model" / "model.json").read_text())
    assert card["mlflow_run_id"] == sent.run_id  # by which later evaluations find it


def test_evaluation_sends_the_training_of_its_masks_first_and_stands_below_it(
    cohort: tuple[Manifest, Path], place: Path, uri: str, store: Switch
) -> None:
    import mlflow

    store.silent_after = 3
    run = train(cohort[1], place, uri)
    store.is_silent = False
    medseg.predict(run.folder, cohort[1], out=place / "masks", split="test", device="cpu")
    done = medseg.evaluate(cohort[1], masks=place / "masks", out=place / "eval", split="test", tracking=uri)
    assert "what run had kept for MLflow was sent" in done.warnings[-1]
    summary = json.loads((place / "eval" / "summary.json").read_text(encoding="utf-8"))
    evaluation = mlflow.MlflowClient(uri).get_run(summary["mlflow_run_id"])
    assert evaluation.data.tags["mlflow.parentRunId"] == run.run_id
    assert len(evaluation.inputs.model_inputs) == 1


def test_store_that_returns_during_the_training_has_everything_at_its_end(
    cohort: tuple[Manifest, Path], place: Path, uri: str, store: Switch
) -> None:
    def wake_after_two_epochs(trainer: Any, evaluator: Any, state: Any) -> None:
        def wake(engine: Any) -> None:
            store.is_silent = store.is_silent and state.epoch < 2

        trainer.add_event_handler(TrainingEvents.REPORTED, wake)

    store.silent_after = 2
    result = train(cohort[1], place, uri, parts=medseg.SegmentationParts(attach=(wake_after_two_epochs,)))
    assert result.warnings == ()
    assert_all_arrived(uri, result.run_id, result.folder)


@pytest.fixture
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a run does not wait for a dead store."""
    times = {"grace_s": 0.3, "stall_s": 30.0, "total_s": 60.0}
    monkeypatch.setattr(sender_module.Sender.close, "__kwdefaults__", times)


@pytest.mark.usefixtures("haste")
@pytest.mark.parametrize("is_evaluated", [False, True])
def test_store_that_is_dead_from_start_to_end_gets_everything_once_it_is_back(
    cohort: tuple[Manifest, Path], place: Path, uri: str, caplog: pytest.LogCaptureFixture, is_evaluated: bool
) -> None:
    from medseg.runs.sync import sync_folder

    dead = "http://127.0.0.1:9"
    result = train(cohort[1], place, dead)
    assert "must be reachable" in caplog.text
    assert "the work goes on" in caplog.text
    assert len(curve(result.folder)) == EPOCHS
    assert "`medseg sync" in result.warnings[-1]
    late = json.loads((result.folder / "model" / "model.json").read_text(encoding="utf-8"))["mlflow_run_id"]
    if is_evaluated:
        medseg.predict(result.folder, cohort[1], out=place / "masks", split="test", device="cpu")
        medseg.evaluate(cohort[1], masks=place / "masks", out=place / "eval", split="test", tracking=dead)
    sent = {one.path.parent.name: one for one in sync_folder(place, tracking_uri=uri)}
    assert {(one.left, one.error, one.notes) for one in sent.values()} == {(0, None, ())}
    run_id = sent["run"].run_id
    assert run_id != late
    assert_all_arrived(uri, run_id, result.folder)
    assert sync_folder(place, tracking_uri=uri) == ()
    assert json.loads((result.folder / "run.json").read_text(encoding="utf-8"))["mlflow_run_id"] == run_id
    if is_evaluated:  # and the evaluation finds its training, whose id in the store nobody knew
        import mlflow

        client = mlflow.MlflowClient(uri)
        evaluation = client.get_run(sent["eval"].run_id)
        assert evaluation.data.tags["mlflow.parentRunId"] == run_id
        (model,) = client.get_run(run_id).outputs.model_outputs
        assert [one.model_id for one in evaluation.inputs.model_inputs] == [model.model_id]


@pytest.mark.usefixtures("haste")
def test_training_resumed_while_its_store_is_dead_goes_on_in_the_same_run(
    cohort: tuple[Manifest, Path], place: Path, uri: str
) -> None:
    from medseg.runs.sync import sync_folder

    first = train(cohort[1], place, uri, epochs=2)
    second = train(cohort[1], place, "http://127.0.0.1:9", epochs=EPOCHS, resume=True)
    assert second.run_id == first.run_id
    (sent,) = sync_folder(second.folder, tracking_uri=uri)
    assert (sent.run_id, sent.left) == (first.run_id, 0)
    assert_all_arrived(uri, first.run_id, second.folder)


def test_what_an_earlier_run_kept_is_sent_at_the_end_of_the_next_one(
    cohort: tuple[Manifest, Path], place: Path, uri: str, store: Switch
) -> None:
    store.silent_after = 3
    kept = train(cohort[1], place, uri)
    store.is_silent = False
    following = train(cohort[1], place, uri, out=place / "next", epochs=1)
    assert "what run had kept for MLflow was sent" in following.warnings[-1]
    assert_all_arrived(uri, kept.run_id, kept.folder)


def test_store_that_refuses_is_named_before_any_case_is_read(cohort: tuple[Manifest, Path], place: Path) -> None:
    read: list[str] = []
    (place / "mlflow.db").write_text("no database" * 100, encoding="utf-8")

    class Heard:
        def over_cases(self, total: int, stage: str) -> Any:
            read.append(stage)
            raise AssertionError

    with pytest.raises(TrackingError, match="check the tracking URI"):
        train(cohort[1], place, f"sqlite:///{place}/mlflow.db", progress=Heard())
    assert read == []
    assert not (place / "run").exists()


@pytest.mark.parametrize("option", ["out", "store"])
def test_folder_that_cannot_be_written_is_named_before_any_case_is_read(
    cohort: tuple[Manifest, Path], place: Path, option: str
) -> None:
    (place / "file").touch()
    folders = {"out": place / "run", "store": place / "store", option: place / "file" / "inside"}
    with pytest.raises(
        DeliveryError, match=rf"inside: must be writable, got: .*; choose another with the option {option}"
    ):
        medseg.train(cohort[1], **folders, tracking=False, epochs=1)
    assert not (place / "run").exists()


def test_training_that_fails_before_it_begins_leaves_its_folder_free(
    cohort: tuple[Manifest, Path], place: Path, uri: str
) -> None:
    import mlflow
    from medseg.errors import ConfigError

    with pytest.raises(ConfigError):
        train(cohort[1], place, uri, config={"network": {"kernels": [[3, 3]]}})
    assert not (place / "run").exists()
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name(cohort[0].name)
    assert client.search_runs([experiment.experiment_id], max_results=1)[0].info.status == "FAILED"


def test_finished_evaluation_is_not_lost_with_its_store(
    cohort: tuple[Manifest, Path], place: Path, uri: str, store: Switch
) -> None:
    import mlflow
    from medseg.runs.sync import sync_folder

    manifest, data = cohort
    masks = place / "masks"
    masks.mkdir()
    for case in manifest.select("test"):
        (masks / f"{case.case_id}.nii.gz").write_bytes((data / str(case.label)).read_bytes())
    store.is_silent = True
    done = medseg.evaluate(data, masks=masks, out=place / "evaluation", split="test", tracking=uri)
    assert json.loads((place / "evaluation" / "summary.json").read_text(encoding="utf-8"))
    assert "`medseg sync" in done.warnings[-1]
    store.is_silent = False
    (sent,) = sync_folder(place)
    assert sent.left == 0
    assert mlflow.MlflowClient(uri).get_run(sent.run_id).data.metrics["test/dice/mean"] == pytest.approx(1.0)
