"""The page: one file, safe to show, that holds everything it says."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from medseg.audit import Audit, Finding, Fix, audit_manifest
from medseg.delivery.audit import draw_planes, save_audit_page
from medseg.delivery.audit.page import render_page
from medseg.records import Manifest

from tests.audit.dirty import Dataset
from tests.audit.made_up import case_of, facts_of, label_of, made_up_audit
from tests.manifest.datasets import manifest_of


@pytest.fixture(scope="module")
def audit(cohort: tuple[Manifest, Path]) -> Audit:
    return audit_manifest(*cohort, draw=draw_planes)


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


def test_page_asks_for_nothing_outside_itself(audit: Audit) -> None:
    page = render_page(audit)
    links = Links(page)
    assert all(source.startswith("data:image/jpeg;base64,") for source in links.sources)
    assert all(link.startswith("#") for link in links.links)
    assert not re.search(r"https?://|@import|url\(", page)


def test_card_says_sex_and_age_where_the_manifest_does() -> None:
    audit = made_up_audit()
    first = replace(audit.cases[0], case=case_of("c0", modality="CT", sex="F", age_years=63.5))
    assert "CT, F, 63.5 years" in render_page(replace(audit, cases=(first, *audit.cases[1:])))
    assert "years" not in render_page(audit)


def test_card_says_what_is_annotated_where_that_is_not_all() -> None:
    audit = made_up_audit()
    case = case_of("c0", annotated_labels=("liver", "spleen"))
    first = replace(audit.cases[0], case=case, annotated_share=0.0321)
    page = render_page(replace(audit, cases=(first, *audit.cases[1:])))
    assert "<p>3.210% of the voxels annotated, annotated: liver, spleen</p>" in page
    assert "annotated" not in render_page(audit)


def test_only_the_page_s_own_script_may_run() -> None:
    page = render_page(made_up_audit())
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert "scripted" in script
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page


def test_page_names_no_folder_of_this_machine(audit: Audit, cohort: tuple[Manifest, Path], tmp_path: Path) -> None:
    save_audit_page(audit, tmp_path / "out/audit.html", fixes=[Fix(None, "crossing_folds", "cleared")])
    page = (tmp_path / "out/audit.html").read_text(encoding="utf-8")
    assert "cleared" in page
    for folder in (str(cohort[1]), str(tmp_path)):
        assert folder not in page


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
    assert "1 error can only be fixed by hand" in page


def test_pictures_in_the_page_are_the_planes(audit: Audit) -> None:
    source = Links(render_page(audit)).sources[0]
    assert base64.b64decode(source.split(",")[1]) == audit.cases[0].planes[0].jpeg


def test_cases_of_the_manifest_are_counted_in_the_tiles() -> None:
    cases = [case_of("a", patient_id="p", fold=0), case_of("b", patient_id="p", fold=0), case_of("t", split="test")]
    facts = [facts_of(case.case_id) for case in cases]
    page = render_page(Audit(manifest_of(cases), (), tuple(facts), ()))
    tiles = re.findall(r"<li><b>(.*?)</b><span>(.*?)</span>", page)
    assert tiles[:4] == [("3", "cases"), ("2", "patients"), ("2", "for training, 1 fold"), ("1", "for testing")]
