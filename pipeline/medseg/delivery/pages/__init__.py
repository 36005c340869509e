"""HTML pages of a single file, all from one Jinja environment and one layout."""

from __future__ import annotations

from medseg.delivery.pages.page import fill_page

__all__ = [
    "fill_page",
]
