"""MLflow, imported late and kept quiet."""

from __future__ import annotations

import logging
import os
from typing import Any

NO_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def import_mlflow() -> Any:
    """The `mlflow` module, with its usage telemetry off: a run sends nothing out of the hospital unasked."""
    os.environ.update(NO_TELEMETRY)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # its own seven take minutes to give up
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # bars are ours, on a terminal alone
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # emojis, which not every console takes
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    return mlflow
