"""The library neither prints nor exits nor reads the command line; those who start it decide what is shown."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import medseg
import pytest

ROOT = Path(medseg.__file__).parent
COMMANDS = {"workflows", "__main__.py"}
FILES = [path for path in sorted(ROOT.rglob("*.py")) if not COMMANDS & set(path.relative_to(ROOT).parts)]


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_prints_nothing_and_ends_no_process(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = {called(node) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert calls.isdisjoint({"print", "sys.exit", "exit", "quit", "input", "os._exit", "click.echo"})
    imported = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported.isdisjoint({"click", "argparse", "tqdm"})
    assert not any(name.startswith("medseg.workflows") for name in imported)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_names_no_option_of_the_command_line(path: Path) -> None:
    if path.name in ("ui.py", "seg_reading.py"):  # which start the commands of MLflow and dcmqi
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert [text for text in texts if re.search(r"(^|[\s`'\"(])--[a-z]", text)] == []
