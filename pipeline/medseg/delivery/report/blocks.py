"""What a report is made of: sections of texts, tables, curves and pictures, which know nothing of HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from medseg.delivery.report.charts import LineChart

Tone = Literal["plain", "note", "warning", "missing"]


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph.

    Attributes:
        text: The sentences.
        tone: `note` for what explains a table, `warning` for what a reader of numbers must know, `missing` for what
            the folders do not hold.
    """

    text: str
    tone: Tone = "plain"
    kind: str = field(default="text", init=False)


@dataclass(frozen=True, slots=True)
class Facts:
    """Values by their names."""

    entries: Mapping[str, str]
    kind: str = field(default="facts", init=False)


@dataclass(frozen=True, slots=True)
class Bullets:
    """Sentences that stand one below the other."""

    entries: Sequence[str]
    kind: str = field(default="bullets", init=False)


@dataclass(frozen=True, slots=True)
class Value:
    """A number in a table.

    Attributes:
        text: The number.
        beside: What stands below it, such as its interval.
    """

    text: str
    beside: str = ""

    def __str__(self) -> str:
        """The number and what belongs to it, in one line."""
        return f"{self.text} ({self.beside})" if self.beside else self.text


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table.

    Attributes:
        cells: A cell per column.
        mark: Word that marks the row, such as `worst`.
    """

    cells: Sequence[str | Value]
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a title.

    Attributes:
        title: Title above it.
        columns: Names of the columns.
        rows: Rows.
        words: Count of the first columns that hold words; the others hold numbers.
        note: Explanation below it.
        is_folded: Whether a page shows it only when asked, and paper does not.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    words: int = 1
    note: str = ""
    is_folded: bool = False
    kind: str = field(default="table", init=False)


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves side by side."""

    charts: Sequence[LineChart]
    kind: str = field(default="panel", init=False)


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG file and what it shows."""

    path: Path
    caption: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """Pictures below each other."""

    title: str
    pictures: Sequence[Picture]
    kind: str = field(default="gallery", init=False)


Block = Text | Facts | Bullets | Table | Panel | Gallery


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report with a heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a run.

    Attributes:
        title: Name of the run.
        subtitle: What the run is, in a line.
        facts: What identifies it, by name.
        sections: Parts, in order.
        maker: Program and date that stand at the foot.
    """

    title: str
    subtitle: str
    facts: Mapping[str, str]
    sections: Sequence[Section]
    maker: str
