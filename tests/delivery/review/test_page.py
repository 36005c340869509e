"""Review pages: files, order, limits, and what an honest reader of the file finds."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import medseg.delivery.review
import numpy as np
from medseg.delivery.review import PageLimits, ReviewCase, Structure, write_pages

STRUCTURES = (Structure("</script><b>x", 3, (255, 0, 0)),)


def case_of(name: str, size: int = 100) -> ReviewCase:
    image = {"shape": [1, 1, 1], "steps": [1, 1, 1], "levels": None, "window": None, "isHu": False}
    facts: dict[str, Any] = {"id": name, "sha256": "0" * 64, "image": image}
    rng = np.random.default_rng(0)
    return ReviewCase(facts, rng.bytes(size), gzip.compress(name.encode()))


def facts_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="facts">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    facts: dict[str, Any] = json.loads(found[1])
    return facts


def volume_of(page: str, name: str) -> bytes:
    found = re.search(rf'<script type="text/plain" id="{name}">([^<]*)</script>', page)
    assert found is not None
    return base64.b64decode(found[1])


def test_page_holds_volumes_and_loads_nothing(tmp_path: Path) -> None:
    cases = [case_of("a", 5_000_000), case_of("b")]
    limits = PageLimits()
    pages = write_pages(iter(cases), tmp_path / "r.html", structures=STRUCTURES, title="t & <b>", limits=limits)
    page = pages.files[0].read_text(encoding="utf-8")
    assert volume_of(page, "image-0") == cases[0].image
    assert volume_of(page, "mask-1") == cases[1].mask
    assert facts_of(page)["structures"][0]["name"] == "</script><b>x"
    assert not re.search(r'\b(src|href)="(?!#|r)', page.replace('src=""', ""))
    assert "<title>Review: t &amp; &lt;b&gt;</title>" in page
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_policy_names_the_scripts_of_the_page_and_no_address(tmp_path: Path) -> None:
    (path,) = write_pages([case_of("a")], tmp_path / "r.html", structures=(), title="t", limits=PageLimits()).files
    page = path.read_text(encoding="utf-8")
    found = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert found is not None
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in found[1]
    assert "default-src 'none'" in found[1]
    assert "http" not in found[1]
    assert "unsafe-eval'" not in found[1].replace("wasm-unsafe-eval'", "")


def test_cases_beyond_a_limit_go_to_further_pages(tmp_path: Path) -> None:
    cases = [case_of(name, 300_000) for name in "abcde"]
    by_count = write_pages(iter(cases), tmp_path / "n.html", structures=(), title="t", limits=PageLimits(cases=2))
    assert [path.name for path in by_count.files] == ["n.html", "n_2.html", "n_3.html"]
    assert by_count.cases == tuple("abcde")
    pages = [path.read_text(encoding="utf-8") for path in by_count.files]
    assert [[one["id"] for one in facts_of(page)["cases"]] for page in pages] == [["a", "b"], ["c", "d"], ["e"]]
    assert '<a href="n_3.html">3</a>' in pages[0]
    by_size = write_pages(iter(cases), tmp_path / "s.html", structures=(), title="t", limits=PageLimits(page_mb=1))
    assert len(by_size.files) == 3


def test_pages_of_other_masks_keep_their_verdicts_apart(tmp_path: Path) -> None:
    keys = set()
    for digest in "01":
        case = case_of("a")
        case.facts["sha256"] = digest * 64
        (path,) = write_pages([case], tmp_path / "r.html", structures=(), title="t", limits=PageLimits()).files
        keys.add(facts_of(path.read_text(encoding="utf-8"))["key"])
    assert len(keys) == 2


def test_viewer_is_the_file_that_its_note_names() -> None:
    folder = Path(medseg.delivery.review.__file__).parent / "vendor"
    digest = hashlib.sha256((folder / "niivue.umd.js").read_bytes()).hexdigest()
    assert digest in (folder / "README.md").read_text(encoding="utf-8")
    assert "BSD 2-Clause" in (folder / "LICENSE-niivue.txt").read_text(encoding="utf-8")
