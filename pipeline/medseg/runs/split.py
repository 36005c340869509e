"""Folds and a test set of whole patients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medseg.atomic import check_writable
from medseg.delivery.split import save_balance_picture
from medseg.errors import ConfigError
from medseg.manifest.load import open_manifest
from medseg.records import Failure, Manifest
from medseg.runs.kept_folds import kept_folds
from medseg.runs.machine import threads
from medseg.runs.progress import Progress, Silence
from medseg.runs.run_folder import RunFolder
from medseg.split import (
    Balance,
    SplitConfig,
    SplitFiles,
    cases_to_measure,
    check_audited,
    check_splittable,
    check_target,
    measure_labels,
    record_path,
    save_split,
    split_manifest,
)


@dataclass(frozen=True, slots=True)
class SplitRun:
    """A split dataset.

    Attributes:
        manifest: Dataset with its folds.
        files: New manifest and record.
        picture: Picture of the balance.
        balance: How alike the parts are.
        previous_version: Version of the dataset before the split.
        root: Folder that the manifest's paths are relative to.
        failures: Cases whose labels could not be measured, with the reasons.
        warnings: Sentences for the person who started the split.
    """

    manifest: Manifest
    files: SplitFiles
    picture: Path
    balance: Balance
    previous_version: str
    root: Path
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]


def split_dataset(
    dataset: Path,
    config: SplitConfig,
    *,
    out: Path | None = None,
    data_root: Path | None = None,
    like: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> SplitRun:
    """Give every case a fold, with patients kept together and labels, volumes, sites and scanners even.

    Args:
        dataset: A `dataset.json` or the folder that holds one.
        config: Folds, share of the test set, seed, and what to balance.
        out: File of the new manifest; the dataset's own, whose old version is kept, if not given.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        like: Folder of a run whose cases keep their folds, as do those that have one in the dataset.
        workers: Threads that read labels.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the dataset cannot be split, or the target exists and may not be replaced.
    """
    source = open_manifest(dataset, data_root=data_root)
    target = check_target(source, out, force=config.force)
    check_writable(target.parent, option="out")
    if like is not None and config.test:
        raise ConfigError(
            "like: keeps the cases of a run where they are, and cannot draw a test set from them",
            remedy="leave the test share out, or give no run",
        )
    kept = kept_folds(source.manifest, RunFolder(like).load_record()) if like is not None else None
    if kept:
        config = config.model_copy(update={"folds": max(kept.values()) + 1})
    check_splittable(source.manifest, config, kept=kept)
    notes = check_audited(source.manifest, source.path.parent)
    with (progress or Silence()).over_cases(
        len(cases_to_measure(source.manifest, config.by)), "measure labels"
    ) as on_done:
        measured, failures = measure_labels(
            source.manifest, source.root, by=config.by, executor=threads(workers), on_done=on_done
        )
    result = split_manifest(measured, config, kept=kept)
    result = result._replace(warnings=(*notes, *result.warnings))
    picture = record_path(target).with_suffix(".png")  # drawn first: a write that fails leaves the old manifest
    title = f"{result.manifest.name}, version {result.manifest.version}, seed {config.seed}"
    save_balance_picture(result.balance, picture, title=title)
    files = save_split(result, source, target, config=config, failures=failures)
    return SplitRun(
        manifest=result.manifest,
        files=files,
        picture=picture,
        balance=result.balance,
        previous_version=source.manifest.version,
        root=source.root,
        failures=tuple(failures),
        warnings=tuple(result.warnings),
    )
