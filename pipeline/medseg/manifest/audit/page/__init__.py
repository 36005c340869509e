"""audit.html: one file to look at, without network, scripts allowed but not needed."""

from __future__ import annotations

from medseg.manifest.audit.page.render import render_page

__all__ = ["render_page"]
