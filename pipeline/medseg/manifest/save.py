"""Writing of a manifest in our own form."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic_core import PydanticSerializationError

from medseg.atomic import write_text
from medseg.manifest.collector import collector_paused
from medseg.manifest.document import to_document
from medseg.records import Manifest


def save_manifest(manifest: Manifest, path: Path) -> None:
    """Write `dataset.json` whole or not at all, without empty fields."""
    with collector_paused():
        document = to_document(manifest)
        try:
            text = document.model_dump_json(indent=2, exclude_none=True)
        except PydanticSerializationError:  # a path that is no UTF-8
            text = json.dumps(document.model_dump(mode="json", exclude_none=True), indent=2, ensure_ascii=False)
    write_text(path, text + "\n")
