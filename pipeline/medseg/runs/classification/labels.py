"""The truth of a classifier's slices, and the prepared cases that have one."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import ConfigError
from medseg.planning import SlicePlan
from medseg.preprocess.classification import PreparedSlices, StoredSlices, prepare_slices
from medseg.preprocess.classification.table import TargetTable, read_target_table
from medseg.preprocess.classification.targets import (
    LabelTargets,
    ManifestTargets,
    SliceTargets,
    TargetReader,
    read_targets,
)
from medseg.records import Case, Failure, Manifest
from medseg.runs.machine import threads
from medseg.runs.progress import Progress
from medseg.runs.settings import TrainingSettings
from medseg.runs.train import merge_failures
from medseg.runs.training_cases import TrainingCases
from medseg.targets import SliceClasses

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LabelledSlices:
    """Prepared cases of the fold with a known truth."""

    training: tuple[StoredSlices, ...]
    validation: tuple[StoredSlices, ...]
    truth: dict[str, SliceTargets]
    failures: tuple[Failure, ...]


def prepare_labelled(
    cases: TrainingCases, plan: SlicePlan, table: TargetTable | None, settings: TrainingSettings, *, progress: Progress
) -> LabelledSlices:
    """Cut the fold's cases into slices, with the truth of each."""
    reader = target_reader(plan.targets, table, cases.manifest)
    parts = []
    with progress.over_cases(len(cases.training) + len(cases.validation), "prepare") as on_done:
        for group in (cases.training, cases.validation):
            prepared = prepare_slices(
                group,
                cases.manifest,
                cases.root,
                config=plan.slices,
                with_labels=plan.targets.source == "label",
                store=settings.store,
                executor=threads(settings.workers),
                on_done=on_done,
            )
            parts.append(labelled(prepared, group, reader))
    (training, truth, failures), (validation, more_truth, more_failures) = parts
    return LabelledSlices(training, validation, truth | more_truth, merge_failures(failures, more_failures))


def warn_of_absent(slices: LabelledSlices, targets: SliceClasses) -> None:
    """Log classes that no training case shows, slice by slice or as a whole, so that they cannot be learned."""
    truths = [slices.truth[case.case_id] for case in slices.training]
    for index, name in enumerate(targets.classes):
        if not any(truth.study[index] == 1 or (truth.slices[:, index] == 1).any() for truth in truths):
            _log.warning("class %s is shown by no training case, so that it cannot be learned", name)


def target_reader(config: SliceClasses, table: TargetTable | None, manifest: Manifest) -> TargetReader:
    """Where the truth comes from.

    Raises:
        ConfigError: If it is a CSV file that is not given.
    """
    if table is not None:
        return table
    if config.source == "csv":
        raise ConfigError("labels: the classes were learned from a CSV file", remedy="give that file as the labels")
    if config.source == "label":
        return LabelTargets(config)
    return ManifestTargets(config, known=(*manifest.foreground, *(manifest.regions or ())))


def labelled(
    prepared: PreparedSlices, cases: Sequence[Case], reader: TargetReader
) -> tuple[tuple[StoredSlices, ...], dict[str, SliceTargets], tuple[Failure, ...]]:
    """The prepared cases whose truth is known, that truth, and all failures."""
    truth, missing = read_targets(reader, prepared.cases, cases)
    known = tuple(case for case in prepared.cases if case.case_id in truth)
    lost = tuple(Failure(case_id, "labels", reason) for case_id, reason in missing.items())
    return known, truth, (*prepared.failures, *lost)


def read_label_table(labels: str) -> TargetTable | None:
    """The CSV file of classes, if the labels are one.

    Raises:
        ConfigError: If there is no such file.
    """
    if labels in ("label", "slice_labels"):
        return None
    if not Path(labels).is_file():
        raise ConfigError(f"labels must be 'label', 'slice_labels' or a CSV file, got {labels!r}")
    return read_target_table(Path(labels))


def labels_digest(labels: str) -> str | None:
    """SHA-256 of the CSV file of classes, if the labels are one."""
    path = Path(labels)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
