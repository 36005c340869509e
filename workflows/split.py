"""medseg split: folds and a test set that share no patient and are alike."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from medseg.workflows import options

if TYPE_CHECKING:
    from medseg.manifest.load import ManifestFile

EPILOG = """\b
Example:
  medseg split data/dataset.json --folds 5 --test 0.2
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
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same cases and seed, same split.")
@click.option("--by", callback=_features, default=",".join(FEATURES), show_default=True, help="What to share out.")
@click.option(
    "--out", type=options.FOLDER, help="File of the new manifest.  [default: DATASET; its old version is kept]"
)
@click.option("--force", is_flag=True, help="Replace the folds that DATASET has, or the file at --out.")
@click.option("--cases-are-patients", is_flag=True, help="DATASET names no patients, and none of them has two cases.")
@options.data_root
@options.workers
def command(
    dataset: Path, out: Path | None, data_root: Path | None, workers: int | None, force: bool, **settings: Any
) -> None:
    """Give every case of DATASET a fold, with patients kept together and labels, volumes, sites and scanners even."""
    from medseg.cohort import ThreadExecutor
    from medseg.manifest.load import open_manifest
    from medseg.split import (
        SplitConfig,
        cases_to_measure,
        check_audited,
        check_splittable,
        check_target,
        format_balance,
        measure_labels,
        save_split,
        split_manifest,
    )
    from medseg.workflows.console import counting, report_failures

    threads = ThreadExecutor(options.worker_count(workers))
    config = SplitConfig(force=force, **settings)
    source = open_manifest(dataset, data_root=data_root)
    target = check_target(source, out, force=force)
    check_splittable(source.manifest, config)
    notes = check_audited(source.manifest, source.path.parent)
    with counting(len(cases_to_measure(source.manifest, config.by)), "measure labels") as on_done:
        measured, failures = measure_labels(
            source.manifest, source.root, by=config.by, executor=threads, on_done=on_done
        )
    result = split_manifest(measured, config)
    result = result._replace(warnings=(*notes, *result.warnings))
    files = save_split(result, source, target, config=config, failures=failures)
    click.echo(format_balance(result.balance))
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    kept = f"; version {source.manifest.version} kept as {files.previous}" if files.previous else ""
    click.echo(
        f"version {result.manifest.version} in {files.manifest}{kept}; balance in {files.record}, {files.picture}"
    )
    click.echo(f"next: {_next_command(files.manifest, source)}")
    report_failures(failures)


def _next_command(manifest: Path, source: ManifestFile) -> str:
    is_elsewhere = manifest.parent.resolve() != source.root.resolve()
    root = ["--data-root", str(source.root)] if is_elsewhere else []
    return shlex.join(["medseg", "train", str(manifest), *root, "--fold", "0", "--out", "run"])


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
