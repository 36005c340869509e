"""Tracking of experiments in MLflow; the only room that imports it, and only when a run starts."""

from __future__ import annotations

from medseg.tracking.attach import attach_files
from medseg.tracking.measured_model import MeasuredModel
from medseg.tracking.own_wheel import pinned_requirements, wheel_name, write_wheel
from medseg.tracking.quiet_mlflow import NO_TELEMETRY
from medseg.tracking.registry import MODEL_SCHEME, ModelRegistry, RegisteredVersion, fetch_model
from medseg.tracking.run import TrackedRun
from medseg.tracking.send_spool import SentSpool, send_spool
from medseg.tracking.spool import begun_at
from medseg.tracking.start_id import new_start_id
from medseg.tracking.store import is_passing
from medseg.tracking.store_errors import MissingRunError, without_password
from medseg.tracking.ui import UI_ENVIRONMENT, check_ui, default_tracking_uri, experiment_addresses, ui_command
from medseg.tracking.working_commit import working_commit

__all__ = [
    "MODEL_SCHEME",
    "NO_TELEMETRY",
    "UI_ENVIRONMENT",
    "MeasuredModel",
    "MissingRunError",
    "ModelRegistry",
    "RegisteredVersion",
    "SentSpool",
    "TrackedRun",
    "attach_files",
    "begun_at",
    "check_ui",
    "default_tracking_uri",
    "experiment_addresses",
    "fetch_model",
    "is_passing",
    "new_start_id",
    "pinned_requirements",
    "send_spool",
    "ui_command",
    "wheel_name",
    "without_password",
    "working_commit",
    "write_wheel",
]
