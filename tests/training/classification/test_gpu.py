"""A slice classifier learns on a GPU, and says there what it says on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from medseg.networks.weights import read_weights
from medseg.training import StepBudget
from medseg.training.classification import ClassificationInputs, ClassificationTask
from medseg.training.engine import run_task

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("exact_arithmetic")]
InputsBuilder = Callable[..., ClassificationInputs]


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_classifier_learns_on_the_device(
    build_inputs: InputsBuilder, accelerator: torch.device, precision: str
) -> None:
    inputs = replace(build_inputs(validations=1, precision=precision), device=accelerator)
    outcome = run_task(ClassificationTask(inputs), StepBudget(40))
    assert outcome.best_score > 0.9


def test_probabilities_agree_with_the_cpu_s(build_inputs: InputsBuilder, accelerator: torch.device) -> None:
    inputs = replace(build_inputs(validations=1), device=accelerator)
    run_task(ClassificationTask(inputs), StepBudget(10))
    weights = read_weights(inputs.folder / "model" / "last.safetensors")
    found = []
    for device in (torch.device("cpu"), accelerator):
        task = ClassificationTask(replace(inputs, device=device))
        network = task.build()
        network.load_state_dict(weights)
        found.append([case.scores.probabilities for case in task.validate_cases(network, inputs.validation)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_classifier_goes_on_with_the_same_weights_on_another_device(
    build_inputs: InputsBuilder, accelerator: torch.device
) -> None:
    inputs = build_inputs(validations=1)
    run_task(ClassificationTask(replace(inputs, device=accelerator)), StepBudget(5))
    delivered = inputs.folder / "model" / "last.safetensors"
    before = read_weights(delivered)
    task = ClassificationTask(inputs)
    assert run_task(task, StepBudget(5), resume=True).steps == 5
    after = read_weights(delivered)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert run_task(task, StepBudget(8), resume=True).steps == 8
