"""The MLflow UI on the store that runs go to."""

from __future__ import annotations

import socket
import sys

from medseg.errors import TrackingError
from medseg.tracking.open_run import VIEW, VIEW_TAG
from medseg.tracking.quiet_mlflow import NO_TELEMETRY, import_mlflow
from medseg.tracking.store import connect
from medseg.tracking.store_errors import without_password

UI_ENVIRONMENT = {**NO_TELEMETRY, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""Settings of the server: no telemetry, and no job workers, which nothing here uses."""


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


def experiment_addresses(tracking_uri: str, *, host: str, port: int, most: int = 5) -> list[tuple[str, str]]:
    """Name of each experiment and the address of its runs in the UI, with the columns that matter; changed last first.

    Without a workflow in the address MLflow shows its pages for language models.

    Args:
        tracking_uri: MLflow store.
        host: Address that the UI listens on.
        port: Port that it listens on.
        most: Most experiments.
    """
    client, _ = connect(tracking_uri)
    found = client.search_experiments(order_by=["last_update_time DESC"], max_results=most + 1)
    place = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    addresses = []
    for one in [one for one in found if one.name != "Default"][:most]:
        view = f"&viewStateShareKey={VIEW}" if VIEW_TAG in one.tags else ""
        page = f"{place}/#/experiments/{one.experiment_id}/runs?workflowType=machine_learning{view}"
        addresses.append((one.name, page))
    return addresses


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
        "--workers", "1", *allowed,
    ]  # fmt: skip
