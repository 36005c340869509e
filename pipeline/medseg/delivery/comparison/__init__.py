"""The page that holds evaluations against each other."""

from __future__ import annotations

from medseg.delivery.comparison.page import (
    ComparedEvaluation,
    Comparison,
    render_comparison,
    save_comparison_page,
    worst_cases,
)

__all__ = ["ComparedEvaluation", "Comparison", "render_comparison", "save_comparison_page", "worst_cases"]
