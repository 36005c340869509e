"""The page: one file, safe to show, that holds everything it says."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from medseg.audit import Audit, Finding, Fix, audit_manifest, write_audit
from medseg.audit.page import render_page
from medseg.audit.page.charts import dots, histogram, ranges
from medseg.audit.page.scale import Scale, short
from medseg.audit.plain import plain
from medseg.audit.thumbnails import draw_planes
from medseg.origin import PictureOrigin
from medseg.records import Manifest, Scan
from PIL import Image

from tests.audit.dirty import Dataset
from tests.audit.made_up import case_of, cohort_of, facts_of, label_of
from tests.grids import grid
from tests.manifest.datasets import manifest_of


@pytest.fixture(scope="module")
def audit(cohort: tuple[Manifest, Path]) -> Audit:
    return audit_manifest(*cohort)


class Links(HTMLParser):
    """Ids, targets of links and sources of pictures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            {"id": self.ids, "href": self.links, "src": self.sources}.get(name, []).append(value or "")


def made_up_audit(*found: Finding, count: int = 3) -> Audit:
    cases = cohort_of(count, labels={"liver": label_of(9.0)})
    manifest = manifest_of([facts.case for facts in cases])
    return Audit(manifest, found, tuple(cases), tuple(facts.case_id for facts in cases))


def test_page_asks_for_nothing_outside_itself(audit: Audit) -> None:
    page = render_page(audit)
    links = Links(page)
    assert all(source.startswith("data:image/jpeg;base64,") for source in links.sources)
    assert all(link.startswith("#") for link in links.links)
    assert not re.search(r"https?://|@import|url\(", page)


def test_links_lead_to_cards(dataset: Dataset) -> None:
    dataset.edit_voxels(dataset.label("phantom_01_0"), lambda label: label * 0)
    links = Links(render_page(dataset.audit()))
    assert len(set(links.ids)) == len(links.ids)
    assert links.links
    assert {link[1:] for link in links.links} <= set(links.ids)


def test_every_case_has_three_planes_with_letters_where_the_patient_lies(audit: Audit) -> None:
    page = render_page(audit)
    assert len(Links(page).sources) == 3 * len(audit.cases)
    assert page.count('class="letter w">R<') == 2 * len(audit.cases)
    assert page.count('class="letter w">A<') == len(audit.cases)


@pytest.mark.parametrize(
    ("severities", "words"),
    [
        (("error", "error", "warning"), ("2 errors", "1 warning, 0 notes")),
        (("warning",), ("No errors", "1 warning, 0 notes")),
        (("note",), ("Clean", "1 note")),
        ((), ("Clean", "No errors, no warnings")),
    ],
)
def test_verdict_says_what_was_found(severities: tuple[str, ...], words: tuple[str, ...]) -> None:
    found = [Finding("constant", severity, "c0", "a", "b") for severity in severities]  # type: ignore[arg-type]
    verdict = render_page(made_up_audit(*found)).split('class="verdict')[1].split("</div>")[0]
    assert all(word in verdict for word in words)


def test_names_from_outside_cannot_become_markup() -> None:
    evil = "<script>alert(1)</script>"
    cases = [facts_of(evil, labels={evil: label_of(1.0)})]
    manifest = manifest_of(
        [facts.case for facts in cases], name=evil, channels=(evil,), labels={"background": 0, evil: 1}
    )
    found = Finding("constant", "error", evil, evil, evil, others=(evil,))
    page = render_page(Audit(manifest, (found,), tuple(cases), (evil,)), [Fix(evil, "shear", evil)])
    assert "<script>alert" not in page
    assert page.count("<script>") == 1
    assert "&lt;script&gt;alert(1)" in page


def test_page_of_cases_that_cannot_be_read_is_written() -> None:
    from dataclasses import replace

    audit = made_up_audit(Finding("unreadable", "error", "c0", "a", "b"))
    unread = tuple(replace(facts, geometry=None, channels=(), labels={}) for facts in audit.cases)
    page = render_page(Audit(audit.manifest, audit.findings, unread, audit.shown))
    assert "no image that could be read" in page
    assert "<svg" not in page


def test_many_cases_are_told_to_be_a_sample() -> None:
    audit = made_up_audit(count=12)
    page = render_page(Audit(audit.manifest, (), audit.cases, ("c3", "c5")))
    assert "2 of 12 cases are shown" in page
    assert page.count('<article class="card"') == 2


def test_more_findings_than_fit_are_counted() -> None:
    many = [Finding("speckle", "warning", "c0", f"fact {number}", "b") for number in range(1200)]
    page = render_page(made_up_audit(*many))
    assert "200 more findings are in audit.json" in page
    assert "fact 999<" in page
    assert "fact 1000<" not in page.split("<article")[0]


def test_repairs_are_listed_and_what_is_left_is_counted() -> None:
    fixes = [Fix("c0", "shear", "made straight"), Fix("c1", "grid", "not repaired: far", is_done=False)]
    page = render_page(made_up_audit(), fixes)
    assert "made straight" in page
    assert "1 error can only be mended by hand" in page


