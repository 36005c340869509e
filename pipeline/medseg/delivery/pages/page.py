"""HTML pages without external files."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def fill_page(template: str, **facts: Any) -> str:
    """The text of a page: one file that loads nothing else and runs no script but its own.

    Text among the facts is escaped; a fact that the template needs but is not given is an error.

    Args:
        template: Path of a template, relative to `delivery/`, that extends `pages/templates/page.html.jinja`.
        facts: Variables of the template.
    """
    return _environment().get_template(template).render(**facts)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("medseg.delivery", package_path=""),  # each page has its templates beside it
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sha256"] = _sha256
    return environment


def _sha256(text: str) -> str:
    """The digest by which a content security policy names a script, in base 64."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
