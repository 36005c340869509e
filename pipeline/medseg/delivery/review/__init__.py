"""The review page: masks are read, accepted, rejected and corrected in a browser without a network."""

from __future__ import annotations

from medseg.delivery.review.case import ReviewCase, Structure, make_case
from medseg.delivery.review.edits import Edit, apply_edits
from medseg.delivery.review.page import MOST_LABELS, PageLimits, ReviewPages, write_pages
from medseg.delivery.review.review_file import CaseReview, ReviewFile, Verdict, load_review

__all__ = [
    "MOST_LABELS",
    "CaseReview",
    "Edit",
    "PageLimits",
    "ReviewCase",
    "ReviewFile",
    "ReviewPages",
    "Structure",
    "Verdict",
    "apply_edits",
    "load_review",
    "make_case",
    "write_pages",
]
