"""Scans that programs send to a served model."""

from __future__ import annotations

from medseg.inference.requests.allowed_path import allowed_path
from medseg.inference.requests.only_case import only_case
from medseg.inference.requests.received_file import place_received
from medseg.inference.requests.request_limits import RequestLimits
from medseg.inference.requests.scan_request import ScanRequest, read_requests
from medseg.inference.requests.unpacked import unpacked

__all__ = ["RequestLimits", "ScanRequest", "allowed_path", "only_case", "place_received", "read_requests", "unpacked"]
