"""Output of commands on the terminal: results, warnings and failures."""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path

    from medseg.records import Failure

_ALLOCATIONS = 10_000  # between two searches; Python's own number is 700 or 2,000
_SPINS = "1000"  # benchmarks/README.md
_MOST_LINES = 10
MOST_TABLE_LINES = 60
"""Lines of a table of results that are printed: twenty structures with three metrics."""


def accept_every_name() -> None:
    r"""Let standard output and error take any text; what their encoding lacks is shown as `\\u809d`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # neither None, as without a console, nor a notebook's own
            stream.reconfigure(errors="backslashreplace")


def speak_utf8_to_the_disk() -> None:
    """Start this command again in Python's UTF-8 mode where a locale would keep it from opening files by their names.

    The names of files in a manifest are UTF-8, and so are those on a disk; Python encodes them as the locale says, and
    in one that is not UTF-8 a file that is there would not be found.
    """
    if sys.getfilesystemencoding().lower().replace("-", "") == "utf8" or sys.flags.utf8_mode:
        return
    shown = sys.stdout.encoding if sys.stdout is not None else "utf-8"
    os.environ["PYTHONIOENCODING"] = f"{shown}:backslashreplace"  # the console stays what it is
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606  # this very command


def share_cores() -> None:
    """Let threads that wait for others spin for a moment and then sleep, unless the user has chosen otherwise.

    It must be called before torch is imported. Threads that spin on take the cores from everything else that runs, and
    from the thread that they wait for: of four trainings at once on two cores each took four times as long, and beside
    other work a chest CT took twice as long. Threads that sleep at once are woken late, which costs a training alone a
    fifth. PyTorch's wheels for Linux carry GNU OpenMP, which reads the count of spins.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
        os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": _SPINS}


def collect_rarely() -> None:
    """Let Python search for cycles of dead objects less often while packages load, and not at the end.

    At the end of a process the search takes half a second once the packages of a prediction are loaded, and the memory
    goes back to the system anyway.
    """
    gc.set_threshold(_ALLOCATIONS)
    atexit.register(gc.freeze)


def echo_first(lines: Sequence[str], what: str, where: str) -> None:
    """Print the first of many lines, and the file that holds the others."""
    for line in lines[:_MOST_LINES]:
        click.echo(f"{what}: {line}")
    if len(lines) > _MOST_LINES:
        click.echo(f"{what}: and {len(lines) - _MOST_LINES} more; see {where}")


def warn(warnings: Sequence[str]) -> None:
    """Print a line per warning."""
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)


def report_failures(failures: Sequence[Failure], *, where: Path | None = None) -> None:
    """Print the cases that failed and why; exit with code 1 if there are any.

    Args:
        failures: Cases that failed.
        where: File that lists them all, so that the first of many will do; all are printed if not given.
    """
    shown = failures if where is None else failures[:_MOST_LINES]
    for failure in shown:
        click.echo(f"failed: {failure.reason}", err=True)
    if len(shown) < len(failures):
        click.echo(f"failed: and {len(failures) - len(shown)} more; see {where}", err=True)
    if failures:
        click.echo(f"{len(failures)} case(s) failed; the others are done", err=True)
        sys.exit(1)
