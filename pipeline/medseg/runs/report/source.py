"""What a report is made from: a run's folder, with each part that is missing or damaged known as such."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from medseg.errors import CheckpointError, ConfigError, ManifestError
from medseg.inference.card import model_folder
from medseg.inference.classification.card import CLASSIFIER_NAME, ClassifierCard, load_classifier_card
from medseg.inference.segmentation import ModelCard, load_card
from medseg.manifest import assign_folds, load_manifest, manifest_digest
from medseg.networks.weights import weights_digest
from medseg.planning import Plan, SlicePlan
from medseg.planning.plan import load_plan_of
from medseg.records import Case, Manifest
from medseg.runs.run_folder import RunFolder, RunRecord
from medseg.runs.segmentation.model_paths import check_single_network
from medseg.runs.training_cases import TrainingCases, load_training_cases

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class ReportSource:
    """A run as its folder holds it.

    Attributes:
        folder: The folder.
        card: Card of the model.
        record: What the training was started with; None if `run.json` is missing or damaged.
        plan: Settings; None if `plan.yaml` is missing or damaged.
        cases: Dataset with its folds; None if it was not given.
        missing: A sentence for each part that could not be read, by the name of its file.
        weights: SHA-256 of each file of weights that can be read, by its name, `last` or `best`.
    """

    folder: RunFolder
    card: ModelCard | ClassifierCard
    record: RunRecord | None
    plan: Plan | SlicePlan | None
    cases: TrainingCases | None
    missing: dict[str, str] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return self.folder.path.resolve().name

    @property
    def training(self) -> tuple[str, ...]:
        """Ids of the cases that the model was trained on."""
        return self.card.trained_on

    @property
    def validation(self) -> tuple[str, ...] | None:
        """Ids of the validation cases; None where the run does not say."""
        return self.record.validation if self.record else None

    @property
    def training_cases(self) -> tuple[Case, ...]:
        """Cases of the dataset that the model was trained on; none where the dataset was not given."""
        trained = set(self.training)
        return tuple(case for case in self.cases.manifest.cases if case.case_id in trained) if self.cases else ()

    @property
    def mlflow_run_id(self) -> str | None:
        """MLflow run of the training, if there is one."""
        return (self.record.mlflow_run_id if self.record else None) or self.card.mlflow_run_id

    @property
    def is_flat(self) -> bool:
        """Whether the model works on pictures instead of volumes."""
        return not isinstance(self.card, ModelCard) or self.card.network.spatial_dims == 2

    def is_own_dataset(self, content: Mapping[str, Any]) -> bool | None:
        """Whether an evaluation is of the run's dataset, in whatever version; None where it names no dataset."""
        dataset = content.get("dataset") or {}
        if not dataset.get("name") and not dataset.get("digest"):
            return None
        own = self.cases.manifest.name if self.cases else self.card.dataset.rpartition(" ")[0]
        return dataset.get("digest") == self.card.manifest_digest or dataset.get("name") == own

    @property
    def structures(self) -> tuple[str, ...]:
        """Labels, regions or classes that the model gives, without the background."""
        return self.card.target.structures if isinstance(self.card, ModelCard) else self.card.targets.structures


def open_run(run: Path, dataset: Path | None, data_root: Path | None) -> ReportSource:
    """Read the parts of a run.

    Args:
        run: Folder of a training.
        dataset: Dataset that it was trained on, for patients, sites and licence.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.

    Raises:
        CheckpointError: If the folder holds no model card, or the trainings of all folds.
        ManifestError: If the dataset is not the one that the run was trained on.
    """
    _check_single(run)
    folder = RunFolder(run)
    is_classifier = (folder.model / CLASSIFIER_NAME).is_file() or (run / CLASSIFIER_NAME).is_file()
    card: ModelCard | ClassifierCard = load_classifier_card(run) if is_classifier else load_card(run)
    kind: type[Plan] | type[SlicePlan] = SlicePlan if is_classifier else Plan
    missing: dict[str, str] = {}
    record = _part(folder.record, lambda: _record(folder), missing)
    plan = _part(folder.plan, lambda: load_plan_of(kind, folder.plan), missing)
    cases = _dataset(dataset, data_root, record, card) if dataset is not None else None
    return ReportSource(folder, card, record, plan, cases, missing, _weights(model_folder(run)))


