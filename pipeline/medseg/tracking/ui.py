"""The MLflow UI on the store that runs go to."""

from __future__ import annotations

import sys

from medseg.tracking.quiet_mlflow import import_mlflow


def default_tracking_uri() -> str:
    """MLflow's own choice: `MLFLOW_TRACKING_URI`, else the working folder's store."""
    return str(import_mlflow().get_tracking_uri())


def ui_command(tracking_uri: str, *, host: str, port: int, allowed_hosts: str | None = None) -> list[str]:
    """The command that serves the UI.

    Args:
        tracking_uri: MLflow store.
        host: Address to listen on.
        port: Port to listen on.
        allowed_hosts: Names, with commas, under which browsers may ask for it; MLflow's own choice if not given.
    """
    allowed = ["--allowed-hosts", allowed_hosts] if allowed_hosts else []
    return [
        sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", tracking_uri, "--host", host, "--port", str(port),
        *allowed,
    ]  # fmt: skip
