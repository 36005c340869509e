"""What every page keeps to, tried on a page of its own."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator

import pytest
from jinja2 import DictLoader, UndefinedError
from medseg.delivery.pages import fill_page
from medseg.delivery.pages.page import _environment

PAGE = """{% extends "pages/templates/page.html.jinja" %}
{% block title %}{{ name }}{% endblock %}
{% block main %}<p>{{ name }}</p>{% endblock %}
{% block script %}const a = 1 && 2 < 3;{% endblock %}
"""


@pytest.fixture(autouse=True)
def _page(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    environment = _environment()
    layout, _, _ = environment.loader.get_source(environment, "pages/templates/page.html.jinja")  # type: ignore[union-attr]
    style, _, _ = environment.loader.get_source(environment, "pages/templates/page.css")  # type: ignore[union-attr]
    loader = DictLoader({"a": PAGE, "pages/templates/page.html.jinja": layout, "pages/templates/page.css": style})
    monkeypatch.setattr(environment, "loader", loader)
    yield
    _environment.cache_clear()


def test_text_from_outside_is_escaped() -> None:
    page = fill_page("a", name="<script>alert(1)</script>")
    assert page.count("<script>") == 1
    assert "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>" in page


def test_fact_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'name' is undefined"):
        fill_page("a")


def test_policy_lets_the_page_s_script_run_and_load_nothing() -> None:
    page = fill_page("a", name="x")
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert script == "const a = 1 && 2 < 3;"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in page
