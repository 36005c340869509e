"""The forms in which a case leaves the building, each read back by independent libraries."""

from __future__ import annotations

from medseg.delivery.export.certify_files import FAILED
from medseg.delivery.export.deliver_case import NOT_CERTIFIED, CaseDelivery, Delivery, deliver_case
from medseg.delivery.export.delivered_case import DeliveredCase
from medseg.delivery.export.forms import FORMS, MEASUREMENTS_NAME, REPORT

__all__ = [
    "FAILED",
    "FORMS",
    "MEASUREMENTS_NAME",
    "NOT_CERTIFIED",
    "REPORT",
    "CaseDelivery",
    "DeliveredCase",
    "Delivery",
    "deliver_case",
]
