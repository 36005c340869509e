"""Pictures of what a network sees."""

from __future__ import annotations

from medseg.delivery.lens.field_picture import FieldBox, save_field_picture

__all__ = [
    "FieldBox",
    "save_field_picture",
]
