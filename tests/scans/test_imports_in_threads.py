"""Packages that are imported within functions: whole before their parts, since threads may import them together.

While one thread is amid `import nibabel`, another one's `from nibabel.x import y` does not wait for it. Both then load
the same parts in another order, and Python resolves the deadlock with an ImportError.
"""

from __future__ import annotations

import ast
from pathlib import Path

import medseg
import pytest

PACKAGE = Path(medseg.__file__).parent
WHOLE_FIRST = ("nibabel", "scipy")


def parts_before_the_whole(source: str) -> list[str]:
    """Imports of a package's part in functions that have not imported the whole before."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        whole = set[str]()
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                whole |= {name.name for name in node.names}
                found += [name.name for name in node.names if _is_part(name.name, whole)]
            elif isinstance(node, ast.ImportFrom) and node.module:
                whole |= {node.module} if "." not in node.module else set()
                found += [node.module] if _is_part(node.module, whole) else []
    return found


def _is_part(name: str, whole: set[str]) -> bool:
    package, _, part = name.partition(".")
    return bool(part) and package in WHOLE_FIRST and package not in whole


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("from nibabel.spatialimages import HeaderDataError", ["nibabel.spatialimages"]),
        ("import nibabel.nicom", ["nibabel.nicom"]),
        ("import nibabel; from nibabel.spatialimages import HeaderDataError", []),
        ("from scipy import ndimage", []),
        ("from json.decoder import JSONDecodeError", []),
    ],
)
def test_part_before_the_whole_is_found(lines: str, found: list[str]) -> None:
    assert parts_before_the_whole(f"def f():\n    {lines}\n") == found


@pytest.mark.parametrize("room", ["scans", "ingest", "preprocess", "inference", "targets"])
def test_functions_import_packages_whole_before_their_parts(room: str) -> None:
    early = {
        path.relative_to(PACKAGE).as_posix(): parts
        for path in sorted((PACKAGE / room).rglob("*.py"))
        if (parts := parts_before_the_whole(path.read_text(encoding="utf-8")))
    }
    assert early == {}
