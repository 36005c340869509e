"""How far a command is: bars on a terminal, and now and then a line where there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from medseg.workflows.log_lines import LogLines

if TYPE_CHECKING:
    from medseg.ingest import Progress
    from medseg.training.forecast import Forecast

_BUDGET_BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


class Bars:
    """Draws a run's progress; where the output is not a terminal, a line now and then says how far it is."""

    def __init__(self) -> None:
        self._shown: list[str] = []  # of the validations of the training that was heard of last
        self._lines: LogLines | None = None

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
            lines = self._lines = LogLines(stage)

            def on_line(progress: float, loss: float) -> None:
                self._lines = lines
                lines.on_step(progress, loss)

            yield on_line
            return
        said = self._shown = []
        with tqdm(total=100.0, desc=stage, bar_format=_BUDGET_BAR) as bar:

            def on_step(progress: float, loss: float) -> None:
                self._shown = said
                shown = [f"loss {loss:.3f}"] if loss == loss else []
                shown += said[-1:]
                bar.set_postfix_str(", ".join(shown), refresh=False)
                bar.update(100 * progress - bar.n)

            yield on_step

    def validated(self, score: float, forecast: Forecast | None) -> None:
        """Show the score of the last validation, and what is expected at the end, from now on.

        It stands beside the training that was heard of last.
        """
        at_end = forecast.score if forecast is not None else None
        expected = f"expected at the end {at_end.low:.3f} to {at_end.high:.3f}" if at_end is not None else ""
        self._shown.append(", ".join(filter(None, [f"validation {score:.3f}", expected])))
        if self._lines is not None:
            self._lines.score, self._lines.expected = score, expected


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
