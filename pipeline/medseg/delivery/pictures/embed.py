"""Pictures inside a page, which then needs no other file."""

from __future__ import annotations

import base64


def embedded_jpeg(jpeg: bytes) -> str:
    """The `data:` address of a JPEG."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def embedded_png(png: bytes) -> str:
    """The `data:` address of a PNG."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