def test_report_holds_every_finding_and_fact_and_no_folder(
    audit: Audit, cohort: tuple[Manifest, Path], tmp_path: Path
) -> None:
    page = write_audit(audit, tmp_path / "out", fixes=[Fix(None, "crossing_folds", "cleared")])
    assert page == tmp_path / "out/audit.html"
    text = (tmp_path / "out/audit.json").read_text()
    content = json.loads(text)
    assert content["verdict"] == "clean"
    assert content["counts"] == {"cases": 11, "errors": 0, "warnings": 0, "notes": 2}
    assert content["fixes"] == [{"case_id": None, "check": "crossing_folds", "text": "cleared", "is_done": True}]
    first = content["cases"][0]
    assert first["case_id"] == "phantom_00_0"
    assert set(first["labels"]) == {"liver", "kidney_right", "kidney_left"}
    assert len(first["image_hash"]) == 128
    for folder in (str(cohort[1]), str(tmp_path)):
        assert folder not in text
        assert folder not in page.read_text()


def test_findings_in_the_report_say_message_and_remedy(tmp_path: Path) -> None:
    write_audit(made_up_audit(Finding("constant", "error", "c0", "it is flat", "drop it", others=("c1",))), tmp_path)
    content = json.loads((tmp_path / "audit.json").read_text())
    assert content["verdict"] == "errors"
    assert content["findings"] == [
        {
            "check": "constant",
            "severity": "error",
            "case_id": "c0",
            "message": "case c0: it is flat; drop it",
            "remedy": "drop it",
            "others": ["c1"],
            "is_fixable": False,
        }
    ]


def test_planes_are_as_wide_and_high_as_the_patient() -> None:
    geometry = grid((20, 40, 10), spacing_mm=(2, 1, 8), axcodes="SPL")
    scan = Scan(np.random.default_rng(0).random((1, *geometry.shape)).astype(np.float32), geometry)
    axial, coronal, sagittal = draw_planes(scan, None)
    # 40 mm from left to right, 40 mm from back to front, 80 mm from feet to head; the longest is 200 pixels.
    assert (axial.size, coronal.size, sagittal.size) == ((100, 100), (100, 200), (100, 200))
    assert (axial.letters, coronal.letters, sagittal.letters) == ("RLAP", "RLSI", "APSI")


def test_planes_show_the_right_of_the_patient_on_the_left_and_the_label_in_colour() -> None:
    geometry = grid((20, 20, 20), axcodes="LPS")
    right_front_low = geometry.world_mm(np.array([[3.0, 3.0, 3.0]]))[0]
    assert right_front_low[0] > geometry.world_mm(np.array([[16.0, 16.0, 16.0]]))[0, 0]
    image = np.zeros((1, 20, 20, 20), np.float32)
    image[0, 3, 3, 3] = 1
    label = np.zeros((20, 20, 20), np.uint8)
    label[1:6, 1:6, 1:6] = 1
    axial, coronal, _ = draw_planes(Scan(image, geometry), label)
    drawn = np.asarray(Image.open(io.BytesIO(axial.jpeg)), dtype=float)
    colour = np.abs(drawn - drawn.mean(axis=2, keepdims=True)).sum(axis=2)
    assert colour[:100, :100].sum() > 10 * colour[100:, 100:].sum() + 1  # front is up, right is left
    drawn = np.asarray(Image.open(io.BytesIO(coronal.jpeg)), dtype=float)
    colour = np.abs(drawn - drawn.mean(axis=2, keepdims=True)).sum(axis=2)
    assert colour[100:, :100].sum() > 10 * colour[:100, 100:].sum() + 1  # feet are down


def test_label_is_drawn_in_the_colour_of_the_legend() -> None:
    names = {"background": 0, "liver": 3, "spleen": 12}
    image = np.zeros((1, 30, 30, 30), np.float32)
    label = np.full((30, 30, 30), 12, np.uint8)
    label[:, :, ::2] = 3
    for value, name in ((3, "liver"), (12, "spleen")):
        chosen = np.where(label == value, value, 0).astype(np.uint8)
        axial = draw_planes(Scan(image, grid((30, 30, 30))), chosen)[0]
        drawn = np.asarray(Image.open(io.BytesIO(axial.jpeg)), dtype=float)[100, 100]
        page = render_page(Audit(manifest_of([case_of("a")], labels=names), (), (facts_of("a"),), ("a",)))
        code = re.search(rf'background:#(\w+)"></i>{name}', page)
        assert code is not None
        colour = np.array([int(code[1][at : at + 2], 16) for at in (0, 2, 4)])
        np.testing.assert_allclose(drawn / drawn.max(), colour / colour.max(), atol=0.1)


def test_slices_shown_are_those_with_most_of_the_label() -> None:
    image = np.zeros((1, 300, 10, 10), np.float32)
    image[0, 252] = np.eye(10)
    label = np.zeros((300, 10, 10), np.uint8)
    label[252, 2:8, 2:8] = 1
    label[30:40, 5, 5] = 1
    sagittal = draw_planes(Scan(image, grid((300, 10, 10))), label)[2]
    assert np.asarray(Image.open(io.BytesIO(sagittal.jpeg))).std() > 5


