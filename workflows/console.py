"""What workflows show on the terminal: progress bars, failures and where things went."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from medseg.evaluation.segmentation import Summary
    from medseg.ingest import IngestReport, Progress
    from medseg.records import Failure, Prediction

_MOST_LINES = 10


@contextmanager
def counting(total: int, what: str) -> Iterator[Callable[[str], None]]:
    """A bar over cases; silent where the output is not a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, desc=what, unit="case", disable=not sys.stderr.isatty()) as bar:

        def on_done(case_id: str) -> None:
            bar.update()

        yield on_done


@contextmanager
def finding() -> Iterator[Progress]:
    """A bar over the files of a source, then one over its cases."""
    from medseg.ingest import Progress
    from tqdm import tqdm

    silent = not sys.stderr.isatty()
    with tqdm(desc="read headers", unit="file", disable=silent) as files:
        bars: list[Any] = []

        def on_cases(total: int) -> None:
            files.close()
            bars.append(tqdm(total=total, desc="ingest", unit="case", disable=silent))

        yield Progress(lambda count: _advance(files, count), on_cases, lambda case_id: _advance(bars[0], 1))
        for bar in bars:
            bar.close()


def _advance(bar: Any, count: int) -> None:
    bar.update(count)


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


def print_ingest(report: IngestReport, folder: Path, key_file: Path) -> None:
    """What was found, what became of it, and what to look at."""
    found = ", ".join(f"{count} {kind}" for kind, count in report.files.items() if count)
    click.echo(f"found: {found or 'nothing'}")
    rows = report.by_modality()
    width = max([len(modality) for modality in rows] + [len("modality")])
    click.echo(f"{'modality':<{width}} {'cases':>8} {'labelled':>8} {'refused':>8}")
    for modality, row in rows.items():
        click.echo(f"{modality:<{width}} {row.cases:>8} {row.labelled:>8} {row.refused:>8}")
    for reason, count in report.aside.items():
        click.echo(f"set aside {count}: {reason}")
    for reason, count in report.unreadable.items():
        click.echo(f"unreadable {count} file(s): {reason}", err=True)
    structures = report.structures.items()
    lines = [f"{name!r} -> label {entry.label} in {entry.cases} case(s)" for name, entry in structures]
    _echo_first(lines, "structure")
    for how, count in Counter(how for case in report.cases for how in case.labels).items():
        click.echo(f"labels: {count} {how}")
    _echo_first([f"{case.case_id}: {note}" for case in report.cases for note in case.notes], "note")
    _echo_first(list(report.lost_labels), "in no case")
    for risk, count in report.count_risks().items():
        click.echo(f"risk: {count} case(s) with {risk.replace('_', ' ')}; see ingest.json", err=True)
    click.echo(f"{len(report.cases)} case(s) in {folder}; details in {folder / 'ingest.json'}")
    click.echo(f"the key of the pseudonyms is {key_file}: keep it, and do not pass it on with the dataset")


def _echo_first(lines: list[str], what: str, where: str = "ingest.json") -> None:
    """The first lines of many."""
    for line in lines[:_MOST_LINES]:
        click.echo(f"{what}: {line}")
    if len(lines) > _MOST_LINES:
        click.echo(f"{what}: and {len(lines) - _MOST_LINES} more; see {where}")


def print_review(delivered: Sequence[Prediction]) -> None:
    """How much a gate left out, and which masks a classifier doubts."""
    seen = [(item, item.review) for item in delivered if item.review is not None]
    gates = [review.gate for _, review in seen if review.gate is not None]
    if gates:
        kept = sum(gate.stop - gate.start for gate in gates) / max(sum(gate.slices for gate in gates), 1)
        empty = sum(gate.start == gate.stop for gate in gates)
        seconds = sum(gate.seconds for gate in gates)
        click.echo(
            f"gate: {kept:.0%} of the slices segmented, none in {empty} case(s); the classifier took {seconds:.1f} s"
        )
    nothing = [item.case_id for item, review in seen if review.gate and review.slab.is_empty]
    _echo_first([f"{case_id}: no slice reached the threshold; nothing was segmented" for case_id in nothing], "gate")
    flagged = [(item, review.quality) for item, review in seen if review.quality.is_flagged]
    _echo_first([f"{item.case_id}: {quality.reason}" for item, quality in flagged], "flagged", "predictions.json")
    if seen:
        click.echo(f"{len(flagged)} of {len(seen)} mask(s) flagged for disagreeing with the classifier")


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
