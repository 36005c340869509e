"""What people look at: pictures of masks on their scans."""

from __future__ import annotations

from medseg.delivery.overlay import save_overlay

__all__ = ["save_overlay"]
