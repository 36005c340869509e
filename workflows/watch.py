"""medseg watch: masks of everything that arrives in a folder."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import click
from medseg.workflows import console, options

if TYPE_CHECKING:
    from medseg.runs.segmentation.watch import Batch

EPILOG = """\b
Examples:
  medseg watch run inbox --out masks
  medseg watch run_a run_b inbox --out masks --settle 60
  medseg watch run inbox --out masks --marker .done --once

Masks are those of `medseg predict`, and `medseg deliver` takes their folder. A study that is finished is not drawn
again, whatever stopped this command; one that has changed is.
"""


@click.command("watch", epilog=EPILOG)
@click.argument("places", metavar="RUN... INBOX", type=options.PLACE, nargs=-1, required=True)
@click.option(
    "--out", "folder", type=options.FOLDER, required=True, help="Folder of the masks: new, empty, or of this command."
)
@click.option("--settle", "settle_s", type=click.FloatRange(0), default=10, show_default=True,
              help="Seconds in which nothing of a study may change before it is taken.")  # fmt: skip
@click.option("--every", "every_s", type=click.FloatRange(0.1), default=5, show_default=True,
              help="Seconds between two looks at INBOX.")  # fmt: skip
@click.option("--marker", default="", metavar="ENDING",
              help="Take a study as soon as an empty file says that it is complete, and not before: with .done "
              "scan.nii.gz.done, study.done or study/.done.")  # fmt: skip
@click.option("--once", is_flag=True, help="Do what is there and end.")
@click.option("--weights", type=click.Choice(["last", "best"]), default="last", show_default=True,
              help="Weights at the end, or at the best validation (which flatters that validation set).")  # fmt: skip
@click.option("--fast", is_flag=True, help="Draw faster, at a small loss of accuracy.")
@click.option("--probabilities", is_flag=True,
              help="Write each structure's probability, too, into OUT/probabilities/CASE.")  # fmt: skip
@click.option("--gate", type=options.FILE,
              help="A run of `medseg classify train`: segment only the slab in which it finds a structure, and check "
              "masks there; slices outside the slab are not checked.")  # fmt: skip
@click.option("--sensitivity", type=click.FloatRange(0.5, 1), default=0.99, show_default=True,
              help="Share of the slices with a label that the gate is to keep.")  # fmt: skip
@click.option("--check", type=options.FILE,
              help="A run of `medseg classify train`: flag masks that disagree with it.")  # fmt: skip
@click.option("--series", multiple=True,
              help="DICOM series to take of each study, by number, UID or words of its description. May be given "
              "several times.  [default: the one that fits the model]")  # fmt: skip
@options.device
@click.option("--tracking-uri", help="MLflow store of a registered model.  [default: MLFLOW_TRACKING_URI, else here]")
def command(places: tuple[Path | str, ...], folder: Path, once: bool, **choices: Any) -> None:
    """Draw a mask of every study that arrives in INBOX, once, until Ctrl-C or SIGTERM; the case in work is finished.

    INBOX holds files of scans, and folders such as those of DICOM studies. RUN is what `medseg predict` takes. What
    failed stands with its reason in OUT/predictions.json and OUT/index.html until it is mended or taken away.

    OUT keeps names of files and folders of INBOX, by which it knows what it has seen, so there are no pseudonyms here:
    `medseg predict` and `medseg deliver` have them.
    """
    runs, inputs = options.runs_and_inputs(places)
    if len(inputs) > 1:
        raise click.UsageError(f"one INBOX must be given after the models, got {len(inputs)}")

    from medseg.runs.segmentation.predict import PredictSettings
    from medseg.runs.segmentation.watch import WatchSettings, watch_folder

    times = {name: choices.pop(name) for name in ("settle_s", "every_s", "marker")}
    settings = WatchSettings(predict=PredictSettings(out=folder, **choices), is_lasting=not once, **times)
    stop = Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stop.set())
    click.echo(f"watching {inputs[0]}; masks go to {folder}")
    end = watch_folder(runs, inputs[0], settings, on_batch=_echo, stop=stop)
    if once:
        for name, reason in end.waiting:
            click.echo(f"not complete: {name} {reason}")
        console.report_failures(end.failures, where=folder / "predictions.json")


def _echo(batch: Batch) -> None:
    """Count what was done; names, which may be those of patients, are in the folder of the masks."""
    from medseg.runs.segmentation.watch import LOOK

    if trouble := [one.reason for one in batch.failures if one.stage == LOOK]:
        console.warn(trouble)
        return
    kept = sum(one.is_kept for one in batch.predictions)
    kept_text = f", {kept} kept" if kept else ""
    click.echo(
        f"{len(batch.predictions) - kept} mask(s) drawn{kept_text}; {len(batch.failures)} failed; "
        f"{len(batch.waiting)} not complete"
    )


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
