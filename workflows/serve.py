"""medseg serve: models that stay loaded and answer over HTTP."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from medseg.workflows import console, options

TOKEN = "MEDSEG_TOKEN"  # noqa: S105  # its name
EPILOG = """\b
Examples:
  medseg serve run
  medseg serve fold_0 fold_1 --port 8080
  medseg serve --model liver=run_a --model brain=folds --token-file token --host 0.0.0.0
  curl -sS --fail-with-body --data-binary @scan.nii.gz -o mask.nii.gz http://127.0.0.1:8000/predict
"""


@click.command("serve", epilog=EPILOG)
@click.argument("runs", metavar="[RUN...]", type=options.PLACE, nargs=-1)
@click.option("--model", "named", metavar="NAME=RUN", multiple=True,
              help="A further model, which requests choose by its name; the same name again adds a member that draws "
              "with it. May be given several times.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to listen on; this machine only by default.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port to listen on.")
@click.option("--token-file", type=options.FILE,
              help=f"File of the secret that each request must bring.  [default: {TOKEN}, else none]")  # fmt: skip
@click.option("--allowed-host", "allowed_hosts", multiple=True,
              help="Name by which clients may call the server, such as that of a gateway. May be given several times.  "
              "[default: its address, and any name where it has a token]")  # fmt: skip
@click.option("--at-once", type=click.IntRange(1), default=2, show_default=True,
              help="Scans in memory at the same time; the network draws one at a time.")  # fmt: skip
@click.option("--queue", type=click.IntRange(0), default=16, show_default=True, help="Further requests that wait.")
@click.option("--most-seconds", type=click.FloatRange(0, min_open=True), default=600, show_default=True,
              help="Longest time of a request once it has arrived.")  # fmt: skip
@click.option("--most-body-bytes", type=click.IntRange(1), default=2**31, show_default=True,
              help="Most bytes of a request.")  # fmt: skip
@click.option("--most-bytes", type=click.IntRange(1), default=2**31, show_default=True,
              help="Most bytes of its files, unpacked.")  # fmt: skip
@click.option("--most-voxels", type=click.IntRange(1), default=2**29, show_default=True,
              help="Most voxels of a scan, those of all channels together.")  # fmt: skip
@click.option("--work-folder", "folder", type=options.FOLDER,
              help="Folder of the scans of running requests.  [default: in the system's temporary folder]")  # fmt: skip
@click.option("--weights", type=click.Choice(["last", "best"]), default="last", show_default=True,
              help="Weights at the end, or at the best validation (which flatters that validation set).")  # fmt: skip
@options.device
@click.option("--tracking-uri", help="MLflow store of a registered model.  [default: MLFLOW_TRACKING_URI, else here]")
def command(runs: tuple[Path | str, ...], named: tuple[str, ...], token_file: Path | None, **choices: Any) -> None:
    """Keep the models of RUN... loaded, and answer scans that are sent with masks, until Ctrl-C or SIGTERM.

    RUN is what `medseg predict` takes; several draw one mask together. A run of `medseg classify train` answers with
    probabilities. A request holds a file, or a zip of a DICOM study or of one file for each channel.
    """
    models = _models(runs, named)

    from medseg.inference.requests import RequestLimits
    from medseg.runs.serving import ServeSettings, open_server

    token = _token(token_file) if token_file else os.environ.get(TOKEN) or None
    limits = RequestLimits(most_voxels=choices.pop("most_voxels"), most_bytes=choices.pop("most_bytes"))
    with _log_without_names(), open_server(models, ServeSettings(token=token, limits=limits, **choices)) as server:
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda *_: server.stop())
        console.warn(server.warnings)
        for model in server.models:
            click.echo(f"{model.name}: {', '.join(model.channels)} -> {', '.join(model.classes or model.labels)}")
        click.echo(f"on {server.address}, until Ctrl-C; its description: {server.address}/openapi.json")
        sys.stdout.flush()
        server.run()


def _models(runs: tuple[Path | str, ...], named: tuple[str, ...]) -> dict[str, list[Path | str]]:
    """Models by their names."""
    found: dict[str, list[Path | str]] = {"model": list(runs)} if runs else {}
    for one in named:
        name, sign, place = one.partition("=")
        if not (name and sign and place):
            raise click.BadParameter(f"{one!r} must be NAME=RUN", param_hint="'--model'")
        found.setdefault(name, []).append(place if place.startswith("models:/") else Path(place))
    if not found:
        raise click.UsageError("Missing argument 'RUN...': give a run of `medseg train`")
    missing = [run for places in found.values() for run in places if isinstance(run, Path) and not run.exists()]
    if missing:
        raise click.BadParameter(f"Path {str(missing[0])!r} does not exist.", param_hint="'RUN...'")
    return found


def _token(path: Path) -> str:
    """The secret in a file."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise click.BadParameter("must be a text file that can be read", param_hint="'--token-file'") from error


@contextmanager
def _log_without_names() -> Iterator[None]:
    """Log requests, and nothing of what other parts say of scans, whose names may be those of patients."""
    own, nibabel = logging.getLogger("medseg.runs.serving"), logging.getLogger("nibabel.global")
    before = [(handler, handler.formatter) for handler in logging.getLogger().handlers]
    logging.captureWarnings(True)  # or they would be printed past the log, with values of headers in them
    nibabel.addFilter(_is_nothing)  # it has a handler of its own
    own.setLevel(logging.INFO)
    for handler, _ in before:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        handler.addFilter(_is_of_requests)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        nibabel.removeFilter(_is_nothing)
        own.setLevel(logging.NOTSET)
        for handler, formatter in before:
            handler.setFormatter(formatter)
            handler.removeFilter(_is_of_requests)


def _is_nothing(record: logging.LogRecord) -> bool:
    return False


def _is_of_requests(record: logging.LogRecord) -> bool:
    return record.name.startswith(("medseg.runs.serving", "uvicorn"))


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
