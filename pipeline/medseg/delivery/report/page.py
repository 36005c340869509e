"""report.html: a run and its results in one file that loads nothing else."""

from __future__ import annotations

import base64
from pathlib import Path

from medseg.delivery.pages import fill_page
from medseg.delivery.report.blocks import Gallery, Report
from medseg.delivery.report.pictures import read_picture


def render_report(report: Report) -> str:
    """The page as HTML text, self-contained; a picture that cannot be read is left out with its caption kept."""
    pictures = {
        picture.path: _embedded(picture.path)
        for section in report.sections
        for block in section.blocks
        if isinstance(block, Gallery)
        for picture in block.pictures
    }
    return fill_page("report/templates/page.html.jinja", report=report, pictures=pictures)


def _embedded(path: Path) -> str:
    """A picture inside the page; empty where none can be read."""
    content = read_picture(path)
    return "" if content is None else "data:image/png;base64," + base64.b64encode(content).decode()
