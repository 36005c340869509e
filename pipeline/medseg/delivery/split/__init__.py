"""Pictures of splits."""

from __future__ import annotations

from medseg.delivery.split.balance_picture import save_balance_picture

__all__ = [
    "save_balance_picture",
]
