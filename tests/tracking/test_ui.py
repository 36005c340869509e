"""The UI is refused before anything starts if it could not be opened."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from medseg.errors import TrackingError
from medseg.tracking import UI_ENVIRONMENT, TrackedRun, check_ui, experiment_addresses, ui_command

from tests.conftest import Medseg


def test_port_in_use_is_named(medseg: Medseg) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = medseg("ui", "--port", str(port), "--tracking-uri", "sqlite:///never.db")
    assert ended.code == 1
    assert ended.out == ""
    assert f"port {port} of 127.0.0.1: must be free" in ended.err
    assert "choose another port" in ended.err
    check_ui("sqlite:///never.db", host="127.0.0.1", port=port)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_server_has_its_own_ui(scheme: str) -> None:
    with pytest.raises(TrackingError, match=rf"has its own UI; open {scheme}://mlflow.example:5000$"):
        check_ui(f"{scheme}://me:secret@mlflow.example:5000", host="127.0.0.1", port=1)


def test_addresses_lead_to_the_runs_with_their_columns(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    run = TrackedRun.start(
        experiment="livers", name="train a, fold 0, 1m", tracking_uri=uri, about="Livers of made-up people."
    )
    experiment = run.client.get_run(run.run_id).info.experiment_id
    ((name, address),) = experiment_addresses(uri, host="127.0.0.1", port=5000)
    assert name == "livers"
    assert address == (
        f"http://127.0.0.1:5000/#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey=medseg"
    )
    tags = run.client.get_experiment(experiment).tags
    assert tags["mlflow.note.content"] == "Livers of made-up people."
    columns = json.loads(tags["mlflow.sharedViewState.medseg"])["selectedColumns"]
    assert "metrics.`volume_dice/mean`" in columns
    assert experiment_addresses(uri, host="::1", port=5000)[0][1].startswith("http://[::1]:5000/#/")


def test_experiment_of_an_earlier_version_gets_the_view_with_its_next_run(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    run = TrackedRun.start(experiment="livers", name="first", tracking_uri=uri)
    experiment = run.client.get_run(run.run_id).info.experiment_id
    run.client.delete_experiment_tag(experiment, "mlflow.sharedViewState.medseg")
    assert "viewStateShareKey" not in experiment_addresses(uri, host="127.0.0.1", port=1)[0][1]
    TrackedRun.start(experiment="livers", name="second", tracking_uri=uri)
    assert "viewStateShareKey" in experiment_addresses(uri, host="127.0.0.1", port=1)[0][1]


def test_server_has_one_worker_and_no_job_processes() -> None:
    command = ui_command("sqlite:///x.db", host="127.0.0.1", port=5000)
    assert command[command.index("--workers") + 1] == "1"
    assert UI_ENVIRONMENT["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert UI_ENVIRONMENT["MLFLOW_DISABLE_TELEMETRY"] == "true"
