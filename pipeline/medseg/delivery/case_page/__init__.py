"""One page of a delivered case, for people."""

from __future__ import annotations

from medseg.delivery.case_page.page import PageFacts, save_case_page

__all__ = ["PageFacts", "save_case_page"]
