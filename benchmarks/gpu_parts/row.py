"""One measured number, with everything that must be known to quote it."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One number of the table.

    Attributes:
        part: Part of the benchmark that measured it.
        subject: What was measured, with its sizes.
        quantity: Which of its quantities the number is.
        value: Median of the repeats, or their mean where `quantity` says so.
        unit: Unit of the value.
        low: Smallest of the repeats.
        high: Largest of the repeats.
        repeats: Count of the repeats.
        repeat: What one repeat is.
        device: Device that did the work.
    """

    part: str
    subject: str
    quantity: str
    value: float
    unit: str
    low: float
    high: float
    repeats: int
    repeat: str
    device: str

    def text(self) -> str:
        """The row as a sentence."""
        return (
            f"{self.subject}: {self.quantity} {_short(self.value)} {self.unit} "
            f"({_short(self.low)} to {_short(self.high)}, {self.repeats} × {self.repeat})"
        )


class Rows:
    """The rows of one part: printed and appended to a file as they come.

    Args:
        part: Name of the part.
        device: Name of the device, as every row gives it.
        path: File of JSON lines to append to.
    """

    def __init__(self, part: str, *, device: str, path: Path) -> None:
        self.part = part
        self.device = device
        self.path = path

    def add(
        self, subject: str, quantity: str, values: Sequence[float], unit: str, *, repeat: str, mean: bool = False
    ) -> None:
        """Record the repeats of one number."""
        middle = statistics.fmean(values) if mean else statistics.median(values)
        row = Row(
            self.part, subject, quantity, middle, unit, min(values), max(values), len(values), repeat, self.device
        )
        print(f"  {row.text()}", flush=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")

    def note(self, text: str) -> None:
        """Say why something was not measured."""
        print(f"  {text}", flush=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"part": self.part, "note": text}) + "\n")


def read_rows(path: Path) -> tuple[list[Row], list[str]]:
    """Rows and notes of a file of JSON lines; the last line may be cut off."""
    rows, notes = [], []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if "note" in entry:
            notes.append(f"{entry['part']}: {entry['note']}")
        else:
            rows.append(Row(**entry))
    return rows, notes


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """One line per row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def markdown(rows: Sequence[Row]) -> str:
    """The table as it can be pasted into `benchmarks/README.md`."""
    lines = [
        "| part | what | quantity | value | lowest to highest | repeats | device |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.part} | {row.subject} | {row.quantity} | {_short(row.value)} {row.unit} "
        f"| {_short(row.low)} to {_short(row.high)} | {row.repeats} × {row.repeat} | {row.device} |"
        for row in rows
    ]
    return "\n".join(lines)


def _short(value: float) -> str:
    """Four significant digits, whole numbers as they are."""
    if float(value).is_integer() and abs(value) < 1e9:
        return str(int(value))
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
