"""Write a manifest in our own form."""

from __future__ import annotations

from pathlib import Path

from pipeline.atomic import write_json
from pipeline.manifest.document import to_document
from pipeline.records import Manifest


def save_manifest(manifest: Manifest, path: Path) -> None:
    """Write `dataset.json`, leaving out what is empty."""
    write_json(path, to_document(manifest).model_dump(mode="json", exclude_none=True))
