from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.delivery.charts import COLOURS, STYLES, heading, line_style, log_axis, new_figure, save_figure, shortened
from medseg.errors import DeliveryError
from PIL import Image


@pytest.mark.parametrize(("ground", "shade"), [("white", 255), ("black", 0)])
def test_empty_figure_is_a_picture_of_its_size_and_ground(tmp_path: Path, ground: str, shade: int) -> None:
    save_figure(new_figure(4, 2, ground=ground), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (440, 220)
        assert (np.asarray(picture.convert("L")) == shade).all()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_figure_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"old")
    figure = new_figure(1, 1)

    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(DeliveryError, match="the disk is full"):
        save_figure(figure, tmp_path / "a.png")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.png", b"old")]


def test_forty_lines_differ() -> None:
    styles = {tuple(line_style(index).values()) for index in range(len(COLOURS) * len(STYLES))}
    assert len(styles) == 40


def test_logarithmic_axis_is_written_in_plain_numbers() -> None:
    figure = new_figure(4, 4)
    axis = figure.subplots()
    axis.plot([0, 1], [0.5, 2000])
    log_axis(axis)
    figure.canvas.draw()
    texts = [text.get_text() for text in axis.yaxis.get_ticklabels() if text.get_text()]
    assert {"0.5", "1", "2", "5", "1000", "2000"} <= set(texts)
    assert not any("$" in text for text in texts)


def test_heading_leaves_out_empty_lines() -> None:
    assert heading("", "a", "", "b") == "a\nb"
    assert heading("") == ""


def test_long_names_are_cut_to_their_length() -> None:
    assert shortened("a" * 24) == "a" * 24
    assert shortened("a" * 25) == "a" * 23 + "…"
