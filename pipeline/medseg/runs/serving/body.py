"""The body of a request, written to its folder while it comes in."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from pathlib import Path

from starlette.requests import ClientDisconnect, Request

from medseg.runs.serving.error_answer import ErrorAnswer

LEAST_RATE = 16_384
"""Bytes a second that a client must send on the average, after its first moments."""


async def receive_body(request: Request, target: Path, *, most: int, patience_s: float) -> int:
    """Write a body to a file; no more of it than one message is ever in memory.

    Args:
        request: Request whose body was not read yet.
        target: File to write.
        most: Most bytes.
        patience_s: Time that a client may fall behind the least rate.

    Returns:
        Bytes of the body.

    Raises:
        ErrorAnswer: If the body is too large, empty or too slow.
        ClientDisconnect: If the client went away.
    """
    _check_size(_announced(request), most)
    size, start = 0, time.monotonic()
    with target.open("xb") as stream:
        while True:
            left_s = start + patience_s + size / LEAST_RATE - time.monotonic()
            try:
                async with asyncio.timeout(max(left_s, 0)):
                    message = await request.receive()
            except TimeoutError as error:
                raise _too_slow() from error
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            content = message.get("body", b"")
            size += len(content)
            _check_size(size, most)
            stream.write(content)
            if not message.get("more_body", False):
                break
    if size == 0:
        raise ErrorAnswer(
            HTTPStatus.BAD_REQUEST,
            "EmptyBody",
            "a request must hold the bytes of a scan, got none",
            remedy="send a file, such as with curl and its option data-binary",
        )
    return size


def _announced(request: Request) -> int:
    """Bytes that the client promises; 0 where it promises nothing that can be read."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise ErrorAnswer(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "BodyTooLarge",
            f"a request must have at most {most} bytes, got more",
            remedy="send a smaller part of the scan, or pack it",
        )


def _too_slow() -> ErrorAnswer:
    return ErrorAnswer(
        HTTPStatus.REQUEST_TIMEOUT,
        "BodyTooSlow",
        f"a client must send at least {LEAST_RATE} bytes a second, got fewer",
        remedy="send it again over a faster connection",
    )
