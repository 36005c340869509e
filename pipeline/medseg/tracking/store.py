"""Connecting to an MLflow store: within seconds or not at all, and never twice at once."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from medseg.atomic import check_writable
from medseg.errors import DeliveryError, TrackingError
from medseg.tracking.quiet_mlflow import import_mlflow
from medseg.tracking.store_errors import MissingRunError, explained, store_errors, unreachable, without_password

ANSWER_S = 10.0
"""Seconds within which a store must answer a question."""
START_S = 60.0
"""Seconds within which a store on another machine must take a new run."""
LOCK_S = 120.0
"""Seconds for which another process may make the tables of a store."""
_MOST_TRIES = 3
_DATABASES = ("postgresql", "postgres", "mysql", "mssql")
_REFUSALS = ("password", "authentication", "Access denied", "role", "does not exist", "Unknown database")

Result = TypeVar("Result")


def connect(tracking_uri: str | None) -> tuple[Any, str]:
    """An MLflow client, and the URI of its store.

    A database file is made, or its tables are, by one process at a time.

    Args:
        tracking_uri: URI of the store; if not given, `MLFLOW_TRACKING_URI`, else SQLite in the working folder.

    Raises:
        TrackingError: If the store cannot be reached.
    """
    mlflow = import_mlflow()
    uri = resolved_uri(tracking_uri)
    with explained(uri):
        check_answers(uri)
        file = database_file(uri)
        if file is not None:
            with _locked(file):
                return _open_database(uri), uri
        if _is_database(uri):
            return within(START_S, uri, partial(_open_database, uri)), uri
        return mlflow.MlflowClient(tracking_uri=uri), uri


def resolved_uri(tracking_uri: str | None) -> str:
    """The address of a store, with the user and password of MLflow's own choice if that is the same store.

    Addresses are written to files without passwords; a store that is named so is found again where the environment
    names it whole.

    Args:
        tracking_uri: URI of the store; MLflow's own choice if not given.
    """
    chosen = str(import_mlflow().get_tracking_uri())
    if tracking_uri is None or without_password(str(tracking_uri)) == without_password(chosen) == str(tracking_uri):
        return chosen
    return str(tracking_uri)


def answers(uri: str) -> bool:
    """Whether a store answers, found out within seconds."""
    try:
        check_answers(uri)
    except store_errors():
        return False
    return True


def check_answers(uri: str) -> None:
    """Ask a store for a sign of life, without the long patience of MLflow.

    Raises:
        OSError: If a server does not answer, or the folder of a database file cannot be written.
        ValueError: If a file is no database.
    """
    file = database_file(uri)
    if file is not None:
        _check_file(file)
    elif uri.startswith(("http://", "https://")):
        _check_server(uri)
    elif _is_database(uri):
        _check_database(uri)


def within(seconds: float, uri: str, work: Callable[[], Result]) -> Result:
    """Do work that waits for a store, but no longer than some seconds.

    Args:
        seconds: Longest time.
        uri: URI of the store; a file is on this machine and has all the time that it needs.
        work: Function that waits.

    Raises:
        TrackingError: If the store does not answer in time.
    """
    if database_file(uri) is not None:
        return work()
    expected: tuple[type[Exception], ...] = (*store_errors(), TrackingError)
    ended: list[Result] = []
    failed: list[Exception] = []

    def attempt() -> None:
        try:
            ended.append(work())
        except expected as error:  # raised again below, in the thread that waits
            failed.append(error)

    thread = threading.Thread(target=attempt, name="medseg tracking start", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not ended:
        raise unreachable(uri, f"no answer within {seconds:.0f} s")
    return ended[0]


def is_passing(error: TrackingError) -> bool:
    """Whether a store that cannot be used just now may be usable later: it is silent, or fails.

    A file on this machine is not: it will not mend itself.
    """
    cause = error.__cause__
    if isinstance(error, MissingRunError) or cause is None:
        return False
    return bool(_is_silence(cause))


def _is_silence(cause: BaseException) -> bool:
    import requests
    from sqlalchemy.exc import OperationalError

    if isinstance(cause, OperationalError):
        return not any(word in str(cause) for word in _REFUSALS)
    return isinstance(cause, requests.exceptions.ConnectionError | requests.exceptions.Timeout | _ServerError)


def database_file(uri: str) -> Path | None:
    """The file of a SQLite store; None for any other store, and for one in memory."""
    if not uri.startswith("sqlite"):
        return None
    from sqlalchemy.engine import make_url

    name = make_url(uri).database
    return Path(name) if name and name != ":memory:" else None


def _is_database(uri: str) -> bool:
    """Whether a store is a database that MLflow speaks to directly."""
    return uri.partition("://")[0].partition("+")[0] in _DATABASES


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold the lock of a database file, whose tables two processes must not make at once."""
    from filelock import FileLock, Timeout

    lock = FileLock(file.with_name(f".{file.name}.lock"), timeout=LOCK_S)
    try:
        lock.acquire()
    except Timeout as error:
        raise OSError(f"{lock.lock_file} was held by another process for {LOCK_S:.0f} s") from error
    except (OSError, NotImplementedError):  # a file system without locks
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _open_database(uri: str) -> Any:
    """A client whose database has its tables; other programs, which know no lock, may be making them just now."""
    import mlflow

    for number in range(1, _MOST_TRIES):
        with suppress(*store_errors()):
            return _asked(mlflow.MlflowClient(tracking_uri=uri))
        time.sleep(number)
    return _asked(mlflow.MlflowClient(tracking_uri=uri))


def _asked(client: Any) -> Any:
    """The client, once it has opened its store."""
    client.search_experiments(max_results=1)
    return client


def _check_file(file: Path) -> None:
    """Hold a database file to its rules, for which MLflow would try for minutes."""
    if not file.exists():
        try:
            check_writable(file.parent, option="tracking URI")
        except DeliveryError as error:
            raise OSError(error.fact) from error
        return
    if not os.access(file, os.W_OK):
        raise PermissionError(f"{file.name} must be writable")
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw", uri=True, timeout=ANSWER_S)) as database:
            database.execute("PRAGMA schema_version")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise OSError(str(error)) from error
    except sqlite3.DatabaseError as error:
        raise ValueError(f"(sqlite3.{type(error).__name__}) {error}") from error


def _check_database(uri: str) -> None:
    """Connect once, for which MLflow would try for minutes."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    seconds = {} if uri.startswith("mssql") else {"connect_timeout": int(ANSWER_S)}
    engine = create_engine(uri, poolclass=NullPool, connect_args=seconds)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


class _ServerError(OSError):
    """A server that answers with an error of its own, or a gateway that answers for it."""


def _check_server(uri: str) -> None:
    import requests

    try:
        answer = requests.get(f"{uri.rstrip('/')}/health", timeout=ANSWER_S)
    except requests.exceptions.SSLError:
        return  # it answers; MLflow may have been told to trust it
    if answer.status_code >= 500:
        raise _ServerError(f"HTTP status {answer.status_code}")
