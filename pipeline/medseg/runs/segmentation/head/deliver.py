"""What the head of a finished training is worth on the validation cases."""

from __future__ import annotations

import numpy as np

from medseg.evaluation.classification import fit_temperature
from medseg.inference.segmentation.head.card import HeadCard
from medseg.planning import Plan
from medseg.runs.job import Finished
from medseg.runs.segmentation.head.measured import deliver_head, log_head
from medseg.training.segmentation.head.task import MultitaskTask
from medseg.training.segmentation.task import SegmentationTask

_COLDEST = 0.5  # as for slice classifiers: a few cases that are all right would ask for certainty


def calibrated_card(task: MultitaskTask) -> HeadCard:
    """The head with the temperature that fits the validation cases, at least 0.5; 1 without any."""
    card, truths = task.card(), task.head.truth
    known = [case_id for case_id in task.logits if case_id in truths and (truths[case_id] >= 0).any()]
    if not known:
        return card
    logits = np.concatenate([task.logits[case_id] for case_id in known])
    truth = np.concatenate([truths[case_id] for case_id in known])
    truth = np.where(np.isfinite(logits), truth, -1)
    temperature = fit_temperature(np.nan_to_num(logits), truth, kind="multilabel")
    return card.model_copy(update={"temperature": max(_COLDEST, temperature), "calibrated_on": tuple(known)})


def deliver_trained_head(
    done: Finished[Plan, SegmentationTask], task: MultitaskTask, card: HeadCard
) -> tuple[str, ...]:
    """Write and log what the head of a training finds in its validation cases.

    Args:
        done: The training.
        task: Its task.
        card: The head, calibrated.

    Returns:
        Sentences about it.
    """
    scores = task.scores(card)
    if not scores:
        return ()
    delivered = deliver_head(
        scores,
        done.folder.validation,
        head=card.target,
        title=done.name,
        failures=done.failures,
        notes={"calibrated_on": "these validation cases, which flatters the calibration"},
    )
    if done.run is not None:
        log_head(done.run, delivered, step=done.outcome.steps + 1)  # behind those of the validations on the way
    temperature = f"temperature {card.temperature:.2f}, fitted on the {len(card.calibrated_on)} validation cases"
    said = (f"{delivered}; {temperature}",)
    return said if done.run is None else (*said, "the model in MLflow answers with masks alone; predict gives classes")
