"""Output of commands on the terminal: progress bars, results, warnings and failures."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from medseg.workflows.log_lines import LogLines

if TYPE_CHECKING:
    from medseg.ingest import Progress
    from medseg.records import Failure

_MOST_LINES = 10
_BUDGET_BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


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


class Bars:
    """Draws a run's progress; where the output is not a terminal, a line now and then says how far it is."""

    def __init__(self) -> None:
        self._lines: LogLines | None = None
        self._score = ""

    @contextmanager
    def over_cases(self, total: int, stage: str) -> Iterator[Callable[[str], None]]:
        """A bar over cases."""
        from tqdm import tqdm

        if not sys.stderr.isatty():
            lines = LogLines(stage)
            yield lambda case_id: lines.on_case(total)
            return
        with tqdm(total=total, desc=stage, unit="case") as bar:

            def on_case(case_id: str) -> None:
                bar.update()

            yield on_case

    @contextmanager
    def over_budget(self, stage: str) -> Iterator[Callable[[float, float], None]]:
        """A bar over a training's budget, in per cent, with the current loss."""
        from tqdm import tqdm

        if not sys.stderr.isatty():
            self._lines = LogLines(stage)
            yield self._lines.on_step
            return
        with tqdm(total=100.0, desc=stage, bar_format=_BUDGET_BAR) as bar:

            def on_step(progress: float, loss: float) -> None:
                shown = [f"loss {loss:.3f}"] if loss == loss else []
                bar.set_postfix_str(", ".join([*shown, *([self._score] if self._score else [])]), refresh=False)
                bar.update(100 * progress - bar.n)

            yield on_step

    def validated(self, score: float) -> None:
        """Show the score of the last validation from now on."""
        self._score = f"validation {score:.3f}"
        if self._lines is not None:
            self._lines.score = score


@contextmanager
def over_files() -> Iterator[Progress]:
    """A bar over the files of a source, then one over its cases; lines where the output is not a terminal."""
    from medseg.ingest import Progress
    from tqdm import tqdm

    if not sys.stderr.isatty():
        headers, lines = LogLines("read headers"), list[tuple[LogLines, int]]()
        yield Progress(
            headers.on_files,
            lambda total: lines.append((LogLines("ingest"), total)),
            lambda case_id: lines[0][0].on_case(lines[0][1]),
        )
        return
    with tqdm(desc="read headers", unit="file") as files:
        bars: list[Any] = []

        def on_cases(total: int) -> None:
            files.close()
            bars.append(tqdm(total=total, desc="ingest", unit="case"))

        yield Progress(lambda count: _advance(files, count), on_cases, lambda case_id: _advance(bars[0], 1))
        for bar in bars:
            bar.close()


def _advance(bar: Any, count: int) -> None:
    bar.update(count)


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


def report_failures(failures: Sequence[Failure]) -> None:
    """Print the cases that failed and why; exit with code 1 if there are any."""
    for failure in failures:
        click.echo(f"failed: {failure.reason}", err=True)
    if failures:
        click.echo(f"{len(failures)} case(s) failed; the others are done", err=True)
        sys.exit(1)
