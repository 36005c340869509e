"""Names and texts as MLflow accepts them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from medseg.text import printable

_FORBIDDEN_IN_NAMES = re.compile(r"[^\w\-. /]")
_FORBIDDEN_IN_MODELS = re.compile(r"""[/:.%"'\\]""")
_LONGEST_NAME = 250
_LONGEST_VALUE = 6000


def clean_name(name: str) -> str:
    """A name that MLflow accepts; between slashes it must read like a path."""
    parts = [_FORBIDDEN_IN_NAMES.sub("_", part) for part in name.split("/")]
    return "/".join("_" if part.strip(". ") == "" else part for part in parts)[:_LONGEST_NAME]


def clean_model_name(name: str) -> str:
    """A name that MLflow accepts for a model, in which some signs have a meaning of their own."""
    return _FORBIDDEN_IN_MODELS.sub("_", printable(name))[:_LONGEST_NAME] or "model"


def clean_value(value: Any) -> str:
    """The text of a parameter or tag, shortened to what MLflow takes."""
    return printable(str(value))[:_LONGEST_VALUE]


def flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings with dotted names out of nested ones."""
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
