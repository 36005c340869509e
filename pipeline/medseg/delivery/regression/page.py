"""index.html of an evaluation of quantities: numbers, pictures and charts in one file that loads nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.atomic import write_text
from medseg.delivery.pages import fill_page
from medseg.delivery.pictures import embedded_png
from medseg.evaluation.regression import QuantitiesSummary, QuantitySummary, quantity_kind, shown
from medseg.records import Failure


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """A picture of the page.

    Attributes:
        caption: Text above it.
        path: PNG file.
    """

    caption: str
    path: Path


@dataclass(frozen=True, slots=True)
class QuantityReport:
    """What the page shows.

    Attributes:
        dataset: Name of the dataset.
        cases: What was evaluated, in words: `fold 0`, `test`.
        facts: Sentences on the quantities, the model and the contract.
        summary: Means with intervals.
        failures: Cases that could not be measured.
        warnings: What a reader of the numbers must know.
        pictures: Pictures and charts, in their order.
    """

    dataset: str
    cases: str
    facts: tuple[str, ...]
    summary: QuantitiesSummary
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    pictures: tuple[ShownPicture, ...]


def save_quantity_page(report: QuantityReport, path: Path) -> None:
    """Write the page.

    Raises:
        DeliveryError: If the file cannot be written.
    """
    entries = report.summary.entries
    text = fill_page(
        "regression/templates/page.html.jinja",
        report=report,
        headlines=[_cells(entry) for entry in entries if quantity_kind(entry.metric).is_headline],
        others=[_cells(entry) for entry in entries if not quantity_kind(entry.metric).is_headline],
        pictures=[(one.caption, embedded_png(one.path.read_bytes())) for one in report.pictures],
    )
    write_text(path, text)


def _cells(entry: QuantitySummary) -> Sequence[str]:
    is_bounded = entry.low == entry.low
    return (
        entry.title,
        quantity_kind(entry.metric).title,
        f"{shown(entry.mean)} {entry.unit}".rstrip() if entry.cases else "",
        f"{shown(entry.low)} to {shown(entry.high)}" if is_bounded else f"too few patients: {entry.patients}",
        shown(entry.sd) if entry.sd == entry.sd else "",
        str(entry.cases),
        str(entry.left_out or ""),
    )
