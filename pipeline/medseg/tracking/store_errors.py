"""Errors of MLflow, its database and its files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from medseg.errors import TrackingError

_PASSING = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED", "ABORTED")
_ERRNO = re.compile(r"\[Errno -?\d+\] ([^\"')]+)")
_PASSWORD = re.compile(r"(?<=://)[^/\s]*@")
_NAMED_PASSWORD = re.compile(r"(?i)\b(password|passwd|pwd)(?:=|%3d)[^&;\s]*")


class MissingRunError(TrackingError):
    """A store that answers does not hold what it is asked for."""


def store_errors() -> tuple[type[Exception], ...]:
    """Classes of the errors that a store raises."""
    from alembic.util import CommandError
    from google.protobuf.json_format import ParseError  # type: ignore[import-untyped]
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return (MlflowException, SQLAlchemyError, CommandError, ParseError, OSError, ImportError, ValueError)


def is_final(error: Exception) -> bool:
    """Whether the store has understood and refused, so that asking again is of no use."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, FileNotFoundError | UnicodeError) or (
        isinstance(error, MlflowException) and error.error_code not in _PASSING
    )


def first_line(error: Exception) -> str:
    """The first line of an error, without passwords; of a connection that fails, the reason alone."""
    if isinstance(error, OSError) and (reason := _ERRNO.search(str(error))):
        return reason[1]
    lines = str(error).splitlines()
    return without_password(lines[0]) if lines else type(error).__name__


def without_password(uri: str) -> str:
    """An address without the user and password in it, wherever they stand."""
    return _NAMED_PASSWORD.sub(r"\1=***", _PASSWORD.sub("", uri))


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn the errors of a store into a TrackingError."""
    try:
        yield
    except store_errors() as error:
        if is_missing(error):
            raise missing(uri, first_line(error)) from error
        raise unreachable(uri, first_line(error)) from error


def is_missing(error: Exception) -> bool:
    """Whether the store answers that it does not hold what it is asked for; of names, some stores say so otherwise."""
    from mlflow.exceptions import MlflowException

    if not isinstance(error, MlflowException):
        return False
    is_unknown_name = error.error_code == "INVALID_PARAMETER_VALUE" and "not found" in str(error)
    return error.error_code == "RESOURCE_DOES_NOT_EXIST" or is_unknown_name


def missing(uri: str, reason: str) -> MissingRunError:
    """The error of a store that answers, but does not hold what it is asked for."""
    return MissingRunError(
        f"MLflow store {without_password(uri)}: must hold what it is asked for, got: {reason}",
        remedy="check the tracking URI and the name",
    )


def unreachable(uri: str, reason: str) -> TrackingError:
    """The error of a store that cannot be used."""
    return TrackingError(
        f"MLflow store {without_password(uri)}: must be reachable, got: {reason}",
        remedy="check the tracking URI",
    )
