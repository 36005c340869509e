"""The cases of a training."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import ConfigError
from medseg.manifest import assign_folds, load_manifest, split_fold
from medseg.records import Case, Manifest
from medseg.runs.settings import ALL_FOLDS


@dataclass(frozen=True, slots=True)
class TrainingCases:
    """A fold's cases.

    Attributes:
        manifest: Dataset with its folds.
        root: Folder that its paths are relative to.
        training: Cases to learn from.
        validation: Cases to measure on; empty where all are trained on.
    """

    manifest: Manifest
    root: Path
    training: tuple[Case, ...]
    validation: tuple[Case, ...]


def load_training_cases(
    dataset: Path, *, fold: str, data_root: Path | None = None, only: Collection[str] | None = None
) -> TrainingCases:
    """Read a manifest and take a fold's cases.

    Args:
        dataset: A `dataset.json` or the folder that holds one.
        fold: Number of the validation fold, or `all`.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        only: Ids of the training cases to take; all of the fold's if not given.

    Raises:
        ConfigError: If all folds are asked for, where one is taken at a time, or an id is none of a training case.
        ManifestError: If the manifest cannot be read, or has no such fold.
    """
    if fold == ALL_FOLDS:
        raise ConfigError(f"fold must be a single one here, got {ALL_FOLDS}", remedy="give a number, or 'all'")
    manifest, root = load_manifest(dataset, data_root=data_root)
    if fold == "all":
        return TrainingCases(manifest, root, _chosen(manifest.select("training"), only), ())
    manifest = assign_folds(manifest)
    training, validation = split_fold(manifest, int(fold))
    return TrainingCases(manifest, root, _chosen(training, only), validation)


def _chosen(training: tuple[Case, ...], only: Collection[str] | None) -> tuple[Case, ...]:
    """The cases of these ids.

    Raises:
        ConfigError: If an id is none of a training case.
    """
    if only is None:
        return training
    unknown = sorted(set(only) - {case.case_id for case in training})
    if unknown:
        raise ConfigError(
            f"cases must be training cases of the fold, got {', '.join(unknown[:5])}",
            remedy="take ids that the manifest has outside this fold",
        )
    return tuple(case for case in training if case.case_id in set(only))
