"""Key of an entry of the store, by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medseg.scans import pair_of


def content_key(settings: dict[str, Any], files: Sequence[Path]) -> str:
    """32 hexadecimal digits over settings and the bytes of files, both of an `.hdr/.img` pair."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for file in files:
        for path in pair_of(file):
            digest.update(b"file")
            if path.is_file():
                with path.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:32]
