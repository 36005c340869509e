"""The digest by which a run identifies its manifest."""

from __future__ import annotations

import hashlib
import json

from medseg.manifest.collector import collector_paused
from medseg.records import Manifest


def manifest_digest(manifest: Manifest) -> str:
    """SHA-256 over every field of the manifest, folds included."""
    with collector_paused():
        text = json.dumps(manifest.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
