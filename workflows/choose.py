"""medseg choose: configuration, ensemble and postprocessing by what cross-validation shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from medseg.workflows import bars, console, options

EPILOG = """\b
Example:
  medseg train data/dataset.json --out fine --fold all-folds --budget 50m
  medseg train data/dataset.json --out flat --fold all-folds --budget 50m --network dynunet
  medseg choose data/dataset.json fine flat --out chosen
  medseg predict chosen scans/ --out masks
"""


@click.command("choose", epilog=EPILOG)
@click.argument("dataset", type=options.FILE)
@click.argument("folds", nargs=-1, required=True, type=options.FILE)
@click.option(
    "--out",
    "folder",
    type=options.FOLDER,
    required=True,
    help="Folder of the chosen model and its page: new, empty, or of this command, which is continued.",
)
@click.option("--name", "names", multiple=True, help="Name of a training, once for each, in their order.")
@options.data_root
@options.device
@options.tracking
def command(dataset: Path, folds: tuple[Path, ...], folder: Path, names: tuple[str, ...], **arguments: Any) -> None:
    """Choose among FOLDS, trainings of all folds of DATASET with the same split, the simplest first.

    Another configuration, two that draw together, and each rule of postprocessing are taken only where the numbers out
    of fold are better beyond chance. The folder is a model like any other; index.html shows all that was tried.
    """
    from medseg.runs.segmentation.choice import ChooseSettings, choose_model

    settings = ChooseSettings(out=folder, names=names or None, tracking=options.tracking_of(arguments), **arguments)
    result = choose_model(dataset, folds, settings, progress=bars.Bars())
    console.warn(result.warnings)
    click.echo(result.page)
    click.echo(
        f"model of {len(result.card.members)} networks in {folder}; all that was tried in {folder / 'index.html'}"
    )
    console.report_failures(result.failures)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
