"""The log of a server leaves that of the process as it was."""

from __future__ import annotations

import logging

from medseg.workflows.serve import _log_without_names


def state() -> list[tuple[object, ...]]:
    """Filters and forms of everything that the server's log changes."""
    names = ("medseg.runs.serving", "nibabel.global")
    loggers: list[tuple[object, ...]] = [
        (list(logging.getLogger(name).filters), logging.getLogger(name).level) for name in names
    ]
    return loggers + [(list(one.filters), one.formatter) for one in logging.getLogger().handlers]


def test_log_of_a_server_ends_with_it(caplog: object) -> None:
    before = state()
    with _log_without_names():
        assert state() != before
        logging.getLogger("medseg.scans").warning("patient Doe")
    assert state() == before


def test_other_parts_say_nothing_while_the_server_runs(caplog: object) -> None:
    heard = logging.getLogger().handlers
    record = logging.LogRecord("medseg.scans.nifti", logging.WARNING, "f", 1, "patient Doe", None, None)
    own = logging.LogRecord("medseg.runs.serving.server", logging.INFO, "f", 1, "ready", None, None)
    with _log_without_names():
        assert not any(handler.filter(record) for handler in heard)
        assert all(handler.filter(own) for handler in heard)
