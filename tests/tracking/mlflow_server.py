"""A real `mlflow server` in a process group of its own, which a test can kill and bring back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medseg.tracking import UI_ENVIRONMENT
from medseg.tracking.store import answers


class MlflowServer:
    """A tracking server with one worker on SQLite.

    Args:
        folder: Folder of the database, the artefacts and the log.
        options: More options of `mlflow server`.
        environment: More variables of its environment.
    """

    def __init__(self, folder: Path, *, options: tuple[str, ...] = (), environment: Mapping[str, str] = {}) -> None:
        self.folder = folder
        self.database = f"sqlite:///{folder}/server.db"
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._command = [
            sys.executable, "-m", "mlflow", "server", "--backend-store-uri", self.database,
            "--artifacts-destination", (folder / "artefacts").as_uri(),
            "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1", *options,
        ]  # fmt: skip
        self._environment = {**os.environ, **UI_ENVIRONMENT, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or bring it back; it takes seconds until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, seconds: float = 120.0) -> None:
        """Wait until it answers."""
        end = time.monotonic() + seconds
        while not self.is_up():
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text(encoding="utf-8")
            assert time.monotonic() < end, self.log.read_text(encoding="utf-8")
            time.sleep(0.1)

    def is_up(self) -> bool:
        return answers(self.uri)

    def kill(self) -> None:
        """Kill it and its workers, as a power cut would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @property
    def log(self) -> Path:
        """File of what it prints."""
        return self.folder / "server.log"

    def losses(self, run_id: str) -> list[tuple[int, float]]:
        """Step and value of every `loss` of a run, in the order of their times, read from the database."""
        history = self.client.get_metric_history(run_id, "loss")
        return [(item.step, item.value) for item in history]

    def status(self, run_id: str) -> str:
        return str(self.client.get_run(run_id).info.status)

    @property
    def client(self) -> Any:
        """Client of the database itself, which needs no server."""
        import mlflow

        return mlflow.MlflowClient(self.database)


@contextmanager
def serving(server: MlflowServer) -> Iterator[MlflowServer]:
    """A server that answers, and is killed at the end whatever happens."""
    try:
        server.start()
        server.wait()
        yield server
    finally:
        server.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
