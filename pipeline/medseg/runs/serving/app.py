"""The routes of a server."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from threading import Event
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from medseg.configuration import Config
from medseg.inference.requests import place_received
from medseg.inference.segmentation.serving import DrawnMask, StoppedError
from medseg.runs.serving.answer import Form, answer, finish_form
from medseg.runs.serving.body import receive_body
from medseg.runs.serving.desk import Desk, Ticket
from medseg.runs.serving.error_answer import ErrorAnswer, ErrorBody, error_answer_of
from medseg.runs.serving.guard import log_fault, refused
from medseg.runs.serving.served_model import ModelDescription, ScanWork, ServedModel, SliceAnswer
from medseg.runs.serving.settings import ServeSettings
from medseg.runs.serving.tally import Tally
from medseg.version import __version__

_TITLE = "medseg"
_ABOUT = (
    "Masks on the scans' own grids. Research software, not a medical device. A scan is the body of a request: a NIfTI, "
    "NRRD, MetaImage, PNG or DICOM file, or a zip of a DICOM study or of one file for each channel."
)
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": HTTPStatus(status).phrase}
    for status in (400, 401, 403, 404, 408, 413, 421, 422, 500, 503, 504, 507)
}
_RESULTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The mask's file, a zip of it and its record, or JSON.",
        "content": {"application/gzip": {}, "image/png": {}, "application/zip": {}, "application/json": {}},
    }
}


class State(Config):
    """State of the server.

    Attributes:
        status: One word.
    """

    status: str


class Routes:
    """What a server answers.

    Args:
        models: Loaded models by their names.
        desk: Place of the running requests.
        settings: Choices of the server.
        tally: Counts of the server.
    """

    def __init__(self, models: Mapping[str, ServedModel], desk: Desk, settings: ServeSettings, tally: Tally) -> None:
        self.models, self.desk, self.settings, self.tally = models, desk, settings, tally

    async def health(self) -> State:
        """Whether the server runs."""
        return State(status="ok")

    async def ready(self) -> State:
        """Whether the server has a place for another request."""
        if len(self.desk) >= self.desk.places:
            raise ErrorAnswer(HTTPStatus.SERVICE_UNAVAILABLE, "QueueFull", "all places are taken", retry_after_s=1)
        return State(status="ready")

    async def descriptions(self) -> tuple[ModelDescription, ...]:
        """All models."""
        return tuple(map(self.describe, self.models))

    async def description(self, name: str) -> ModelDescription:
        """A model: channels, labels, limits and provenance."""
        return self.describe(name)

    def describe(self, name: str) -> ModelDescription:
        """The description of a model.

        Raises:
            ErrorAnswer: If there is no such model.
        """
        served = self._model(name)
        return ModelDescription(
            name=name,
            limits=served.limits,
            most_body_bytes=self.settings.most_body_bytes,
            **served.describe(),
        )

    async def metrics(self) -> PlainTextResponse:
        """Counts since the start, as Prometheus reads them."""
        return PlainTextResponse(self.tally.text(in_work=len(self.desk)))

    async def predict(
        self,
        request: Request,
        model: Annotated[str, Query(description="Name of the model, if there are several.")] = "",
        name: Annotated[str, Query(description="Name of the file, whose ending tells its form.")] = "",
        form: Annotated[Form, Query(description="Form of the answer.")] = Form.MASK,
        fast: Annotated[bool, Query(description="Faster, at a small loss of accuracy.")] = False,
    ) -> Response:
        """The result of the scan in the body."""
        served = self._model(model)
        ticket = self.desk.enter()
        request.state.leaving.callback(ticket.close)
        received = ticket.folder / "received"
        limits = self.settings
        await receive_body(request, received, most=limits.most_body_bytes, patience_s=limits.patience_s)
        scan = ScanWork(ticket.folder / "scan", ticket.folder / "mask", request.state.request, ticket.stop, fast)
        result = await self._awaited(request, ticket.begin(partial(_work, served, scan, name, form)), ticket)
        return answer(result, form, name=name)

    async def _awaited(
        self, request: Request, work: asyncio.Future[DrawnMask | SliceAnswer], ticket: Ticket
    ) -> DrawnMask | SliceAnswer:
        """The result of work, while the client stays and time is left."""
        start = time.monotonic()
        gone = asyncio.create_task(_until_gone(request))
        waited: set[asyncio.Future[Any]] = {work, gone}
        try:
            await asyncio.wait(waited, timeout=self.settings.most_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        self.desk.took(time.monotonic() - start)
        if not work.done():
            if gone.done() and not gone.cancelled():
                raise ClientDisconnect
            raise ErrorAnswer(
                HTTPStatus.GATEWAY_TIMEOUT,
                "TooLong",
                f"a request may take {self.settings.most_seconds:g} s, and took longer",
                remedy="send a smaller part of the scan, or send it again when fewer others wait",
            )
        try:
            return work.result()
        except Exception as error:
            refusal = error_answer_of(error, ticket.folder / "scan")
            if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                log_fault(request.state.request, error)
            raise refusal from None

    def _model(self, name: str) -> ServedModel:
        if not name and len(self.models) == 1:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise ErrorAnswer(
                HTTPStatus.NOT_FOUND,
                "UnknownModel",
                f"the model must be one of {', '.join(self.models)}, got {'another' if name else 'none'}",
                remedy="give its name as the parameter model",
            )
        return self.models[name]


def build_app(routes: Routes) -> FastAPI:
    """The application of some routes; its description is at `/openapi.json`.

    Args:
        routes: What the server answers.
    """
    app = FastAPI(title=_TITLE, description=_ABOUT, version=__version__, docs_url=None, redoc_url=None)
    app.add_exception_handler(ErrorAnswer, _refuse)
    app.add_exception_handler(HTTPException, _refuse_route)
    app.add_exception_handler(RequestValidationError, _refuse_values)
    app.add_exception_handler(Exception, _refuse_fault)
    app.get("/health")(routes.health)
    app.get("/ready", responses={503: _REFUSALS[503]})(routes.ready)
    app.get("/models")(routes.descriptions)
    app.get("/models/{name}", responses={404: _REFUSALS[404]})(routes.description)
    app.get("/metrics", response_class=PlainTextResponse)(routes.metrics)
    app.post("/predict", response_class=Response, responses=_RESULTS | _REFUSALS, openapi_extra=_BODY)(routes.predict)
    return app


def _work(served: ServedModel, scan: ScanWork, name: str, form: Form, stop: Event) -> DrawnMask | SliceAnswer:
    """Work on a received scan in a thread; its files are gone afterwards."""
    if stop.is_set():
        raise StoppedError
    try:
        place_received(scan.place.with_name("received"), scan.place, name=name, limits=served.limits)
        result = served.answer(scan)
        if isinstance(result, DrawnMask):
            finish_form(result, form)
        return result
    finally:
        shutil.rmtree(scan.place, ignore_errors=True)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, ErrorAnswer):
        raise error
    return refused(error, request.state.request)


async def _refuse_route(request: Request, error: Exception) -> Response:
    """An address or method that the server does not know."""
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    return refused(ErrorAnswer(status, status.name, status.phrase.lower()), request.state.request)


async def _refuse_fault(request: Request, error: Exception) -> Response:
    """Trouble of the server outside of the work, such as a full disk while a body comes in; the guard logs it."""
    return refused(error_answer_of(error), request.state.request)


async def _refuse_values(request: Request, error: Exception) -> Response:
    """A parameter with a value that it cannot have."""
    if not isinstance(error, RequestValidationError):
        raise error
    told = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
    fact = f"parameters must have values that they can have, got {told}"
    return refused(ErrorAnswer(HTTPStatus.BAD_REQUEST, "WrongParameter", fact), request.state.request)
