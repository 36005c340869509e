"""The page of a search."""

from __future__ import annotations

from medseg.delivery.search.page import SearchReport, TrialRow, save_search_page

__all__ = ["SearchReport", "TrialRow", "save_search_page"]
