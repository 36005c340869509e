"""Trainings of all folds of one dataset and split, among which is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import CheckpointError, ConfigError
from medseg.inference.segmentation import ModelCard, load_card
from medseg.inference.segmentation.head.refuse import refuse_head
from medseg.manifest import manifest_digest
from medseg.records import Manifest
from medseg.runs.run_folder import RunFolder
from medseg.runs.segmentation.model_paths import found_models


@dataclass(frozen=True, slots=True)
class Candidate:
    """A training of all folds.

    Attributes:
        name: Name that tells it from the others.
        folder: Its folder.
        runs: Folder of each fold's run, by the number of the fold.
        card: Card of the first fold's model.
    """

    name: str
    folder: Path
    runs: dict[int, Path]
    card: ModelCard


def read_candidates(folders: Sequence[Path], names: Sequence[str] | None, manifest: Manifest) -> list[Candidate]:
    """Trainings that may be held against each other.

    Args:
        folders: Trainings of all folds, the one first that stays where none is better.
        names: A name for each; those of the folders if not given.
        manifest: Dataset with its folds.

    Raises:
        ConfigError: If none is given, one is no training of all folds, or names repeat.
        CheckpointError: If a fold has no model, or was trained on another dataset or split.
    """
    if not folders:
        raise ConfigError("choose: a training of all folds must be given, got none", remedy="give one or several")
    titles = _titles(folders, names)
    validation: dict[int, set[str]] = {}
    for case in manifest.select("training"):
        if case.fold is not None:
            validation.setdefault(case.fold, set()).add(case.case_id)
    return [_candidate(folder, name, manifest, validation) for folder, name in zip(folders, titles, strict=True)]


def _titles(folders: Sequence[Path], names: Sequence[str] | None) -> list[str]:
    """Names that differ, which are names of folders too."""
    if names is not None and len(names) != len(folders):
        raise ConfigError(f"choose: names must be one for each of {len(folders)} trainings, got {len(names)}")
    titles = list(names) if names is not None else [folder.resolve().name for folder in folders]
    if names is None and len(set(titles)) < len(titles):
        titles = [f"{folder.resolve().parent.name}_{folder.resolve().name}" for folder in folders]
    wrong = next((title for title in titles if titles.count(title) > 1 or not _is_plain(title)), None)
    if wrong is not None:
        raise ConfigError(
            f"choose: names must differ and be usable as names of folders, got {wrong!r}", remedy="give other names"
        )
    return titles


def _is_plain(title: str) -> bool:
    return title not in ("", ".", "..") and not any(sign in title for sign in "/\\\0+")


def _candidate(folder: Path, name: str, manifest: Manifest, validation: dict[int, set[str]]) -> Candidate:
    if not RunFolder(folder).folds.is_file():
        raise ConfigError(
            f"choose: {folder} must be a training of all folds, got none", remedy="train with the fold all-folds"
        )
    with found_models([folder]) as found:
        runs = {int(run.name.removeprefix("fold_")): run for run in found.folders}
    missing = sorted(validation.keys() - runs.keys())
    if missing:
        raise CheckpointError(
            f"folds {folder}: every fold must have a model, got none of fold {', '.join(map(str, missing))}",
            remedy="resume the training of the folds",
        )
    for number, run in runs.items():
        record = RunFolder(run).load_record()
        is_same_split = set(record.validation) == validation.get(number, set())
        if record.manifest_digest != manifest_digest(manifest) or not is_same_split:
            raise CheckpointError(
                f"folds {folder}: fold {number} must be of the dataset as it is now, with its split, got another",
                remedy="give the dataset of the training, or train the folds again",
            )
    card = load_card(runs[min(runs)])
    refuse_head(card.head, "choose")
    return Candidate(name, folder, runs, card)
