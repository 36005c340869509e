"""A server from its choices: its address, its models, and its end."""

from __future__ import annotations

import errno
import math
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import uvicorn

from medseg.errors import ConfigError
from medseg.inference.classification import SlicePredictor
from medseg.inference.segmentation.head.refuse import refuse_head
from medseg.inference.segmentation.load_model import load_models
from medseg.inference.segmentation.quality import QualityChecker
from medseg.runs.machine import torch_device
from medseg.runs.segmentation.model_paths import found_models, is_classifier
from medseg.runs.serving.app import Routes, build_app
from medseg.runs.serving.connection import BoundedConnection
from medseg.runs.serving.desk import Desk
from medseg.runs.serving.guard import Guard, GuardRules
from medseg.runs.serving.names import is_loopback, known_names
from medseg.runs.serving.served_model import ModelDescription, ServedMasks, ServedModel, ServedSlices
from medseg.runs.serving.settings import ServeSettings
from medseg.runs.serving.spool import opened_spool
from medseg.runs.serving.tally import Tally

_SHORTEST_TOKEN = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BACKLOG = 128
_NOT_OURS = (errno.EADDRNOTAVAIL, errno.EINVAL)
Places = Mapping[str, Sequence[Path | str]]


class _Uvicorn(uvicorn.Server):
    """The server of HTTP, which leaves signals to whoever starts it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing."""
        yield


class Serving:
    """A server whose models are loaded; clients that connect wait until it runs.

    Args:
        listener: Socket that it listens on.
        routes: What it answers.
        rules: Who may ask.
        warnings: Sentences for the person who started it.

    Attributes:
        warnings: Sentences for the person who started it.
    """

    def __init__(self, listener: socket.socket, routes: Routes, rules: GuardRules, warnings: Sequence[str]) -> None:
        self.routes, self.warnings = routes, tuple(warnings)
        self._listener = listener
        settings = routes.settings
        connection = type(
            "Connection",
            (BoundedConnection,),
            {"patience_s": settings.patience_s, "most": BoundedConnection.most + routes.desk.places},
        )
        self._server = _Uvicorn(
            uvicorn.Config(
                Guard(build_app(routes), rules=rules, tally=routes.tally),
                http=connection,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=math.ceil(settings.most_seconds + settings.patience_s),
            )
        )

    @property
    def address(self) -> str:
        """Address of the server, such as `http://127.0.0.1:8000`."""
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def models(self) -> tuple[ModelDescription, ...]:
        """The models, as clients are told of them."""
        return tuple(map(self.routes.describe, self.routes.models))

    def run(self) -> None:
        """Answer until `stop` is called from another thread or a signal's handler; running requests end first."""
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self.routes.desk.close()

    def stop(self) -> None:
        """Take no more requests and end once those that run have ended; called again, end at once."""
        self._server.force_exit = self._server.should_exit
        self._server.should_exit = True


@contextmanager
def open_server(models: Places, settings: ServeSettings) -> Iterator[Serving]:
    """Listen, and load models.

    Args:
        models: Runs, model folders, trainings of all folds and addresses of registered models by the name that clients
            give; several of one name draw one mask together. A slice classifier stands alone.
        settings: Choices.

    Yields:
        The server, which does not answer before it runs.

    Raises:
        ConfigError: If the port is taken, other machines could connect without a token, or models do not fit.
        PipelineError: If a model cannot be used.
    """
    _check(models, settings)
    with _listening(settings) as listener, opened_spool(settings.folder) as folder:
        turn, warnings = Lock(), list[str]()
        served = {name: _load(runs, settings, turn, warnings) for name, runs in models.items()}
        desk = Desk(folder, at_once=settings.at_once, queue=settings.queue)
        rules = GuardRules(settings.token, known_names(settings.host, settings.allowed_hosts))
        yield Serving(listener, Routes(served, desk, settings, Tally()), rules, warnings)


def _check(models: Places, settings: ServeSettings) -> None:
    for name in models:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"the name of a model must be of letters, digits, dots, dashes and underscores, got {name!r}",
                remedy="choose another name",
            )
    if settings.token is None:
        if not is_loopback(settings.host):
            raise ConfigError(
                f"a server on {settings.host}, which other machines can reach, must have a token, got none",
                remedy="give it one, or let it listen on 127.0.0.1",
            )
    elif len(settings.token) < _SHORTEST_TOKEN or not (settings.token.isascii() and settings.token.isprintable()):
        raise ConfigError(
            f"a token must have at least {_SHORTEST_TOKEN} plain signs, got another",
            remedy="make one, such as with openssl rand -hex 32",
        )


@contextmanager
def _listening(settings: ServeSettings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:
        number = error.errno or 0 if isinstance(error, OSError) else -1
        if number < 0 or number in _NOT_OURS:  # those below 0 are of names that nobody knows
            raise ConfigError(
                f"host {settings.host!r} must be an address or name of this machine, got another",
                remedy="choose one of its own, such as 127.0.0.1",
            ) from error
        raise ConfigError(
            f"port {settings.port} of {settings.host}: must be free to listen on, got: {os.strerror(number)}",
            remedy="choose another port",
        ) from error
    with listener:
        yield listener


def _load(runs: Sequence[Path | str], settings: ServeSettings, turn: Lock, warnings: list[str]) -> ServedModel:
    """Load one model; what is missing is added to the warnings."""
    device = torch_device(settings.device)
    if len(runs) == 1 and isinstance(runs[0], Path) and is_classifier(runs[0]):
        predictor = SlicePredictor.load(runs[0], weights=settings.weights, device=device)
        return ServedSlices(predictor, turn=turn, limits=settings.limits)
    with found_models(runs, tracking_uri=settings.tracking_uri) as found:
        model = load_models(found.folders, weights=settings.weights, device=device)
        refuse_head(model.head, "a server")
        warnings += [*found.warnings, *QualityChecker.of(model).warnings]
    return ServedMasks(model, turn=turn, limits=settings.limits)
