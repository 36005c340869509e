"""From a training to its use: what was promised on the validation cases holds for their scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from medseg.inference.classification import ClassifierCard, Gate, SlicePredictor, save_classifier_card
from medseg.inference.classification.quality import check_mask
from medseg.manifest import read_case
from medseg.targets import ExclusiveLabels, SliceClasses
from medseg.training import StepBudget
from medseg.training.classification import ClassificationInputs, ClassificationTask, calibrate
from medseg.training.engine import run_task

from tests.preprocess.classification.scans import LABELS, manifest_of
from tests.training.classification.conftest import Toys
from tests.training.classification.toys import BOTH, toy_truth

InputsBuilder = Callable[..., ClassificationInputs]
ONE_OF = SliceClasses(kind="multiclass", classes=("background", "liver", "spleen"))


def deliver(inputs: ClassificationInputs, steps: int) -> SlicePredictor:
    """Train, calibrate on the validation cases, write the card, and load the run."""
    task = ClassificationTask(inputs)
    outcome = run_task(task, StepBudget(steps))
    assert outcome.last is not None
    card = ClassifierCard(
        medseg_version="0.1.0",
        dataset="made up 1",
        channels=("MR",),
        slices=inputs.slices,
        targets=inputs.targets,
        network=inputs.network,
        shift=tuple(float(value) for value in task.shift),
        calibration=calibrate(list(outcome.last.rows), inputs.targets, shift=task.shift),
        trained_on=tuple(case.case_id for case in inputs.training),
        manifest_digest="m",
        plan_digest="p",
    )
    save_classifier_card(card, inputs.folder / "model")
    return SlicePredictor.load(inputs.folder, device=torch.device("cpu"), precision="fp32")


@pytest.mark.parametrize("targets", [BOTH, ONE_OF], ids=["multilabel", "multiclass"])
def test_gate_keeps_of_the_validation_scans_what_its_card_says(
    toys: Toys, build_inputs: InputsBuilder, targets: SliceClasses
) -> None:
    """After few steps, so that thresholds differ; what each point keeps is counted in the scans' own order."""
    cases, stored, _ = toys
    inputs = replace(build_inputs(targets=targets, validations=1), truth=toy_truth(stored, cases, targets))
    predictor = deliver(inputs, steps=4)
    root = stored[0].folder.parent.parent
    found = []
    for case in cases[4:]:
        scan, label = read_case(case, manifest_of(cases), root)
        scores = predictor.scores(scan, case_id=case.case_id)
        shown = (np.moveaxis(label, scores.axis, 0) > 0).any(axis=(1, 2))
        found.append((scores, shown))
        gate = Gate.of(predictor.card, sensitivity=1.0, labels=["liver", "spleen"])
        slab = gate.slab(scores, predictor.card)
        assert set(np.flatnonzero(shown)) <= set(range(slab.start, slab.stop))
    points = predictor.card.calibration.gate
    assert len({point.threshold for point in points}) > 1
    for point in points:
        gate = Gate(point.sensitivity, point.threshold)
        slabs = [gate.slab(scores, predictor.card) for scores, _ in found]
        inside = sum(shown[slab.start : slab.stop].sum() for slab, (_, shown) in zip(slabs, found, strict=True))
        assert inside / sum(shown.sum() for _, shown in found) == pytest.approx(point.reached)
        assert point.reached >= point.sensitivity
        kept = sum(slab.stop - slab.start for slab in slabs) / sum(len(shown) for _, shown in found)
        assert kept == pytest.approx(point.kept)


@pytest.mark.parametrize("targets", [BOTH, ONE_OF], ids=["multilabel", "multiclass"])
def test_reference_is_not_flagged_and_a_mask_that_lost_the_liver_is(
    toys: Toys, build_inputs: InputsBuilder, targets: SliceClasses, tmp_path: Path
) -> None:
    cases, stored, _ = toys
    inputs = replace(build_inputs(targets=targets, validations=1), truth=toy_truth(stored, cases, targets))
    predictor = deliver(inputs, steps=40)
    root = stored[0].folder.parent.parent
    for case in cases[4:]:
        scan, label = read_case(case, manifest_of(cases), root)
        scores = predictor.scores(scan, case_id=case.case_id)
        right, lost = (
            check_mask(mask, scores, predictor.card, target=ExclusiveLabels(labels=LABELS), pixel_mm2=1.0)
            for mask in (label, np.where(label == 1, 0, label))
        )
        assert right.limit is not None
        assert right.disagreement <= right.limit * 1.06  # 95 % of two cases is between them
        assert lost.is_flagged
        assert lost.longest_run >= 3
