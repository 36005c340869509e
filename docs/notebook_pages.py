"""The notebooks as pages, with the outputs and pictures of their last run."""

from __future__ import annotations

import re

import nbformat
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from docs.execute_notebooks import executed_copy, notebooks
from docs.formulas import with_mathml

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_STYLE = re.compile(r"<style scoped>.*?</style>\s*", re.DOTALL)


def notebook_pages() -> dict[str, str | bytes]:
    """Content of every page and picture by its path.

    Raises:
        FileNotFoundError: If a notebook has not been run as it stands.
    """
    readme = notebooks()[0].with_name("README.md").read_text(encoding="utf-8")
    pages: dict[str, str | bytes] = {"notebooks/index.md": readme.replace(".ipynb)", ".md)")}
    for path in notebooks():
        notebook = executed_copy(path)
        if notebook is None:
            message = f"{path.name} must have been run as it stands; run python -m docs.execute_notebooks"
            raise FileNotFoundError(message)
        page, pictures = notebook_page(notebook, path.stem)
        pages[f"notebooks/{path.stem}.md"] = page
        pages |= {f"notebooks/{name}": content for name, content in pictures.items()}
    return pages


def notebook_page(notebook: nbformat.NotebookNode, name: str) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and its pictures by their file names.

    Args:
        notebook: Notebook with outputs.
        name: Beginning of the pictures' names.
    """
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_mathml(cell.source)
    resources = {"unique_key": name, "output_files_dir": ""}
    exporter = MarkdownExporter(preprocessors=[CoalesceStreamsPreprocessor])
    page, resources = exporter.from_notebook_node(notebook, resources=resources)
    return _STYLE.sub("", _COLOUR.sub("", page)), dict(resources["outputs"])
