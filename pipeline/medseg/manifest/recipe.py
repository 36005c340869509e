"""A recipe: the source of a known dataset, and the checksums that identify a copy of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pydantic import Field

from medseg.configuration import Config
from medseg.errors import ManifestError


class DatasetRecipe(Config):
    """Instructions to get a dataset, and checksums to recognise it.

    Attributes:
        recipe: Name of the dataset.
        description: Content of the dataset.
        source: Origin of the dataset.
        licence: Terms of use.
        citation: Publication to cite.
        how_to_get: Commands or steps to get the dataset.
        manifest: Path of the dataset.json, relative to the data root.
        archive_md5: MD5 of the published archive.
        sha256: SHA-256 of chosen files, by their path relative to the data root.
    """

    recipe: str
    description: str
    source: str
    licence: str
    citation: str = ""
    how_to_get: tuple[str, ...]
    manifest: str = "dataset.json"
    archive_md5: str | None = None
    sha256: dict[str, str] = Field(default_factory=dict)


def is_recipe(content: dict[str, Any]) -> bool:
    """Whether a JSON file is a recipe and not a manifest."""
    return "recipe" in content


def recipe_manifest_path(recipe: DatasetRecipe, root: Path) -> Path:
    """The manifest of a local copy, with its checksums verified.

    Raises:
        ManifestError: If the copy is missing, or a file differs from the recipe.
    """
    steps = "\n  ".join(["", *recipe.how_to_get])
    path = root / recipe.manifest
    if not path.is_file():
        raise ManifestError(
            f"recipe {recipe.recipe}: {recipe.manifest} must exist in the data root, found none",
            remedy=f"get it:{steps}",
        )
    for name, expected in recipe.sha256.items():
        file = root / name
        if not file.is_file():
            raise ManifestError(
                f"recipe {recipe.recipe}: file {name} must exist in the data root, found none",
                remedy=f"get it:{steps}",
            )
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if found != expected:
            raise ManifestError(
                f"recipe {recipe.recipe}: {name} must have SHA-256 {expected[:12]}…, got {found[:12]}…",
                remedy=f"get it again:{steps}",
            )
    return path
