"""Review of masks by people: the page that they open, and the way of their decisions into the next data set."""

from __future__ import annotations

from medseg.runs.segmentation.review.applied import AppliedReview
from medseg.runs.segmentation.review.apply import ApplySettings, apply_reviews
from medseg.runs.segmentation.review.build import BuildSettings, BuiltReview, build_review
from medseg.runs.segmentation.review.log import OUTCOMES

__all__ = [
    "OUTCOMES",
    "AppliedReview",
    "ApplySettings",
    "BuildSettings",
    "BuiltReview",
    "apply_reviews",
    "build_review",
]
