"""What every request passes before anything of it is read: who may ask, by which name, and what is noted of it."""

from __future__ import annotations

import hmac
import logging
import time
import traceback
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPMethod, HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medseg.runs.serving.error_answer import ErrorAnswer, error_answer_of
from medseg.runs.serving.names import is_of_another_site, name_in
from medseg.runs.serving.tally import Tally

REQUEST_HEADER = "X-Medseg-Request"
_CLIENT_LEFT = 499  # in the log alone
_METHODS = frozenset(HTTPMethod)  # any other is the client's own words, of any length
_OPEN_TO_ALL = ("/health", "/ready")  # for those who watch over the machine; they tell nothing
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GuardRules:
    """Rules of a guard.

    Attributes:
        token: Secret that each request must bring; None for none.
        names: Names that the Host header may hold, in lower case; None for any.
    """

    token: str | None
    names: frozenset[str] | None


class Guard:
    """Refuses requests that may not be answered, and logs and counts all without a word of what they hold.

    A request's `state` holds its name, `request`, and an exit stack, `leaving`, which is closed in the end, whatever
    ends the request.

    Args:
        app: What answers requests.
        rules: Who may ask.
        tally: Counts of the server.
    """

    def __init__(self, app: ASGIApp, *, rules: GuardRules, tally: Tally) -> None:
        self.app, self.rules, self.tally = app, rules, tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        start, name = time.monotonic(), uuid.uuid4().hex[:12]
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_HEADER] = name
                headers["Cache-Control"] = "no-store"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        try:
            with ExitStack() as leaving:
                scope["state"] = {"request": name, "leaving": leaving}
                refusal = self._refusal(scope)
                await (self.app if refusal is None else refused(refusal, name))(scope, receive, send_marked)
        except ClientDisconnect:
            status = _CLIENT_LEFT
        except Exception as error:
            log_fault(name, error)
            if not status:
                await refused(error_answer_of(error), name)(scope, receive, send_marked)
        finally:
            self._note(scope, name, status, time.monotonic() - start)

    def _refusal(self, scope: Scope) -> ErrorAnswer | None:
        """The reason why a request may not be answered; None if it may."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.rules.names is not None and name_in(host) not in self.rules.names:
            return ErrorAnswer(
                HTTPStatus.MISDIRECTED_REQUEST,
                "UnknownHost",
                "the server must be called by a name that it knows, got another",
                remedy="call it by its address, or let whoever runs it allow the name",
            )
        if is_of_another_site(origin=headers.get("origin"), fetch_site=headers.get("sec-fetch-site"), host=host):
            return ErrorAnswer(HTTPStatus.FORBIDDEN, "AnotherSite", "pages of other sites may not send requests")
        if self.rules.token is not None and scope["path"] not in _OPEN_TO_ALL and not self._is_known(headers):
            return ErrorAnswer(
                HTTPStatus.UNAUTHORIZED,
                "Unauthorised",
                "a request must bring the server's token",
                remedy="send the header Authorization: Bearer TOKEN",
            )
        return None

    def _is_known(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        is_equal = hmac.compare_digest(token.strip().encode(), (self.rules.token or "").encode())
        return scheme.lower() == "bearer" and is_equal

    def _note(self, scope: Scope, name: str, status: int, seconds: float) -> None:
        route = _route_of(scope)
        self.tally.add(route, status, seconds)
        client = (scope.get("client") or ("",))[0]
        method = scope["method"] if scope["method"] in _METHODS else "-"
        _log.info("%s %s %s %s %d %.3f s", name, client, method, route, status, seconds)


def log_fault(name: str, error: BaseException) -> None:
    """Log where in the code a request has failed, without the words of the error, which may be those of a scan."""
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" at {one.filename}:{one.lineno}" for one in place)
    _log.error("%s failed: %s%s", name, type(error).__name__, where)


def refused(refusal: ErrorAnswer, name: str) -> JSONResponse:
    """The answer of a refusal to a request of this name."""
    return JSONResponse(refusal.body(name).model_dump(), status_code=refusal.status, headers=refusal.headers)


def _route_of(scope: Scope) -> str:
    """The path of a request as the server knows it; never the client's own words."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", "-"))
