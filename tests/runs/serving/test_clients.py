"""Clients that are strangers, slow, too many or gone cost the server nothing that stays."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import pytest
from medseg.errors import DeliveryError, MemoryShortageError
from medseg.inference.requests import RequestLimits
from medseg.inference.segmentation.serving import check_stop
from medseg.runs.serving import app
from medseg.runs.serving.names import is_of_another_site, known_names, name_in
from medseg.runs.serving.served_model import ScanWork, SliceAnswer

from tests.runs.serving.running import Client, running_model

TOKEN = "a token of many signs"  # noqa: S105  # of the test alone
SITE = "http://evil.example"


class Waiting:
    """A model that answers when the test says so, and ends early once nobody waits.

    Attributes:
        go: Lets one request end.
        begun: Counts requests that have begun.
        stopped: Set once a request has ended early.
        error: Raised in place of an answer.
    """

    def __init__(self) -> None:
        self.limits = RequestLimits()
        self.go, self.begun, self.stopped = Semaphore(0), Semaphore(0), Event()
        self.error: Exception | None = None

    def describe(self) -> dict[str, Any]:
        return {"task": "classification", "channels": ("MR",), "models": (), "device": "none"}

    def answer(self, scan: ScanWork) -> SliceAnswer:
        self.begun.release()
        while not self.go.acquire(timeout=0.01):
            try:
                check_stop(scan.stop)
            except Exception:
                self.stopped.set()
                raise
        if self.error is not None:
            raise self.error
        return SliceAnswer(case_id="a", axis=0, classes=(), slices=(), study=(), models=())


@pytest.fixture
def model() -> Waiting:
    return Waiting()


@pytest.fixture
def client(model: Waiting, tmp_path: Path) -> Iterator[Client]:
    with running_model(
        model, tmp_path / "work", at_once=1, queue=1, patience_s=0.4, most_seconds=1.0, most_body_bytes=4_000_000
    ) as client:
        yield client


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    content = b""
    try:
        while piece := connection.recv(1 << 16):
            content += piece
    except ConnectionResetError:
        pass
    return content


def test_request_without_the_token_is_refused_before_its_body_is_read(model: Waiting, tmp_path: Path) -> None:
    with running_model(model, tmp_path / "work", token=TOKEN) as client:
        wrong = (f"Bearer {TOKEN}x", TOKEN, "Bearer ", f"Basic {TOKEN}")
        for headers in ({}, *({"Authorization": one} for one in wrong)):
            answer = client.ask("POST", "/predict", bytes(10_000_000), headers)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert client.ask("GET", "/models", headers=headers).status == 401
            assert client.ask("GET", "/openapi.json", headers=headers).status == 401
        assert client.ask("GET", "/health").json == {"status": "ok"}
        model.go.release()
        assert client.ask("POST", "/predict", b"x", {"Authorization": f"Bearer {TOKEN}"}).status == 200


def test_name_that_the_server_does_not_have_is_refused(model: Waiting, tmp_path: Path) -> None:
    with running_model(model, tmp_path / "work", allowed_hosts=("seg.example",)) as client:
        for host, status in (("evil.example", 421), ("seg.example:8000", 200), ("localhost", 200)):
            assert client.ask("GET", "/models", headers={"Host": host}).status == status


def test_page_of_another_site_is_refused(client: Client) -> None:
    host, port = client.address
    own = f"http://{host}:{port}"
    for headers in ({"Origin": SITE}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = client.ask("POST", "/predict", b"x", headers)
        assert (answer.status, answer.error["kind"]) == (403, "AnotherSite")
        assert "access-control-allow-origin" not in answer.headers
    assert client.ask("GET", "/models", headers={"Origin": own, "Sec-Fetch-Site": "same-origin"}).status == 200


def test_full_server_says_when_to_come_again(client: Client, model: Waiting) -> None:
    with ThreadPoolExecutor(2) as pool:
        running_now = pool.submit(client.predict, b"x")
        model.begun.acquire(timeout=10)
        waits = pool.submit(client.predict, b"x")
        deadline = time.monotonic() + 10
        while client.ask("GET", "/ready").status == 200 and time.monotonic() < deadline:
            time.sleep(0.01)
        refused = client.predict(bytes(1_000_000))
        assert (refused.status, refused.error["kind"]) == (503, "QueueFull")
        assert int(refused.headers["retry-after"]) >= 1
        model.go.release(2)
        assert [running_now.result().status, waits.result().status] == [200, 200]
    assert client.leftovers() == []
    assert client.ask("GET", "/ready").status == 200


def test_request_that_takes_too_long_ends_and_leaves_its_place(client: Client, model: Waiting) -> None:
    answer = client.predict(b"x")
    assert (answer.status, answer.error["kind"]) == (504, "TooLong")
    assert model.stopped.wait(10)
    assert client.leftovers() == []
    model.go.release()
    assert client.predict(b"x").status == 200


def test_client_that_goes_away_ends_its_request(client: Client, model: Waiting) -> None:
    with client.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx")
        assert model.begun.acquire(timeout=10)
    assert model.stopped.wait(0.8), "before its time is over"
    assert client.leftovers() == []


def test_client_that_goes_away_while_it_sends_leaves_nothing(client: Client) -> None:
    with client.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n" + bytes(9000))
        time.sleep(0.1)
        assert list(client.folder.glob("*/*/received"))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert client.leftovers() == []


@pytest.mark.parametrize("rest", [b"", b"POST /predict HTTP/1.1\r\nHost: local"])
def test_connection_whose_headers_do_not_come_is_closed(client: Client, rest: bytes) -> None:
    with client.connect() as connection:
        connection.sendall(rest)
        start = time.monotonic()
        assert received(connection) == b""
        assert time.monotonic() - start < 5


def test_body_that_comes_slowly_is_refused(client: Client) -> None:
    with client.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n")
        connection.settimeout(0.05)
        answer = b""
        for _ in range(100):  # a byte now and then, which a limit of idle time would let pass
            try:
                connection.sendall(b"x")
                answer += connection.recv(1 << 16)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if answer:
                break
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert client.leftovers() == []


def test_rest_of_a_refused_body_is_not_taken_forever(client: Client) -> None:
    with client.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413 ")
        sent = 0
        while sent < 500:
            try:
                connection.sendall(bytes(1000))
            except ConnectionError:
                break
            sent += 1
            time.sleep(0.01)
        assert sent < 500


@pytest.mark.parametrize(
    ("error", "status", "retries"),
    [
        (RuntimeError("/srv/secret"), 500, False),
        (KeyError("/srv/secret"), 500, False),
        (OSError(28, "No space left", "/srv/secret"), 507, False),
        (DeliveryError("a.nii: must be writable in /srv/secret"), 500, False),
        (MemoryError(), 503, True),
        (MemoryShortageError("it needs 9 GB; /srv/secret"), 503, True),
    ],
)
def test_trouble_of_the_server_is_told_without_its_words(
    client: Client, model: Waiting, error: Exception, status: int, retries: bool, caplog: pytest.LogCaptureFixture
) -> None:
    model.error = error
    model.go.release()
    answer = client.predict(b"x")
    assert (answer.status, "retry-after" in answer.headers) == (status, retries)
    assert b"secret" not in answer.body
    assert "secret" not in caplog.text
    assert f"failed: {type(error).__name__}" in caplog.text
    model.error = None
    model.go.release()
    assert client.predict(b"x").status == 200


def test_disk_that_is_full_while_a_body_comes_in_is_told(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left", "/srv/secret")

    monkeypatch.setattr(app, "receive_body", refuse)
    answer = client.predict(b"x")
    assert (answer.status, answer.error["kind"]) == (507, "OSError")
    assert "secret" not in answer.body.decode() + caplog.text
    assert client.leftovers() == []


def test_method_of_the_clients_own_words_is_not_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "medseg.runs.serving"):
        assert client.ask("MEIER_ANNA", "/predict").status == 405
        deadline = time.monotonic() + 10
        while " /predict 405 " not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)
    assert " - /predict 405 " in caplog.text


def test_names_of_a_server_on_this_machine_are_its_own() -> None:
    known = known_names("127.0.0.1", ("seg.example",))
    assert known is not None
    assert {name_in(one) in known for one in ("localhost:80", "127.0.0.1", "[::1]:8000", "SEG.example:443")} == {True}
    assert {name_in(one) in known for one in ("evil.example", "", "[", "127.0.0.1.evil.example", "a@localhost")} == {
        False
    }
    assert known_names("0.0.0.0", ()) is None  # noqa: S104  # any name, since it has a token


def test_origin_of_the_server_itself_is_no_other_site() -> None:
    assert not is_of_another_site(origin=None, fetch_site=None, host="a:1")
    assert not is_of_another_site(origin="http://a:1", fetch_site="same-origin", host="a:1")
    assert is_of_another_site(origin="http://a:2", fetch_site=None, host="a:1")
    assert is_of_another_site(origin=None, fetch_site="same-site", host="a:1")
