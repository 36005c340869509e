"""The task of a dataset, before anything else of it is read."""

from __future__ import annotations

from pathlib import Path

from medseg.errors import ManifestError
from medseg.manifest.load import read_content
from medseg.manifest.recipe import is_recipe


def is_of_quantities(dataset: Path) -> bool:
    """Whether a dataset.json, or that of a folder, says that it is of a regression.

    A file that cannot be read says nothing; whoever reads all of it knows the reason. Recipes are of labels.
    """
    path = dataset / "dataset.json" if dataset.is_dir() else dataset
    try:
        content = read_content(path)
    except ManifestError:
        return False
    return not is_recipe(content) and content.get("task") == "regression"
