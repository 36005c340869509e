from __future__ import annotations

import contextlib
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from medseg.errors import TrackingError
from medseg.tracking import TrackedRun
from medseg.tracking import store as store_module
from medseg.tracking.store import answers

START = """
import sys
from medseg.tracking import TrackedRun
run = TrackedRun.start(experiment="together", name=sys.argv[1], tracking_uri="sqlite:///new/mlflow.db")
with run.recording(system_metrics=False):
    run.log_metrics({"loss": 1.0})
assert not run.kept
"""


@contextlib.contextmanager
def server_that_says(answer: bytes | None) -> Iterator[str]:
    """A server that gives every request one answer, or none."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            open_connections = []
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    open_connections.append(connection)
                    if answer is not None:
                        connection.recv(65536)
                        connection.sendall(answer)
                        connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_processes_that_start_together_make_the_store_once(tmp_path: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", START, str(number)], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for number in range(2)
    ]
    ends = [(process.communicate()[1], process.returncode) for process in started]
    assert [code for _, code in ends] == [0, 0], ends
    with contextlib.closing(sqlite3.connect(tmp_path / "new" / "mlflow.db")) as database:
        assert database.execute("select count(*) from runs where status = 'FINISHED'").fetchone() == (2,)
        assert database.execute("select count(*) from experiments where name = 'together'").fetchone() == (1,)


def test_tables_that_another_program_makes_just_now_are_waited_for(
    uri: str, client: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def busy(given: object) -> object:
        calls.append(given)
        if len(calls) < 3:
            raise sqlite3.OperationalError("duplicate column name: step")
        return given

    monkeypatch.setattr(store_module, "_asked", busy)
    monkeypatch.setattr(store_module, "store_errors", lambda: (sqlite3.OperationalError,))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    store_module.connect(uri)
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("sqlite:///{folder}/file/mlflow.db", "must be writable"),
        ("sqlite:///{folder}/file", "file is not a database"),
        ("sqlite:///{folder}", "unable to open|is a directory|Is a directory"),
        ("http://127.0.0.1:9", "refused"),
        ("postgres://nobody@127.0.0.1:9/x", ""),
        ("nonsense://place", ""),
        ("localhost:5000", ""),
    ],
)
def test_store_that_cannot_be_used_is_named_within_seconds(tmp_path: Path, bad: str, reason: str) -> None:
    (tmp_path / "file").write_text("no database " * 100, encoding="utf-8")
    begun = time.monotonic()
    with pytest.raises(TrackingError, match=rf"must be reachable, got: .*({reason}).*; check the tracking URI"):
        TrackedRun.start(experiment="x", name="x", tracking_uri=bad.format(folder=tmp_path))
    assert time.monotonic() - begun < 20


def test_database_of_a_newer_mlflow_is_refused(uri: str, client: object, store: Path, tmp_path: Path) -> None:
    TrackedRun.start(experiment="x", name="x", tracking_uri=uri)
    newer = tmp_path / "newer.db"
    newer.write_bytes((store / "mlflow.db").read_bytes())
    with contextlib.closing(sqlite3.connect(newer)) as database:
        database.execute("update alembic_version set version_num = 'ffffffffffff'")
        database.commit()
    with pytest.raises(TrackingError, match=r"must be reachable, got: .*schema"):
        TrackedRun.start(experiment="x", name="x", tracking_uri=f"sqlite:///{newer}")


def test_artefacts_that_cannot_be_written_are_found_before_the_work(client: object, uri: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    client.create_experiment("elsewhere", artifact_location=str(tmp_path / "file" / "art"))  # type: ignore[attr-defined]
    with pytest.raises(TrackingError, match=r"artefacts: folder .*art: must be writable.*check the tracking URI"):
        TrackedRun.start(experiment="elsewhere", name="x", tracking_uri=uri)


def test_working_folder_that_cannot_be_written_spoils_no_experiment(
    client: object, uri: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mlruns").touch()  # no folder can be made of it, whatever the rights
    monkeypatch.chdir(tmp_path)
    run = TrackedRun.start(experiment="from a full place", name="x", tracking_uri=uri)
    run.log_file(store / "mlflow.db")
    found = client.get_experiment_by_name("from a full place")  # type: ignore[attr-defined]
    assert found.artifact_location == (store / "mlruns").as_uri()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mlruns").touch()
    own = f"sqlite:///{tmp_path}/own/mlflow.db"
    with pytest.raises(TrackingError, match=rf"artefacts: folder {tmp_path}/own/mlruns: must be writable"):
        TrackedRun.start(experiment="nowhere", name="x", tracking_uri=own)
    (tmp_path / "own" / "mlruns").unlink()
    TrackedRun.start(experiment="nowhere", name="x", tracking_uri=own)


def test_server_that_hangs_or_whose_gateway_answers_for_it_is_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "ANSWER_S", 0.5)
    with server_that_says(None) as uri:
        assert not answers(uri)
    with server_that_says(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n") as uri:
        assert not answers(uri)
    with server_that_says(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n") as uri:
        assert not answers(uri)
    with server_that_says(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n") as uri:
        assert answers(uri)


def test_password_of_a_store_is_not_shown() -> None:
    with pytest.raises(TrackingError) as refused:
        TrackedRun.start(experiment="x", name="x", tracking_uri="http://me:secret@127.0.0.1:9")
    assert "secret" not in str(refused.value)
    assert "127.0.0.1:9" in str(refused.value)
