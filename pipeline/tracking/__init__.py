"""Experiments in MLflow; the only room that imports it, and only when a run starts."""

from __future__ import annotations

from pipeline.tracking.quiet_mlflow import NO_TELEMETRY
from pipeline.tracking.run import TrackedRun
from pipeline.tracking.ui import default_tracking_uri, ui_command

__all__ = ["NO_TELEMETRY", "TrackedRun", "default_tracking_uri", "ui_command"]
