"""PNG files as a page shows them: only those that a browser can draw."""

from __future__ import annotations

import io
from pathlib import Path

_DAMAGED = (OSError, SyntaxError, ValueError)  # what Pillow raises for files that are cut, changed or no picture


def read_picture(path: Path) -> bytes | None:
    """The bytes of a PNG file; None if it is missing, empty or damaged."""
    from PIL import Image

    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            image.load()
    except _DAMAGED:
        return None
    return content
