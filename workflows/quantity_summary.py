"""What is printed at the end of a prediction of quantities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from medseg.workflows import console
from medseg.workflows.mask_summary import echo_passed_over

if TYPE_CHECKING:
    from medseg.runs.regression.predict import QuantityResult

_RECORD = "predictions.json"


def echo_quantities(result: QuantityResult) -> None:
    """Print where the volumes are, and what was passed over; exit 1 if a case failed."""
    console.warn(result.warnings)
    names = sorted({name for case in result.cases for name in case.quantities})
    where = ", ".join(str(result.folder / name) for name in names) or str(result.folder)
    click.echo(f"{len(result.cases)} case(s) in {where}, {result.seconds:.1f} s; details in {result.folder / _RECORD}")
    if result.kept:
        click.echo(f"{len(result.kept)} of {len(result.cases)} were finished before and are kept")
    echo_passed_over(result.passed_over)
    console.report_failures(result.failures, where=result.folder / _RECORD)
