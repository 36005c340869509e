"""A PostgreSQL database as the store of runs, without a server of MLflow in between."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from medseg.errors import TrackingError
from medseg.records import Manifest
from medseg.runs.sync import sync_folder
from medseg.tracking import TrackedRun

from tests.tracking.postgresql import PASSWORD, Cluster, postgresql
from tests.tracking.two_trainings import assert_both_whole, history, train_two

START = """
import sys, time, mlflow
from pathlib import Path
from medseg.tracking import TrackedRun
mlflow.MlflowClient("sqlite:///:memory:")  # what takes time to import
Path(sys.argv[2] + ".ready").touch()
while not Path("go").exists():
    time.sleep(0.01)
TrackedRun.start(experiment="together", name=sys.argv[2], tracking_uri=sys.argv[1])
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with postgresql() as cluster:
        yield cluster


def test_two_trainings_share_an_empty_database_and_both_are_whole(
    cohort: tuple[Manifest, Path], cluster: Cluster, tmp_path: Path
) -> None:
    import mlflow

    told = train_two(cohort[1], tmp_path, {"MLFLOW_TRACKING_URI": cluster.uri})
    assert PASSWORD not in "".join(told)
    assert not (tmp_path / "mlflow.db").exists()
    assert_both_whole(mlflow.MlflowClient(cluster.uri), tmp_path)


def test_processes_that_start_together_make_the_tables_once(cluster: Cluster, tmp_path: Path) -> None:
    import mlflow

    uri = cluster.new_database("fresh")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", START, uri, str(number)], cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )
        for number in range(3)
    ]
    while len(list(tmp_path.glob("*.ready"))) < len(started) and all(one.poll() is None for one in started):
        time.sleep(0.05)
    (tmp_path / "go").touch()
    told = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], told
    client = mlflow.MlflowClient(uri)
    assert len(client.search_runs([client.get_experiment_by_name("together").experiment_id])) == 3


def test_numbers_that_are_sent_twice_are_in_the_database_once(cluster: Cluster) -> None:
    run = TrackedRun.start(experiment="livers", name="train", tracking_uri=cluster.uri)
    with run.recording(system_metrics=False):
        for step in range(2500):  # more than one request takes
            run.log_metrics({"loss": 1 / (1 + step)}, step=step)
    sent = history(run.client, run.run_id, "loss")
    assert sent == [(step, 1 / (1 + step)) for step in range(2500)]
    metrics = run.client.get_metric_history(run.run_id, "loss")
    run.client.log_batch(run.run_id, metrics=list(metrics)[:1000])
    assert history(run.client, run.run_id, "loss") == sent
    assert run.client.get_run(run.run_id).info.status == "FINISHED"


def test_database_that_is_killed_and_brought_back_has_every_number_once(cluster: Cluster, tmp_path: Path) -> None:
    run = TrackedRun.start(experiment="livers", name="train", tracking_uri=cluster.uri)
    with run.recording(system_metrics=False):
        run.begin(tmp_path / "tracking.jsonl")
        for step in range(100):
            if step == 30:
                cluster.kill()
            if step == 70:
                cluster.start()
            run.log_metrics({"loss": 1 / (1 + step)}, step=step)
            time.sleep(0.05)
    if run.kept:
        (sent,) = sync_folder(tmp_path)
        assert (sent.left, sent.error) == (0, None)
    assert sync_folder(tmp_path) == ()
    assert history(run.client, run.run_id, "loss") == [(step, 1 / (1 + step)) for step in range(100)]
    assert run.client.get_run(run.run_id).info.status == "FINISHED"


def test_wrong_password_is_refused_within_seconds_and_not_shown(cluster: Cluster) -> None:
    begun = time.monotonic()
    wrong = cluster.uri.replace(PASSWORD, "falsch-5518")
    with pytest.raises(TrackingError, match=r"must be reachable, got: .*; check the tracking URI") as refused:
        TrackedRun.start(experiment="livers", name="train", tracking_uri=wrong)
    assert time.monotonic() - begun < 30
    assert "falsch-5518" not in str(refused.value)
