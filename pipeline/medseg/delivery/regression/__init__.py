"""Pictures, charts and the page of predicted quantities."""

from __future__ import annotations

from medseg.delivery.regression.dvh_chart import save_dvh_chart
from medseg.delivery.regression.page import QuantityReport, ShownPicture, save_quantity_page
from medseg.delivery.regression.volume_picture import save_volume_picture

__all__ = [
    "QuantityReport",
    "ShownPicture",
    "save_dvh_chart",
    "save_quantity_page",
    "save_volume_picture",
]
