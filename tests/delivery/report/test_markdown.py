from __future__ import annotations

from pathlib import Path

from medseg.delivery.report import Bullets, Facts, Gallery, Picture, Row, Section, Table, Text, Value, as_markdown


def test_blocks_are_markdown() -> None:
    table = Table(
        "Means", ("Structure", "Dice"), [Row(("liver", Value("0.9", "0.8 to 1.0")), mark="worst")], note="why"
    )
    pictures = Gallery("Cases", [Picture(Path("a.png"), "Worst: a")])
    sections = [Section("Metrics", [Text("first"), Facts({"Cases": "12"}), Bullets(["a limit"]), table, pictures])]
    assert as_markdown("Model card", sections) == (
        "# Model card\n\n## Metrics\n\nfirst\n\n- Cases: 12\n\n- a limit\n\n### Means\n\n"
        "| Structure | Dice |\n| --- | ---: |\n| liver | 0.9 (0.8 to 1.0) (worst) |\n\nwhy\n"
    )


def test_signs_of_markdown_in_names_stay_signs() -> None:
    text = as_markdown("a|b", [Section("# x", [Table("", ("*y*",), [Row(("kidney_left|<b>",))])])])
    assert r"a\|b" in text
    assert r"## \# x" in text
    assert r"| kidney\_left\|\<b\> |" in text
    assert r"\*y\*" in text


def test_line_breaks_in_a_name_do_not_break_a_table() -> None:
    assert "| a b |" in as_markdown("t", [Section("s", [Table("", ("c",), [Row(("a\nb",))])])])
