"""The page of an audit."""

from __future__ import annotations

from medseg.audit.page.render import render_page

__all__ = [
    "render_page",
]
