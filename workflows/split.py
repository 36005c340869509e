"""medseg split: balanced folds and a test set that share no patient."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
from medseg.workflows import bars, console, options

EPILOG = """\b
Example:
  medseg split data/dataset.json --folds 5 --test 0.2
  medseg split data/dataset.json --like run
"""

FEATURES = ("label", "volume", "site", "scanner", "modality")


def _features(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    unknown = [name for name in names if name not in FEATURES]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is not one of {', '.join(FEATURES)}")
    return names


@click.command("split", epilog=EPILOG)
@click.argument("dataset", type=options.FILE)
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Validation folds.")
@click.option("--test", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True,
              help="Share of the cases to hold out; 0 leaves the test set as it is.")  # fmt: skip
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed of the split; the same cases and seed give the same split.",
)
@click.option("--by", callback=_features, default=",".join(FEATURES), show_default=True, help="Features to balance.")
@click.option(
    "--out", type=options.FOLDER, help="File of the new manifest.  [default: DATASET; its old version is kept]"
)
@click.option("--like", type=options.FILE,
              help="Run whose cases keep their folds, as all that have one do; new patients join them.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace the folds that DATASET has, or the file at --out.")
@click.option(
    "--cases-are-patients",
    is_flag=True,
    help="Treat every case as a patient, where DATASET names no patients and none has two cases.",
)
@options.data_root
@options.workers
def command(
    dataset: Path,
    out: Path | None,
    data_root: Path | None,
    like: Path | None,
    workers: int | None,
    **choices: Any,
) -> None:
    """Give every case of DATASET a fold: patients stay together; labels, volumes, sites and scanners are balanced."""
    from medseg.runs.split import split_dataset
    from medseg.split import SplitConfig, format_balance

    result = split_dataset(
        dataset,
        SplitConfig(**choices),
        out=out,
        data_root=data_root,
        like=like,
        workers=workers,
        progress=bars.Bars(),
    )
    click.echo(format_balance(result.balance))
    console.warn(result.warnings)
    files = result.files
    kept = f"; version {result.previous_version} kept as {files.previous}" if files.previous else ""
    click.echo(
        f"version {result.manifest.version} in {files.manifest}{kept}; balance in {files.record}, {result.picture}"
    )
    is_elsewhere = files.manifest.parent.resolve() != result.root.resolve()
    root = ["--data-root", str(result.root)] if is_elsewhere else []
    words = ["medseg", "train", str(files.manifest), *root, "--fold", "0", "--out", "run"]
    click.echo(f"next: {shlex.join(words)}")
    console.report_failures(result.failures)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
