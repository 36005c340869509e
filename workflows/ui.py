"""medseg ui: the MLflow UI on the store that runs go to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

import click

EPILOG = """\b
Examples:
  medseg ui --port 5000
  medseg ui --host 0.0.0.0 --allowed-hosts workstation.hospital.example:5000
"""


@click.command("ui", epilog=EPILOG)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; this machine only by default."
)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port to listen on.")
@click.option(
    "--allowed-hosts",
    help="Names, with commas, by which other machines may open it, each with its port; '*' is any name.  "
    "[default: this machine and private addresses]",
)
@click.option("--tracking-uri", help="MLflow store.  [default: MLFLOW_TRACKING_URI, else mlflow.db in this folder]")
def command(host: str, port: int, allowed_hosts: str | None, tracking_uri: str | None) -> None:
    """Open the experiments in MLflow's UI, until Ctrl-C."""
    from medseg.tracking import check_ui, default_tracking_uri, ui_command

    uri = tracking_uri or default_tracking_uri()
    check_ui(uri, host=host, port=port)
    click.echo(f"MLflow UI of {uri} on http://{host}:{port}, until Ctrl-C")
    server = ui_command(uri, host=host, port=port, allowed_hosts=allowed_hosts)
    sys.exit(_serve(server))


def _serve(server: list[str]) -> int:
    """Run the server until it ends or this command is stopped; its own processes end with it."""
    from medseg.tracking import NO_TELEMETRY

    process = subprocess.Popen(server, env={**os.environ, **NO_TELEMETRY}, start_new_session=True)
    try:
        return process.wait()
    finally:
        _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers, which are a session of their own: first by asking."""
    for sign, patience_s in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
