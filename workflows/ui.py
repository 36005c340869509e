"""medseg ui: the MLflow UI on the store that runs go to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from threading import Thread

import click

_PATIENCE_S = 60

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
@click.option(
    "--open/--no-open",
    "is_opened",
    default=None,
    help="Open it in the browser once it answers.  [default: on a desktop]",
)
@click.option("--tracking-uri", help="MLflow store.  [default: MLFLOW_TRACKING_URI, else mlflow.db in this folder]")
def command(host: str, port: int, allowed_hosts: str | None, is_opened: bool | None, tracking_uri: str | None) -> None:
    """Open the experiments in MLflow's UI, until Ctrl-C."""
    from medseg.tracking import check_ui, default_tracking_uri, experiment_addresses, ui_command

    uri = tracking_uri or default_tracking_uri()
    check_ui(uri, host=host, port=port)
    place = f"[{host}]" if ":" in host else host
    click.echo(f"MLflow UI of {uri} on http://{place}:{port}, until Ctrl-C")
    addresses = experiment_addresses(uri, host=host, port=port)
    for name, address in addresses:
        click.echo(f"  {name}: {address}")
    if _is_desktop() if is_opened is None else is_opened:
        page = addresses[0][1] if addresses else f"http://{place}:{port}"
        Thread(target=_open_when_there, args=(page, host, port), daemon=True).start()
    server = ui_command(uri, host=host, port=port, allowed_hosts=allowed_hosts)
    sys.exit(_serve(server))


def _is_desktop() -> bool:
    """Whether somebody sits in front of this machine: a terminal, and a screen for a browser."""
    has_screen = sys.platform in {"darwin", "win32"} or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    return sys.stdout.isatty() and bool(has_screen)


def _open_when_there(page: str, host: str, port: int) -> None:
    """Open a page of the server in the browser as soon as the server answers."""
    for _ in range(_PATIENCE_S):
        with suppress(OSError), socket.create_connection((host, port), timeout=1):
            click.launch(page)
            return
        time.sleep(1)


def _serve(server: list[str]) -> int:
    """Run the server until it ends or this command is stopped; its own processes end with it."""
    from medseg.tracking import UI_ENVIRONMENT

    process = subprocess.Popen(server, env={**os.environ, **UI_ENVIRONMENT}, start_new_session=True)
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
