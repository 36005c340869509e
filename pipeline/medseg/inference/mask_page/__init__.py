"""`index.html` of a folder of masks: every case with its slices, outlines, volumes and flags."""

from __future__ import annotations

from medseg.inference.mask_page.page import PAGE_NAME, mask_page, save_mask_page
from medseg.inference.mask_page.picture import draw_preview, picture_path
from medseg.inference.mask_page.preview import Preview, take_preview
from medseg.inference.mask_page.ras_view import AxisOrder
from medseg.inference.mask_page.reading_order import reading_order

__all__ = [
    "PAGE_NAME",
    "AxisOrder",
    "Preview",
    "draw_preview",
    "mask_page",
    "picture_path",
    "reading_order",
    "save_mask_page",
    "take_preview",
]
