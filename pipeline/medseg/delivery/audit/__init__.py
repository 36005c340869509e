"""The page of an audit, and the small pictures of cases on it."""

from __future__ import annotations

from medseg.delivery.audit.page import save_audit_page
from medseg.delivery.audit.thumbnails import draw_planes

__all__ = [
    "draw_planes",
    "save_audit_page",
]