def _check_single(run: Path) -> None:
    """Refuse the folder of all folds, which holds a training per fold and no model of its own, and a chosen model.

    Raises:
        CheckpointError: If it is one.
    """
    if not RunFolder(run).folds.is_file():
        check_single_network(run)
        return
    first = next((path.name for path in sorted(run.glob("fold_*")) if path.is_dir()), "fold_0")
    raise CheckpointError(
        f"run {run.name}: must be the folder of one training, got that of all folds",
        remedy=f"give the folder of one fold, such as {run / first}, and {run} as an evaluation",
    )


def _record(folder: RunFolder) -> RunRecord:
    """The record of a training.

    Raises:
        CheckpointError: If it is missing or damaged.
    """
    record = folder.load_record()
    if record.fold != "all" and not record.fold.isdecimal():
        raise CheckpointError(f"run {folder.path.name}: {folder.record.name} must name a fold, got {record.fold!r}")
    return record


def _weights(model: Path) -> dict[str, str]:
    """Digests of the weights that can be read."""
    found = {}
    for name in ("last", "best"):
        with suppress(CheckpointError):
            found[name] = weights_digest(model / f"{name}.safetensors")
    return found


def _part(path: Path, read: Callable[[], Part], missing: dict[str, str]) -> Part | None:
    """A part of the run; None with the reason noted if it cannot be read."""
    try:
        return read()
    except (CheckpointError, ConfigError):
        missing[path.name] = f"{path.name} is {'damaged' if path.is_file() else 'not in the run folder'}"
        return None


def _dataset(
    dataset: Path, data_root: Path | None, record: RunRecord | None, card: ModelCard | ClassifierCard
) -> TrainingCases:
    """The dataset, held to be the one of the run; without `run.json`, whose fold tells, no case is a validation's."""
    if record is not None:
        cases = load_training_cases(dataset, fold=record.fold, data_root=data_root)
    else:
        manifest, root = load_manifest(dataset, data_root=data_root)
        cases = TrainingCases(_with_the_folds_of(card, manifest), root, (), ())
    found = manifest_digest(cases.manifest)
    if found != card.manifest_digest:
        raise ManifestError(
            f"manifest {cases.manifest.name}: must be the one that the run was trained on, with the digest "
            f"{card.manifest_digest[:12]}…, got {found[:12]}…",
            remedy="give the dataset.json that the run was trained on, unchanged, or leave the dataset out",
        )
    return cases


def _with_the_folds_of(card: ModelCard | ClassifierCard, manifest: Manifest) -> Manifest:
    """The manifest as a training on one fold knows it, if the card is of such a one; else as it is."""
    with suppress(ManifestError):
        divided = assign_folds(manifest)
        return divided if manifest_digest(divided) == card.manifest_digest else manifest
    return manifest


def read_json(path: Path) -> tuple[dict[str, Any] | None, str]:
    """The content of a JSON file that holds a mapping, or None and what is wrong with it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None, f"{path.name} is not in the run folder"
    except (OSError, ValueError):
        return None, f"{path.name} is damaged"
    return (content, "") if isinstance(content, dict) else (None, f"{path.name} is damaged")


def read_columns(path: Path) -> tuple[dict[str, list[float]] | None, str]:
    """The columns of a table of numbers, or None and what is wrong with it."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.reader(file)
            names = next(table)
            lines = [[float(value) for value in line] for line in table]
    except FileNotFoundError:
        return None, f"{path.name} is not in the run folder"
    except (OSError, ValueError, StopIteration, csv.Error):
        return None, f"{path.name} is damaged"
    if "step" not in names or any(len(line) != len(names) for line in lines):
        return None, f"{path.name} is damaged"
    if not lines:
        return None, f"{path.name} holds no step yet"
    return {name: [line[index] for line in lines] for index, name in enumerate(names)}, ""
