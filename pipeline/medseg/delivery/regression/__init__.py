"""Pictures, charts, the page and the delivery of predicted quantities."""

from __future__ import annotations

from medseg.delivery.regression.deliver_values import (
    VALUE_FORMS,
    DeliveredFile,
    DeliveredValues,
    ValueDelivery,
    deliver_values,
)
from medseg.delivery.regression.dvh_chart import save_dvh_chart
from medseg.delivery.regression.page import QuantityReport, ShownPicture, save_quantity_page
from medseg.delivery.regression.volume_picture import save_volume_picture

__all__ = [
    "VALUE_FORMS",
    "DeliveredFile",
    "DeliveredValues",
    "QuantityReport",
    "ShownPicture",
    "ValueDelivery",
    "deliver_values",
    "save_dvh_chart",
    "save_quantity_page",
    "save_volume_picture",
]
