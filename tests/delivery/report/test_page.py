from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from medseg.delivery.report import (
    Block,
    Bullets,
    Curve,
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
    line_chart,
    render_report,
)
from PIL import Image


def report_of(blocks: Sequence[Block], title: str = "Report of run") -> Report:
    return Report(title, "of livers", {"Fold": "fold 0"}, [Section("Part", blocks)], "made by a test")


def test_every_kind_of_block_is_on_the_page(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    chart = line_chart(Curve("Training loss", [(1, 2.0), (2, 1.0)]))
    assert chart is not None
    table = Table(
        "Means", ("Structure", "Dice"), [Row(("liver", Value("0.9", "0.8 to 1.0")), mark="worst")], note="why"
    )
    page = render_report(
        report_of(
            [
                Text("a warning", "warning"),
                Facts({"Cases": "12"}),
                Bullets(["a limit"]),
                table,
                Panel([chart]),
                Gallery("Cases", [Picture(tmp_path / "a.png", "Worst: a")]),
            ]
        )
    )
    for found in ("a warning", "12", "a limit", "0.8 to 1.0", "why", "Training loss", "Worst: a", "fold 0"):
        assert found in page
    assert "Research software, not a medical device." in page
    assert '<tr class="marked">' in page
    assert page.count("data:image/png;base64,") == 1
    assert page.count("<polyline") == 1


def test_page_loads_nothing_and_names_no_folder(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    page = render_report(report_of([Gallery("Cases", [Picture(tmp_path / "a.png", "Worst: a")])]))
    sources = re.findall(r"""(?:src|href)=["']([^"']*)|url\(([^)]*)\)""", page)
    assert {(first or second)[:5] for first, second in sources} == {"data:", "#part"}
    assert str(tmp_path) not in page


def test_text_from_outside_is_escaped() -> None:
    page = render_report(report_of([Table("", ("<i>",), [Row(("<b>x</b>",))])], title="<script>alert(1)</script>"))
    assert "<b>x" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<script>") == 1


def test_picture_that_is_gone_is_said(tmp_path: Path) -> None:
    page = render_report(report_of([Gallery("Cases", [Picture(tmp_path / "gone.png", "Worst: a")])]))
    assert "The picture cannot be read." in page
    assert "<img" not in page


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_picture_that_is_empty_or_broken_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    page = render_report(report_of([Gallery("Cases", [Picture(tmp_path / "a.png", "Worst: a")])]))
    assert "The picture cannot be read." in page
    assert "<img" not in page


def test_long_words_are_wrapped_and_short_headings_are_not_cut() -> None:
    page = render_report(report_of([Table("", ("Structure", "x" * 40), [Row(("y" * 80, "1"))], words=1)]))
    assert re.search(r"body \{ overflow-wrap: anywhere; \}", page)
    assert f'<th class="number long">{"x" * 40}</th>' in page
    assert "<th>Structure</th>" in page


def test_folded_table_is_kept_off_paper() -> None:
    page = render_report(report_of([Table("All means", ("A",), [Row(("1",))], is_folded=True)]))
    assert "<details><summary>All means</summary>" in page
    assert re.search(r"@media print \{.*nav, details \{ display: none; \}", page, re.DOTALL)
