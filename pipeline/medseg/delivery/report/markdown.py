"""Sections as Markdown, for a model card."""

from __future__ import annotations

import re
from collections.abc import Sequence

from medseg.delivery.report.blocks import Block, Bullets, Facts, Gallery, Panel, Section, Table, Text

_MARKS = re.compile(r"([\\`*_<>\[\]|#])")


def as_markdown(title: str, sections: Sequence[Section]) -> str:
    """Sections below a title; curves and pictures are left out, because Markdown has no place for them."""
    lines = [f"# {_plain(title)}", ""]
    for section in sections:
        lines += [f"## {_plain(section.title)}", ""]
        for block in section.blocks:
            lines += _block(block)
    return "\n".join(lines).rstrip() + "\n"


def _block(block: Block) -> list[str]:
    match block:
        case Text():
            return [_plain(block.text), ""]
        case Facts():
            return [*(f"- {_plain(name)}: {_plain(value)}" for name, value in block.entries.items()), ""]
        case Bullets():
            return [*(f"- {_plain(entry)}" for entry in block.entries), ""]
        case Table():
            return _table(block)
        case Panel() | Gallery():
            return []


def _table(table: Table) -> list[str]:
    rules = ["---" if index < table.words else "---:" for index in range(len(table.columns))]
    rows = [[*map(str, row.cells[:-1]), f"{row.cells[-1]}{f' ({row.mark})' if row.mark else ''}"] for row in table.rows]
    lines = [_line(list(table.columns)), _line(rules, is_rule=True), *(_line(row) for row in rows), ""]
    title = [f"### {_plain(table.title)}", ""] if table.title else []
    return [*title, *lines, *([_plain(table.note), ""] if table.note else [])]


def _line(cells: Sequence[str], *, is_rule: bool = False) -> str:
    return "| " + " | ".join(cells if is_rule else map(_plain, cells)) + " |"


def _plain(text: str) -> str:
    """Text of which no sign is taken for a mark, in one line."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))
