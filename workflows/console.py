"""What workflows show on the terminal: progress bars, failures and where things went."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.evaluation import Summary
    from pipeline.records import Failure


@contextmanager
def counting(total: int, what: str) -> Iterator[Callable[[str], None]]:
    """A bar over cases; silent where the output is not a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, desc=what, unit="case", disable=not sys.stderr.isatty()) as bar:

        def on_done(case_id: str) -> None:
            bar.update()

        yield on_done


@contextmanager
def advancing(what: str) -> Iterator[Callable[[float, float], None]]:
    """A bar over a training's budget, in per cent, with the current loss."""
    from tqdm import tqdm

    layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    with tqdm(total=100.0, desc=what, bar_format=layout, disable=not sys.stderr.isatty()) as bar:

        def on_step(progress: float, loss: float) -> None:
            if loss == loss:
                bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            bar.update(100 * progress - bar.n)

        yield on_step


def print_summary(summary: Summary) -> None:
    """A line per label and metric, and the means over labels."""
    width = max([len(entry.label) for entry in summary.labels] + [16])
    for entry in summary.labels:
        interval = f" (95 % {entry.low:.3f} to {entry.high:.3f})" if entry.low == entry.low else ""
        left_out = f", {entry.both_empty} left out as empty" if entry.both_empty else ""
        click.echo(
            f"{entry.label:>{width}} {entry.metric:<5} {entry.mean:.4f}{interval}, {entry.cases} cases{left_out}"
        )
    for metric, value in summary.means.items():
        click.echo(f"{'mean over labels':>{width}} {metric:<5} {value:.4f}")


def report_failures(failures: Sequence[Failure]) -> None:
    """Say which cases failed and why, and end with exit code 1 if any did."""
    for failure in failures:
        click.echo(f"failed: {failure.reason}", err=True)
    if failures:
        click.echo(f"{len(failures)} case(s) failed; the others are done", err=True)
        sys.exit(1)


def empty_folder(path: Path) -> Path:
    """An output folder that is new or empty.

    Raises:
        click.UsageError: If it holds something.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise click.UsageError(f"--out {path} must be new or empty; choose another folder")
    return path
