"""Writing of a manifest in our own form."""

from __future__ import annotations

from pathlib import Path

from medseg.atomic import write_text
from medseg.manifest.collector import collector_paused
from medseg.manifest.document import to_document
from medseg.records import Manifest


def save_manifest(manifest: Manifest, path: Path) -> None:
    """Write `dataset.json` whole or not at all, without empty fields."""
    with collector_paused():
        text = to_document(manifest).model_dump_json(indent=2, exclude_none=True)
    write_text(path, text + "\n")
