"""Answers that are no results: a status, and a reason for the client."""

from __future__ import annotations

import errno
import math
from http import HTTPStatus
from pathlib import Path

from pydantic import Field

from medseg.configuration import Config
from medseg.errors import DeliveryError, GeometryError, ManifestError, MemoryShortageError, ScanError

_OF_THE_CLIENT = (ScanError, GeometryError, ManifestError)
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Reason(Config):
    """Reason why a request has no result.

    Attributes:
        kind: Class of the error.
        fact: Rule that must hold, and the value found instead.
        remedy: Action that helps; "" if the fact implies it.
        request: Name of the request in the server's log.
    """

    kind: str
    fact: str
    remedy: str = ""
    request: str = ""


class ErrorBody(Config):
    """Body of an answer that is no result.

    Attributes:
        error: The reason.
    """

    error: Reason = Field(description="Reason why there is no result.")


class ErrorAnswer(Exception):  # noqa: N818  # it is an answer
    """An answer that is no result.

    Args:
        status: Status of HTTP.
        kind: Class of the error.
        fact: Rule that must hold, and the value found instead.
        remedy: Action that helps.
        retry_after_s: Seconds after which the same request may succeed; None where it will not.
    """

    def __init__(
        self, status: HTTPStatus, kind: str, fact: str, *, remedy: str = "", retry_after_s: float | None = None
    ) -> None:
        self.status, self.kind, self.fact, self.remedy = status, kind, fact, remedy
        self.retry_after_s = retry_after_s
        super().__init__(fact)

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        found = {} if self.retry_after_s is None else {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}
        return found | ({"WWW-Authenticate": "Bearer"} if self.status is HTTPStatus.UNAUTHORIZED else {})

    def body(self, request: str) -> ErrorBody:
        """Body of the answer to a request of this name."""
        return ErrorBody(error=Reason(kind=self.kind, fact=self.fact, remedy=self.remedy, request=request))


def error_answer_of(error: Exception, folder: Path | None = None) -> ErrorAnswer:
    """The answer to a request whose work has failed: of the client's file, or of the server without its words.

    Args:
        error: Reason of the failure.
        folder: Folder of the request, which the answer does not name; None if nothing of it is in the error.
    """
    kind = type(error).__name__
    if isinstance(error, MemoryShortageError | MemoryError):
        return ErrorAnswer(
            HTTPStatus.SERVICE_UNAVAILABLE,
            kind,
            "the scan needs more memory than is free now",
            remedy="send it again later, or a smaller part of it",
            retry_after_s=60,
        )
    if isinstance(error, _OF_THE_CLIENT):
        return ErrorAnswer(
            HTTPStatus.UNPROCESSABLE_ENTITY, kind, _without(folder, error.fact), remedy=_without(folder, error.remedy)
        )
    return ErrorAnswer(_status_of(error), kind, "the server could not do its part", remedy="tell who runs it")


def _status_of(error: Exception) -> HTTPStatus:
    cause = error.__cause__ if isinstance(error, DeliveryError) else error
    is_full = isinstance(cause, OSError) and cause.errno in _FULL
    return HTTPStatus.INSUFFICIENT_STORAGE if is_full else HTTPStatus.INTERNAL_SERVER_ERROR


def _without(folder: Path | None, text: str) -> str:
    """A text without the paths of the request's folder."""
    return text if folder is None else text.replace(f"{folder}/", "").replace(str(folder), "")
