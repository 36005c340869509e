"""A gateway in front of a server, which can fail, be slow, or lose what the server answers."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Mode = Literal["good", "fails", "fails but for its health", "loses answers", "loses first answers"]


class Gateway(ThreadingHTTPServer):
    """Passes requests on to a server.

    Args:
        target: Port of the server on this machine.

    Attributes:
        mode: What it does to the requests. Where it loses answers, the server does what is asked, and the caller hears
            nothing of it; `loses first answers` does so once per address.
        delay_s: Seconds before every answer.
        only: Part of the addresses that `mode` concerns.
        hit: Addresses of the requests that it has spoilt.
    """

    daemon_threads = True

    def __init__(self, target: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.mode: Mode = "good"
        self.delay_s = 0.0
        self.only = ""
        self.hit: list[str] = []

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def spoils(self, address: str) -> bool:
        """Whether a request is one of those that go wrong."""
        if self.mode == "good" or self.only not in address:
            return False
        if self.mode == "loses first answers":
            return address not in {*self.hit, "/health"}
        return not (self.mode == "fails but for its health" and address == "/health")


class _Handler(BaseHTTPRequestHandler):
    """One request, passed on or spoilt."""

    server: Gateway

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.close_connection = True
        time.sleep(self.server.delay_s)
        if not self.server.spoils(self.path):
            self._answer(*self._ask(body))
            return
        self.server.hit.append(self.path)
        if self.server.mode.startswith("loses"):
            self._ask(body)
        else:
            self._answer(500, b"the gateway is ill", "text/plain")

    def _ask(self, body: bytes) -> tuple[int, bytes, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.target)
        headers = {key: value for key, value in self.headers.items() if key not in {"Connection", "Accept-Encoding"}}
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheader("Content-Type", "")
        finally:
            connection.close()

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *given: object) -> None:
        """Nothing: the tests look at the counts."""


@contextmanager
def in_front_of(port: int) -> Iterator[Gateway]:
    """A gateway that passes on what comes."""
    with Gateway(port) as gateway:
        thread = threading.Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield gateway
        finally:
            gateway.shutdown()
            thread.join()
