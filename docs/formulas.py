"""Formulas as MathML, which browsers draw themselves: no script, no fonts, no network."""

from __future__ import annotations

import re

from latex2mathml.converter import convert

_BLOCK = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
_INLINE = re.compile(r"(?<![\\$])\$([^$\n]+)\$")
_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)


def with_mathml(markdown: str) -> str:
    """Markdown in which `$...$` and `$$...$$` outside of code are MathML."""
    parts = _CODE.split(markdown)
    return "".join(part if part.startswith("`") else _convert(part) for part in parts)


def _convert(text: str) -> str:
    text = _BLOCK.sub(lambda found: f"<div>{convert(found[1].strip(), display='block')}</div>", text)
    return _INLINE.sub(lambda found: f"<span>{convert(found[1].strip())}</span>", text)
