"""medseg ui: the MLflow UI on the store that runs go to."""

from __future__ import annotations

import os
import subprocess
import sys

import click

EPILOG = """\b
Example:
  medseg ui --port 5000
"""


@click.command("ui", epilog=EPILOG)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; this machine only by default."
)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port to listen on.")
@click.option("--tracking-uri", help="MLflow store.  [default: MLFLOW_TRACKING_URI, else mlflow.db in this folder]")
def command(host: str, port: int, tracking_uri: str | None) -> None:
    """Open the experiments in MLflow's UI, until Ctrl-C."""
    from medseg.tracking import NO_TELEMETRY, default_tracking_uri, ui_command

    uri = tracking_uri or default_tracking_uri()
    click.echo(f"MLflow UI of {uri} on http://{host}:{port}, until Ctrl-C")
    sys.exit(subprocess.call(ui_command(uri, host=host, port=port), env={**os.environ, **NO_TELEMETRY}))


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
