"""Every notebook runs from a clean kernel and says nothing on stderr but its progress; none is committed with outputs.

`make docs` runs them too. A copy that it has kept is read instead of running the notebook a second time, as long as the
notebook, the library, the pinned versions and Python are the same to the byte.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from docs.execute_notebooks import execute, executed_copy

_PROGRESS = re.compile(r"[\w ]+: \d+ %, .* passed")  # of a command that takes more than ten seconds

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))


def test_notebooks_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:2]) for path in NOTEBOOKS] == list(range(1, len(NOTEBOOKS) + 1))


def test_readme_names_every_notebook_in_order() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    places = [text.find(path.stem) for path in NOTEBOOKS]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_from_a_clean_kernel(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    notebook = executed_copy(path) or execute(path, tmp_path)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert [output.evalue for output in outputs if output.output_type == "error"] == []
    said = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    assert [line for text in said for line in text.splitlines() if not _PROGRESS.match(line)] == []
    assert list(tmp_path.iterdir()) == []
