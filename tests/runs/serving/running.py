"""A server in a thread, and clients that behave well or badly."""

from __future__ import annotations

import http.client
import io
import json
import socket
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from medseg.runs.serving import ServeSettings, Serving, open_server
from medseg.runs.serving.app import Routes
from medseg.runs.serving.desk import Desk
from medseg.runs.serving.guard import GuardRules
from medseg.runs.serving.names import known_names
from medseg.runs.serving.served_model import ServedModel
from medseg.runs.serving.tally import Tally


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        error: dict[str, str] = self.json["error"]
        return error


@dataclass(frozen=True)
class Client:
    """A client of a server.

    Attributes:
        address: Host and port.
        folder: Folder in which the server keeps the folders of requests; empty when none runs.
    """

    address: tuple[str, int]
    folder: Path

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def predict(self, content: bytes | Iterator[bytes], query: str = "", **headers: str) -> Answer:
        return self.ask("POST", f"/predict{query}", content, headers)

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=30)

    def leftovers(self) -> list[Path]:
        """What is left of requests once the server has had time to notice that they ended."""
        deadline = time.monotonic() + 10
        while (left := list(self.folder.glob("*/*"))) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left


@contextmanager
def running(models: Mapping[str, Sequence[Path | str]], folder: Path, **settings: Any) -> Iterator[Client]:
    """A server of runs."""
    asked = ServeSettings(port=0, device="cpu", folder=folder, **settings)
    with open_server(models, asked) as server, _in_thread(server, folder) as client:
        yield client


@contextmanager
def running_model(model: ServedModel, folder: Path, **settings: Any) -> Iterator[Client]:
    """A server of a model that a test has made."""
    asked = ServeSettings(**settings)
    (folder / "own").mkdir(parents=True)
    desk = Desk(folder / "own", at_once=asked.at_once, queue=asked.queue)
    rules = GuardRules(asked.token, known_names(asked.host, asked.allowed_hosts))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Serving(listener, Routes({"model": model}, desk, asked, Tally()), rules, ())
        with _in_thread(server, folder) as client:
            yield client


@contextmanager
def _in_thread(server: Serving, folder: Path) -> Iterator[Client]:
    thread = Thread(target=server.run)
    thread.start()
    place = urlsplit(server.address)
    try:
        yield Client((str(place.hostname), int(place.port or 0)), folder)
    finally:
        server.stop()
        thread.join(30)
    assert not thread.is_alive()


def zipped(contents: Mapping[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", kind) as archive:
        for name, part in contents.items():
            archive.writestr(name, part)
    return content.getvalue()
