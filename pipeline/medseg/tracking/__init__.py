"""Tracking of experiments in MLflow; the only room that imports it, and only when a run starts."""

from __future__ import annotations

from medseg.tracking.quiet_mlflow import NO_TELEMETRY
from medseg.tracking.run import TrackedRun
from medseg.tracking.send_spool import SentSpool, send_spool
from medseg.tracking.store_errors import MissingRunError
from medseg.tracking.ui import UI_ENVIRONMENT, check_ui, default_tracking_uri, experiment_addresses, ui_command

__all__ = [
    "NO_TELEMETRY",
    "UI_ENVIRONMENT",
    "MissingRunError",
    "SentSpool",
    "TrackedRun",
    "check_ui",
    "default_tracking_uri",
    "experiment_addresses",
    "send_spool",
    "ui_command",
]
