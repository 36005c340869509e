"""The MLflow UI on the store that runs go to."""

from __future__ import annotations

import socket
import sys

from medseg.errors import TrackingError
from medseg.tracking.quiet_mlflow import import_mlflow
from medseg.tracking.store_errors import without_password


def default_tracking_uri() -> str:
    """MLflow's own choice: `MLFLOW_TRACKING_URI`, else the working folder's store."""
    return str(import_mlflow().get_tracking_uri())


def check_ui(tracking_uri: str, *, host: str, port: int) -> None:
    """Refuse a UI that could not be opened, before anything starts.

    Raises:
        TrackingError: If the store is a server, which has a UI of its own, or the port cannot be listened on.
    """
    if tracking_uri.startswith(("http://", "https://")):
        address = without_password(tracking_uri)
        raise TrackingError(f"store {address}: this store has its own UI", remedy=f"open {address}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family):
            return
    except OSError as error:
        raise TrackingError(
            f"port {port} of {host}: must be free to listen on, got: {error.strerror}", remedy="choose another port"
        ) from error


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
