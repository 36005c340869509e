"""The report of a run: a page of one file, the same as a PDF, and the model card."""

from __future__ import annotations

from medseg.delivery.report.blocks import (
    Block,
    Bullets,
    Facts,
    Gallery,
    Panel,
    Picture,
    Report,
    Row,
    Section,
    Table,
    Text,
    Value,
)
from medseg.delivery.report.charts import Curve, LineChart, line_chart
from medseg.delivery.report.markdown import as_markdown
from medseg.delivery.report.page import render_report
from medseg.delivery.report.pdf import check_pdf, save_pdf
from medseg.delivery.report.pictures import read_picture

__all__ = [
    "Block",
    "Bullets",
    "Curve",
    "Facts",
    "Gallery",
    "LineChart",
    "Panel",
    "Picture",
    "Report",
    "Row",
    "Section",
    "Table",
    "Text",
    "Value",
    "as_markdown",
    "check_pdf",
    "line_chart",
    "read_picture",
    "render_report",
    "save_pdf",
]
