"""Numbers out of masks."""

from __future__ import annotations

from pipeline.evaluation.evaluate_cases import evaluate_cases
from pipeline.evaluation.overlap import overlap_metrics
from pipeline.evaluation.summary import LabelSummary, Summary, summarise
from pipeline.evaluation.tables import write_metrics, write_summary

__all__ = [
    "LabelSummary",
    "Summary",
    "evaluate_cases",
    "overlap_metrics",
    "summarise",
    "write_metrics",
    "write_summary",
]
