"""Figures caught on their way to the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image


class Caught:
    """The figures that were saved."""

    def __init__(self) -> None:
        self.figures: list[Any] = []

    def last(self, path: Path) -> Any:
        """The figure that was saved last, after checking that the file is a whole picture on white ground."""
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            pixels = np.asarray(picture.convert("RGB"))
        corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert (corners == 255).all()
        assert (pixels != 255).any()
        figure = self.figures[-1]
        bounds = figure.get_tightbbox(figure.canvas.get_renderer())
        width, height = figure.get_size_inches()
        # Nothing is cut off at an edge.
        assert min(bounds.x0, bounds.y0, width - bounds.x1, height - bounds.y1) > -0.01
        assert [entry.name for entry in path.parent.iterdir() if entry.name.endswith(".part.png")] == []
        return figure


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> Caught:
    """Records every saved figure."""
    record, save = Caught(), Figure.savefig

    def savefig(figure: Any, *arguments: Any, **options: Any) -> None:
        record.figures.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return record


def texts(axis: Any) -> list[str]:
    """What an axis pair's legend says."""
    return [text.get_text() for text in axis.get_legend().get_texts()]
