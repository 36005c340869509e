"""Numbers out of masks."""

from __future__ import annotations

from pipeline.evaluation.evaluate_cases import evaluate_cases, find_mask
from pipeline.evaluation.overlap import overlap_metrics
from pipeline.evaluation.ranking import telling_cases
from pipeline.evaluation.summary import LabelSummary, Summary, summarise, volume_metrics
from pipeline.evaluation.tables import case_columns, write_metrics, write_summary

__all__ = [
    "LabelSummary",
    "Summary",
    "case_columns",
    "evaluate_cases",
    "find_mask",
    "overlap_metrics",
    "summarise",
    "telling_cases",
    "volume_metrics",
    "write_metrics",
    "write_summary",
]
