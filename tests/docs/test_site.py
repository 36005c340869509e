"""The site has a page for every room, names only pages that exist, and fetches nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.api_pages import api_pages, documented_rooms, index_page
from docs.architecture import fill_places
from docs.check_site import SITE, external_assets, loaded_from_elsewhere
from docs.execute_notebooks import digest, executed_copy, notebooks
from docs.rooms import ROOT, find, layers, rooms

PAGES = ROOT / "docs" / "pages"
LIBRARY = ROOT / "pipeline" / "medseg"


def pages_of_navigation() -> list[str]:
    """Every page that `mkdocs.yml` names."""

    def pages(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        below = entry.values() if isinstance(entry, dict) else entry
        return [page for one in below for page in pages(one)]

    return pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])


def assembled_pages() -> set[str]:
    """Every page that is assembled, without running a notebook."""
    written = {path.relative_to(PAGES).as_posix() for path in PAGES.rglob("*.md")}
    of_notebooks = {f"notebooks/{path.stem}.md" for path in notebooks()}
    return {*written, *api_pages(), *of_notebooks, "notebooks/index.md", "commands.md", "contributing.md"}


def test_navigation_names_every_page_and_no_other() -> None:
    assert sorted(pages_of_navigation()) == sorted(assembled_pages())


def test_every_room_has_a_page_with_all_its_public_names() -> None:
    in_tree = {path.stem for path in LIBRARY.iterdir() if path.suffix == ".py"}
    in_tree |= {path.parent.name for path in LIBRARY.glob("*/__init__.py")}
    assert {room.room for room in rooms()} == in_tree - {"__init__", "__main__"}
    pages = api_pages()
    for room in documented_rooms():
        assert f"::: {room.name}\n" in pages[f"api/{room.room}.md"]
    page = pages["api/evaluation.md"]
    assert "::: medseg.evaluation.segmentation\n" in page
    assert "surface_dice" in page
    assert "::: medseg.runs.api\n" in pages["api/runs.md"]
    medseg = find("medseg")
    assert medseg is not None
    assert all(name in index_page() for name in medseg.public_names if not name.startswith("_"))


def test_picture_and_table_show_every_room() -> None:
    page = fill_places((PAGES / "architecture.md").read_text(encoding="utf-8"))
    for name in (name for level in layers() for name in level):
        assert f">{name}</text>" in page
        assert f"[`{name}`](" in page
    assert "<!--" not in page


def test_links_between_pages_lead_somewhere() -> None:
    for path in PAGES.rglob("*.md"):
        links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8"))
        assert [link for link in links if link.endswith(".md") and link not in assembled_pages()] == []
        assert [link for link in links if not link.endswith(".md") and not (PAGES / link).is_file()] == []


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://unpkg.com/x.js"></script>',
        "<script async src=//cdn.example.org/x.js></script>",
        '<link rel="stylesheet" href="https://fonts.example.org/css">',
        '<link href="https://fonts.example.org" rel="preconnect">',
        '<img alt="a" src="http://example.org/a.png">',
        "@import 'https://example.org/a.css';",
        "a { background: url(https://example.org/a.png) }",
        "![a](https://example.org/a.png)",
        '<pre class="mermaid"><code>',
        "```mermaid\ngraph LR\n```",
    ],
)
def test_asset_from_elsewhere_is_found(text: str) -> None:
    assert len(loaded_from_elsewhere(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://doi.org/10.2307/1932409">Dice 1945</a>',
        '<link rel="canonical" href="https://example.org/">',
        '<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>',
        '<script src="assets/bundle.js"></script><img src="a.png">',
        "[Dice](https://doi.org/10.2307/1932409)",
    ],
)
def test_links_that_a_reader_follows_are_no_assets(text: str) -> None:
    assert loaded_from_elsewhere(text) == []


def test_no_page_names_an_asset_from_elsewhere() -> None:
    assert external_assets(PAGES) == []
    assert [page for page, text in api_pages().items() if loaded_from_elsewhere(text)] == []
    assert external_assets(SITE) == []  # the built site, where `make docs` has run


def test_formulas_are_mathml_outside_of_code() -> None:
    pytest.importorskip("latex2mathml", reason="installed by `make docs`")
    from docs.formulas import with_mathml

    page = with_mathml("With $r_0 = 1$,\n\n$$a^2$$\n\n`$HOME` and `$PATH`.")
    assert page.count("<math") == 2
    assert 'display="block"' in page
    assert "`$HOME` and `$PATH`." in page


def test_kept_notebook_is_not_used_once_something_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat

    monkeypatch.setattr("docs.execute_notebooks.EXECUTED", tmp_path)
    path = notebooks()[0]
    assert executed_copy(path) is None
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["medseg_digest"] = digest(path)
    nbformat.write(notebook, tmp_path / path.name)
    assert executed_copy(path) == notebook
    notebook.metadata["medseg_digest"] = digest(notebooks()[1])
    nbformat.write(notebook, tmp_path / path.name)
    assert executed_copy(path) is None
