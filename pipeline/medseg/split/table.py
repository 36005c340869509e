"""The balance of a split as text for a terminal."""

from __future__ import annotations

from itertools import groupby

from medseg.split.balance import Balance, BalanceRow
from medseg.split.config import Feature

MOST_ROWS = 6  # of each kind; the most unbalanced come first
_MOST_COUNTED = 8  # number of columns with room for counts beside percentages
_NAME_WIDTH = 24

_HEADINGS: dict[Feature, str] = {
    "label": "label: cases",
    "volume": "label: median ml",
    "site": "site: cases",
    "scanner": "scanner: cases",
    "modality": "modality: cases",
}


def format_balance(balance: Balance) -> str:
    """A line per feature with a column per part, and a last line on the largest imbalance.

    Only the most unbalanced features of each kind are listed.
    """
    counted = len(balance.columns) <= _MOST_COUNTED
    lines: list[tuple[str, ...]] = [
        ("", *balance.columns, "off by"),
        ("patients", *map(str, balance.patients)),
        ("cases", *map(str, balance.cases)),
    ]
    for kind, group in groupby(balance.rows, key=lambda row: row.kind):
        rows = list(group)
        lines.append((_HEADINGS[kind],))
        lines += [(f"  {_short(row.name)}", *_cells(row, counted), f"{row.gap:.1f}") for row in rows[:MOST_ROWS]]
        if len(rows) > MOST_ROWS:
            lines.append((f"  and {len(rows) - MOST_ROWS} more, off by at most {rows[MOST_ROWS].gap:.1f}",))
    return "\n".join([*_aligned(lines), largest_imbalance(balance)])


def largest_imbalance(balance: Balance) -> str:
    """One line about the most unbalanced feature."""
    row = balance.largest
    if row is None:
        return "largest imbalance: none known; the manifest names no labels, sites, scanners or modalities of its cases"
    part = balance.columns.index(row.worst)
    if row.kind == "volume":
        detail = f"median {_median(row, part)} ml, {_median(row, 0)} ml in all"
    else:
        detail = f"{row.percent[part]:.1f} % of cases, {row.percent[0]:.1f} % in all"
    return f"largest imbalance: {row.gap:.1f} points, {row.kind} {row.name} in {row.worst} ({detail})"


def _aligned(lines: list[tuple[str, ...]]) -> list[str]:
    """Columns of equal width; a line of one text runs across them."""
    table = [line for line in lines if len(line) > 1]
    first = max(len(line[0]) for line in table)
    width = max(len(cell) for line in table for cell in line[1:]) + 2
    texts = (line[0].ljust(first) + "".join(cell.rjust(width) for cell in line[1:]) for line in lines)
    return [text.rstrip() for text in texts]


def _cells(row: BalanceRow, counted: bool) -> list[str]:
    if row.kind == "volume":
        return [_median(row, part) for part in range(len(row.cases))]
    shares = ["–" if percent is None else f"{percent:.0f}%" for percent in row.percent]
    return [f"{cases} {share:>4}" for cases, share in zip(row.cases, shares, strict=True)] if counted else shares


def _median(row: BalanceRow, part: int) -> str:
    quartiles = row.quartiles_ml[part]
    if quartiles is None:
        return "–"
    return f"{quartiles[1]:.0f}" if quartiles[1] >= 100 else f"{quartiles[1]:.3g}"


def _short(name: str) -> str:
    return name if len(name) <= _NAME_WIDTH else name[: _NAME_WIDTH - 1] + "…"