def test_single_slice_has_one_plane_of_its_own_orientation() -> None:
    image = np.random.default_rng(0).random((1, 12, 1, 14)).astype(np.float32)
    (plane,) = draw_planes(Scan(image, grid((12, 1, 14))), None)
    assert (plane.name, plane.letters) == ("coronal", "RLSI")


def test_picture_keeps_its_colours() -> None:
    image = np.zeros((3, 30, 20, 1), np.float32)
    image[0, :15] = 255
    (plane,) = draw_planes(Scan(image, grid((30, 20, 1)), PictureOrigin(Path("a.png"))), None)
    drawn = np.asarray(Image.open(io.BytesIO(plane.jpeg)), dtype=float)
    assert plane.size == (200, 133)
    np.testing.assert_allclose(drawn[60, 40], (255, 0, 0), atol=12)
    np.testing.assert_allclose(drawn[60, 160], (0, 0, 0), atol=12)


def test_pictures_in_the_page_are_the_planes(audit: Audit) -> None:
    source = Links(render_page(audit)).sources[0]
    assert base64.b64decode(source.split(",")[1]) == audit.cases[0].planes[0].jpeg


def test_histogram_counts_each_value_once() -> None:
    values = [1.0, 1.0, 2.0, 5.0, 5.0, 5.0, 9.0]
    chart = histogram("a", "mm", values)
    assert [int(bar.title.split()[0]) for bar in chart.bars] == [2, 1, 3, 1]
    assert max(bar.height for bar in chart.bars) == 80
    assert chart.most == 3
    assert all(bar.x >= 0 and bar.x + bar.width <= 320 for bar in chart.bars)


def test_histogram_of_one_value_says_it() -> None:
    assert histogram("a", "mm", [1.5, 1.5, 1.5]).only == "1.5 mm in all cases"


def test_histogram_over_decades_is_logarithmic() -> None:
    chart = histogram("a", "mm", [0.1, 0.11, 100.0, 110.0])
    assert sum(int(bar.title.split()[0]) for bar in chart.bars) == 4
    assert [tick.text for tick in chart.ticks] == ["1", "10", "100"] or "10" in [tick.text for tick in chart.ticks]


@pytest.mark.parametrize("is_log", [False, True])
def test_scale_places_its_ends_and_keeps_order(is_log: bool) -> None:
    scale = Scale(1, 1000, 0, 300, is_log)
    assert (scale.place(1), scale.place(1000)) == (0, 300)
    assert scale.place(10) == (100 if is_log else pytest.approx(2.7))
    assert scale.place(-5) == 0
    ticks = scale.ticks()
    assert 3 <= len(ticks) <= 7
    assert [tick.at for tick in ticks] == sorted(tick.at for tick in ticks)


def test_ticks_are_round_values() -> None:
    assert [tick.text for tick in Scale(0, 97, 0, 100).ticks()] == ["0", "20", "40", "60", "80"]
    assert [tick.text for tick in Scale(0.11, 0.29, 0, 100).ticks()] == ["0.15", "0.2", "0.25"]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1200, "1,200"), (45_000, "45k"), (2_500_000, "2.5M"), (0.25, "0.25")]
)
def test_ticks_are_short(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1058.4, "1,058"), (93.21, "93.2"), (0.00421, "0.00421"), (0, "0"), (462_306.6, "462,307"), (float("inf"), "inf")],
)
def test_numbers_are_written_without_exponents(value: float, text: str) -> None:
    assert plain(value) == text


def test_ranges_are_drawn_in_the_order_of_their_medians() -> None:
    rows = [("b", (0, 10, 20, 30, 40)), ("a", (0, 1, 2, 3, 4))]
    chart = ranges("MR", "as stored", rows, {"b"}, total=2)
    assert [line.title.split(":")[0] for line in chart.lines] == ["a", "b"]
    assert [line.is_far for line in chart.lines] == [False, True]
    assert chart.lines[1].high < chart.lines[1].low  # y grows downwards


def test_dots_say_label_median_and_cases() -> None:
    found = [(f"c{number}", float(number)) for number in range(1, 6)]
    (row,) = dots("volume", "ml", [("liver", found, 5)], {"c5"}).rows
    assert row.says == "3 ml, 5 cases"
    assert [dot.is_far for dot in row.dots] == [False] * 4 + [True]
    assert row.dots[0].title == "c1: 1 ml"


def test_cases_of_the_manifest_are_counted_in_the_tiles() -> None:
    cases = [case_of("a", patient_id="p", fold=0), case_of("b", patient_id="p", fold=0), case_of("t", split="test")]
    facts = [facts_of(case.case_id) for case in cases]
    page = render_page(Audit(manifest_of(cases), (), tuple(facts), ()))
    tiles = re.findall(r"<li><b>(.*?)</b><span>(.*?)</span>", page)
    assert tiles[:4] == [("3", "cases"), ("2", "patients"), ("2", "for training, 1 fold"), ("1", "for testing")]
