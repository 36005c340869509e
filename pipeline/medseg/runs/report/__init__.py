"""The report of a run: what its folder, its evaluations and its dataset hold, for people to read."""

from __future__ import annotations

from medseg.runs.report.report import ReportResult, report_run

__all__ = ["ReportResult", "report_run"]
