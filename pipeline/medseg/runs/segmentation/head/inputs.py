"""What is known of the classes of a head before its training begins."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medseg.cohort import run_cases
from medseg.errors import ScanError, TrainingError
from medseg.inference.segmentation.head.slice_map import SliceMap
from medseg.manifest import unannotated, without_mask
from medseg.planning import Plan
from medseg.preprocess.segmentation import StoredCase
from medseg.preprocess.segmentation.head_truth import drawn_truth, head_truth, listed_truth
from medseg.records import Array, Case, Failure, Manifest
from medseg.runs.training_cases import TrainingCases
from medseg.targets import UNKNOWN, HeadClasses, LabelMap
from medseg.training.segmentation.head.config import HeadConfig
from medseg.training.segmentation.head.task import HeadInputs
from medseg.training.segmentation.masked import has_mask

_log = logging.getLogger(__name__)


def with_mask(cases: TrainingCases) -> TrainingCases:
    """The cases that have a mask, by which a training is planned.

    Raises:
        TrainingError: If there is none to learn from, or to validate on.
    """
    training = tuple(case for case in cases.training if case.has_reference)
    if cases.validation and not any(case.has_reference for case in cases.validation):
        raise TrainingError(
            f"manifest {cases.manifest.name}: a validation case must have a label, got none in {len(cases.validation)}",
            remedy="choose another fold, or train on all of it with the fold all, which validates nothing",
        )
    if not training:
        raise TrainingError(
            f"manifest {cases.manifest.name}: a training case must have a label, got none in {len(cases.training)}",
            remedy="give some cases a label; without any, train a slice classifier",
        )
    return replace(cases, training=training)


def with_unmasked(cases: TrainingCases) -> TrainingCases:
    """The same cases, of which those without a label annotate nothing, so that they teach the classes alone."""
    training, validation = (tuple(map(without_mask, group)) for group in (cases.training, cases.validation))
    return replace(cases, training=training, validation=validation)


def head_inputs(
    training: Sequence[StoredCase], validation: Sequence[StoredCase], cases: TrainingCases, plan: Plan, target: LabelMap
) -> tuple[HeadInputs, tuple[Failure, ...]]:
    """Truth of all prepared cases, and the cases whose truth cannot be used.

    Args:
        training: Prepared training cases.
        validation: Prepared validation cases.
        cases: Cases of the fold, as they were prepared.
        plan: Plan with a head.
        target: Meaning of the labels.

    Raises:
        TrainingError: If a class cannot be learned.
    """
    config = plan.head
    if config is None:
        raise ValueError("the plan must have a head")
    by_id, head, manifest = (
        {case.case_id: case for case in (*cases.training, *cases.validation)},
        config.target,
        cases.manifest,
    )

    def listed(stored: StoredCase) -> Array:
        truth = listed_truth(by_id[stored.case_id], manifest, head, slices=stored.native.shape[2])
        if not has_mask(stored, target):
            check_teaches(truth, config, case_id=stored.case_id)
        return truth

    learned = run_cases(training, listed, stage="head")
    measured = run_cases(
        validation,
        lambda stored: head_truth(_drawn(stored, by_id[stored.case_id], manifest, head, target), listed(stored)),
        stage="head",
    )
    of_training = learned.by_id()
    check_learnable([case for case in training if case.case_id in of_training], of_training, config, plan, target)
    patients = {case.case_id: case.patient_id for case in cases.validation}
    return HeadInputs(config, of_training, measured.by_id(), patients), (*learned.failures, *measured.failures)


def _drawn(stored: StoredCase, case: Case, manifest: Manifest, head: HeadClasses, target: LabelMap) -> Array:
    slices = stored.native.shape[2]
    if not has_mask(stored, target):
        return head.unknown(slices)
    return drawn_truth(stored.native_label(), target, head, slices=slices, unannotated=unannotated(case, manifest))


def check_teaches(truth: Array, config: HeadConfig, *, case_id: str) -> None:
    """Refuse a case without a label that says nothing of any class, whose patches would teach nothing.

    Args:
        truth: What the manifest lists of the case.
        config: Head.
        case_id: Id of the case, for the message.

    Raises:
        ScanError: If nothing is known.
    """
    if (truth == UNKNOWN).all():
        raise ScanError(
            f"a case without a label must list what it shows of the head's classes {list(config.classes)}, got nothing",
            remedy="give it a label, slice_labels or, for study classes, study_labels; or drop the case",
            case_id=case_id,
        )


def check_learnable(
    training: Sequence[StoredCase],
    listed: dict[str, Array],
    config: HeadConfig,
    plan: Plan,
    target: LabelMap,
) -> None:
    """Refuse classes that no patch can show, and log those that all or no cases show.

    Raises:
        TrainingError: If there is one.
    """
    masked = [case for case in training if has_mask(case, target)]
    whole = [case for case in training if _holds_whole(case, plan, config)]
    for index, name in enumerate(config.classes):
        if name in target.structures and any(_shows(case, target, name) for case in masked):
            continue
        if any((listed[case.case_id][:, index] == 1).any() for case in whole):
            continue
        there = sum(bool((listed[case.case_id][:, index] == 1).any()) for case in training)
        what = "slices" if config.level == "slice" else "scans"
        got = f"{there} cases whose {what} are larger than a patch" if there else "no case that shows it"
        raise TrainingError(
            f"head: class {name!r} must be shown by a mask, or by listed {what} that a patch holds whole, got {got}",
            remedy="leave the class out of head.classes"
            if not there
            else "set training.patch_size and inference.patch_size so large that they hold them",
        )
    for index, name in enumerate(config.classes):
        known = np.concatenate([rows[:, index] for rows in listed.values()])
        if name not in target.structures and not (known == 0).any():
            _log.warning("class %s is absent from no training case, so that it cannot be told from its absence", name)


def _holds_whole(case: StoredCase, plan: Plan, config: HeadConfig) -> bool:
    """Whether a patch holds whole slices of a case, or the whole of it."""
    axis = SliceMap.of(case.native, case.grid).axis if config.level == "slice" else None
    sizes = zip(plan.training.patch_size, case.shape, strict=True)
    return all(patch >= size for n, (patch, size) in enumerate(sizes) if n != axis)


def _shows(case: StoredCase, target: LabelMap, name: str) -> bool:
    return any(voxels and bool(target.shows(np.array([value]), name).any()) for value, voxels in case.voxels.items())
