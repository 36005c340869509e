"""A real tracking server that dies, returns, fails or is slow: no number is lost, none comes twice, nobody waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import medseg
import pytest
from medseg.records import Manifest
from medseg.runs.sync import sync_folder
from medseg.tracking import TrackedRun
from medseg.training import TrainingEvents

from tests.runs.test_silent_store import assert_all_arrived, train
from tests.tracking.gateway import Gateway, Mode, in_front_of
from tests.tracking.mlflow_server import MlflowServer, serving

STEP_S = 0.02


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with serving(MlflowServer(tmp_path_factory.mktemp("server"))) as server:
        yield server


@pytest.fixture
def server(running: MlflowServer) -> MlflowServer:
    """The server, up again if an earlier test has left it dead."""
    if not running.is_up():
        running.kill()
        running.start()
        running.wait()
    return running


@pytest.fixture
def gateway(server: MlflowServer) -> Iterator[Gateway]:
    with in_front_of(server.port) as gateway:
        yield gateway


def start(uri: str) -> TrackedRun:
    return TrackedRun.start(experiment="livers", name="train", tracking_uri=uri)


def work(run: TrackedRun, steps: range) -> None:
    """What a training logs, one number per step."""
    for step in steps:
        run.log_metrics({"loss": value(step)}, step=step)
        time.sleep(STEP_S)


def value(step: int) -> float:
    return 1.0 / (1 + step)


def every(steps: int) -> list[tuple[int, float]]:
    return [(step, value(step)) for step in range(steps)]


def until(is_so: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_server_killed_in_the_middle_and_brought_back_has_every_step_once(server: MlflowServer, tmp_path: Path) -> None:
    run = start(server.uri)
    with run.recording(system_metrics=False):
        run.begin(tmp_path / "tracking.jsonl")
        work(run, range(20))
        server.kill()
        work(run, range(20, 120))
        server.start()
        last = 120
        while not server.is_up():
            assert last < 6000
            work(run, range(last, last + 10))
            last += 10
        work(run, range(last, last + 20))
    assert run.kept == ""
    assert server.losses(run.run_id) == every(last + 20)
    assert server.status(run.run_id) == "FINISHED"
    assert not (tmp_path / "tracking.jsonl").exists()


def test_what_a_dead_server_missed_is_sent_once_it_is_back(server: MlflowServer, tmp_path: Path) -> None:
    run = start(server.uri)
    with run.recording(system_metrics=False):
        run.begin(tmp_path / "tracking.jsonl")
        work(run, range(10))
        until(lambda: server.losses(run.run_id) == every(10))
        server.kill()
        work(run, range(10, 40))
        ended = time.monotonic()
    assert time.monotonic() - ended < 60
    assert f"`medseg sync {tmp_path}` sends them" in run.kept
    assert server.losses(run.run_id) == every(10)
    (dead,) = sync_folder(tmp_path)
    assert "must be reachable" in str(dead.error)
    server.start()
    server.wait()
    (sent,) = sync_folder(tmp_path)
    assert sent.sent >= 31  # and what the server took, but could not say before it died
    assert (sent.left, sent.error) == (0, None)
    assert sync_folder(tmp_path) == ()
    assert server.losses(run.run_id) == every(40)
    assert server.status(run.run_id) == "FINISHED"


@pytest.mark.parametrize(
    ("mode", "only", "times"),
    [
        ("fails", "", 3),
        ("fails but for its health", "", 12),  # until the first entries are set aside
        ("loses answers", "log-batch", 1),
        ("loses answers", "runs/update", 0),  # which is sent at the end alone
    ],
)
def test_server_that_fails_for_a_while_has_every_step_once(
    gateway: Gateway, server: MlflowServer, tmp_path: Path, mode: Mode, only: str, times: int
) -> None:
    run = start(gateway.uri)
    gateway.only = only
    with run.recording(system_metrics=False):
        run.begin(tmp_path / "tracking.jsonl")
        work(run, range(10))
        gateway.mode = mode
        work(run, range(10, 60))
        until(lambda: len(gateway.hit) >= times)
        gateway.mode = "good" if times else mode
        work(run, range(60, 80))
    assert gateway.hit
    gateway.mode = "good"
    if run.kept:
        (sent,) = sync_folder(tmp_path)
        assert (sent.left, sent.error) == (0, None)
    assert sync_folder(tmp_path) == ()
    assert server.losses(run.run_id) == every(80)
    assert server.status(run.run_id) == "FINISHED"


def test_work_does_not_wait_for_a_slow_server(gateway: Gateway, server: MlflowServer, tmp_path: Path) -> None:
    run = start(gateway.uri)
    gateway.delay_s = 2.0
    with run.recording(system_metrics=False):
        run.begin(tmp_path / "tracking.jsonl")
        begun = time.monotonic()
        work(run, range(50))
        spent = time.monotonic() - begun
    assert spent < 20  # where every number is waited for, it is 100 s
    assert run.kept == ""
    assert server.losses(run.run_id) == every(50)
    assert server.status(run.run_id) == "FINISHED"


def test_training_does_not_notice_that_its_server_was_killed(
    server: MlflowServer, cohort: tuple[Manifest, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill_and_revive(trainer: Any, evaluator: Any, state: Any) -> None:
        def change(engine: Any) -> None:
            if state.epoch == 2:
                server.kill()
            if state.epoch == 3:
                server.start()
                server.wait()

        trainer.add_event_handler(TrainingEvents.REPORTED, change)

    monkeypatch.chdir(tmp_path)
    parts = medseg.SegmentationParts(attach=(kill_and_revive,))
    result = train(cohort[1], tmp_path, server.uri, parts=parts)
    assert result.warnings == ()
    assert_all_arrived(server.uri, result.run_id, result.folder)


def test_answers_that_are_lost_on_the_way_leave_nothing_twice(
    gateway: Gateway, server: MlflowServer, cohort: tuple[Manifest, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def lose(trainer: Any, evaluator: Any, state: Any) -> None:
        gateway.mode = "loses first answers"

    monkeypatch.chdir(tmp_path)
    result = train(cohort[1], tmp_path, gateway.uri, parts=medseg.SegmentationParts(attach=(lose,)))
    gateway.mode = "good"
    assert all(sent.left == 0 for sent in sync_folder(result.folder))
    assert_all_arrived(gateway.uri, result.run_id, result.folder)
    experiment = server.client.get_run(result.run_id).info.experiment_id
    of_run = server.client.search_logged_models([experiment], filter_string=f"source_run_id = '{result.run_id}'")
    assert [str(model.status) for model in of_run] == ["READY"]
