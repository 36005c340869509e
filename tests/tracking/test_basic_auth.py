"""A remote tracking server that asks for a user and a password."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import medseg
import pytest
from medseg.errors import TrackingError
from medseg.records import Manifest
from medseg.runs.sync import sync_folder
from medseg.tracking import TrackedRun

from tests.runs.test_silent_store import assert_all_arrived, train
from tests.tracking.mlflow_server import MlflowServer, serving

USER, PASSWORD = "admin", "richtig-und-lang-4417"
WRONG = "falsch-und-lang-5518"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = READ\n"
        f"database_uri = sqlite:///{folder}/users.db\n"
        f"admin_username = {USER}\nadmin_password = {PASSWORD}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
        encoding="utf-8",
    )
    environment = {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of the tests alone",
    }
    with serving(MlflowServer(folder, options=("--app-name", "basic-auth"), environment=environment)) as server:
        yield server


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, without the credentials of another test."""
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def log_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the credentials as MLflow documents it."""

    def set_credentials(password: str) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)

    return set_credentials


def files_with(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_training_and_its_evaluation_log_with_the_password_of_the_environment(
    server: MlflowServer, cohort: tuple[Manifest, Path], place: Path, log_in: Any, caplog: pytest.LogCaptureFixture
) -> None:
    log_in(PASSWORD)
    with caplog.at_level(logging.DEBUG):
        result = train(cohort[1], place, server.uri, epochs=2)
        done = medseg.evaluate(
            cohort[1], masks=masks_of(cohort, place), out=place / "evaluation", split="test", tracking=server.uri
        )
    assert (result.warnings, done.warnings) == ((), ())
    assert_all_arrived(server.uri, result.run_id, result.folder)
    runs = server.client.search_runs([server.client.get_run(result.run_id).info.experiment_id])
    (evaluation,) = [run for run in runs if run.info.run_id != result.run_id]
    assert evaluation.data.metrics["test/dice/mean"] == pytest.approx(1.0)
    assert evaluation.info.status == "FINISHED"
    assert PASSWORD not in caplog.text
    assert files_with(place, PASSWORD) == []


def masks_of(cohort: tuple[Manifest, Path], place: Path) -> Path:
    """The labels of the test cases as masks."""
    manifest, data = cohort
    (place / "masks").mkdir()
    for case in manifest.select("test"):
        (place / "masks" / f"{case.case_id}.nii.gz").write_bytes((data / str(case.label)).read_bytes())
    return place / "masks"


@pytest.mark.parametrize("way", ["environment", "address", "none"])
def test_wrong_password_is_refused_before_the_work_and_not_shown(
    server: MlflowServer, cohort: tuple[Manifest, Path], place: Path, log_in: Any, way: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    if way == "environment":
        log_in(WRONG)
    uri = server.uri.replace("://", f"://{USER}:{WRONG}@") if way == "address" else server.uri
    begun = time.monotonic()
    with caplog.at_level(logging.DEBUG), pytest.raises(TrackingError, match=r"must be reachable, got: .*") as refused:
        train(cohort[1], place, uri)
    assert time.monotonic() - begun < 20
    assert not (place / "run").exists()
    assert WRONG not in str(refused.value)
    assert WRONG not in caplog.text


def test_password_in_the_address_is_used_and_not_shown(
    server: MlflowServer, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        run = TrackedRun.start(
            experiment="livers", name="train", tracking_uri=server.uri.replace("://", f"://{USER}:{PASSWORD}@")
        )
        with run.recording(system_metrics=False):
            run.log_metrics({"loss": 0.5})
    assert run.kept == ""
    assert server.losses(run.run_id) == [(0, 0.5)]
    assert PASSWORD not in caplog.text


def test_password_in_the_address_reaches_no_file_and_a_resume_takes_it_from_the_environment(
    server: MlflowServer, cohort: tuple[Manifest, Path], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = server.uri.replace("://", f"://{USER}:{PASSWORD}@")
    first = train(cohort[1], place, whole, epochs=1)
    assert files_with(place, PASSWORD) == []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", whole)
    second = train(cohort[1], place, True, epochs=2, resume=True)
    assert (second.run_id, second.warnings) == (first.run_id, ())
    assert_all_arrived(whole, first.run_id, second.folder)
    assert files_with(place, PASSWORD) == []


def test_numbers_that_a_changed_password_kept_back_are_sent_with_the_new_one(
    server: MlflowServer, place: Path, log_in: Any
) -> None:
    log_in(PASSWORD)
    run = TrackedRun.start(experiment="livers", name="train", tracking_uri=server.uri)
    with run.recording(system_metrics=False):
        run.begin(place / "tracking.jsonl")
        log_in(WRONG)
        for step in range(5):
            run.log_metrics({"loss": 1.0}, step=step)
    assert "`medseg sync" in run.kept
    assert WRONG not in run.kept
    (refused,) = sync_folder(place)
    assert refused.error is not None or refused.left == 6
    log_in(PASSWORD)
    (sent,) = sync_folder(place)
    assert (sent.sent, sent.left) == (6, 0)
    assert server.losses(run.run_id) == [(step, 1.0) for step in range(5)]
    assert server.status(run.run_id) == "FINISHED"
