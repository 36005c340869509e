"""Whole trainings, a few steps long."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from medseg.errors import TrainingError
from medseg.networks.segmentation import UNet
from medseg.preprocess.segmentation import StoredCase
from medseg.records import CaseMetrics
from medseg.training import StepBudget, TrainingState
from medseg.training.checkpoint import CHECKPOINT_NAME, checkpoint_facts
from medseg.training.engine import run_task
from medseg.training.segmentation import SegmentationInputs, SegmentationTask, steps_per_epoch
from medseg.training.task import Validation
from safetensors.torch import load_file

InputsBuilder = Callable[..., SegmentationInputs]


class Notes:
    """Records what it receives."""

    def __init__(self) -> None:
        self.validations: list[tuple[int, Sequence[CaseMetrics]]] = []

    def on_report(self, step: int, values: dict[str, float]) -> None:
        pass

    def on_validation(self, step: int, validation: Validation) -> None:
        self.validations.append((step, validation.rows))


class PowerCutError(Exception):
    """Stops a training from outside."""


def cut_at(step: int) -> Callable[[float, float], None]:
    """An `on_step` that stops the training at a step."""
    count = [0]

    def on_step(progress: float, loss: float) -> None:
        count[0] += 1
        if count[0] == step:
            raise PowerCutError

    return on_step


def weights(inputs: SegmentationInputs, name: str = "last") -> bytes:
    return (inputs.folder / "model" / f"{name}.safetensors").read_bytes()


def test_same_seed_gives_the_same_weights_bit_for_bit(build_inputs: InputsBuilder) -> None:
    one, two, other = build_inputs("one"), build_inputs("two"), build_inputs("other", seed=1)
    for inputs in (one, two, other):
        run_task(SegmentationTask(inputs), StepBudget(6))
    assert weights(one) == weights(two)
    assert weights(one, "best") == weights(two, "best")
    assert weights(one) != weights(other)


def test_global_random_state_does_not_change_a_training(build_inputs: InputsBuilder) -> None:
    one, two = build_inputs("one", validation=0), build_inputs("two", validation=0)
    torch.manual_seed(1)
    run_task(SegmentationTask(one), StepBudget(2))
    torch.manual_seed(2)
    np.random.seed(3)  # noqa: NPY002 (the global state is what must not matter)
    run_task(SegmentationTask(two), StepBudget(2))
    assert weights(one) == weights(two)


def test_interrupted_and_resumed_training_equals_an_unbroken_one(build_inputs: InputsBuilder) -> None:
    """Two steps an epoch; the training ends within the third, and the same patches and augmentations must follow."""
    settings: dict[str, Any] = {"learning_rate": 1e-3, "network": {"norm": "batch"}}
    whole, broken = (build_inputs(name, **settings) for name in ("whole", "broken"))
    run_task(SegmentationTask(whole), StepBudget(6))
    with pytest.raises(PowerCutError):
        run_task(SegmentationTask(broken), StepBudget(6), on_step=cut_at(5))
    assert checkpoint_facts(broken.folder / CHECKPOINT_NAME)["step"] == 5
    result = run_task(SegmentationTask(broken), StepBudget(6), resume=True)
    assert (result.steps, result.epochs) == (6, 3)
    assert weights(broken) == weights(whole)
    assert weights(broken, "best") == weights(whole, "best")
    ours, theirs = (load_file(inputs.folder / CHECKPOINT_NAME) for inputs in (broken, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


def test_loss_falls_and_the_organs_are_found(build_inputs: InputsBuilder) -> None:
    inputs = build_inputs(learning_rate=1e-2, validations=1, network={"channels": (8, 16)})
    losses: list[float] = []
    first = run_task(SegmentationTask(build_inputs("first", learning_rate=1e-2)), StepBudget(1))
    result = run_task(SegmentationTask(inputs), StepBudget(60), on_step=lambda progress, loss: losses.append(loss))
    assert np.mean(losses[-10:]) < 0.75 * np.mean(losses[:5])
    liver = [next(row for row in rows if row.label == "liver").values["dice"] for rows in (first.rows, result.rows)]
    assert liver[1] > max(0.4, liver[0] + 0.2)


def test_delivered_weights_are_a_unet_s(build_inputs: InputsBuilder) -> None:
    inputs = build_inputs()
    run_task(SegmentationTask(inputs), StepBudget(1))
    for name in ("best", "last"):
        UNet(inputs.network).load_state_dict(load_file(inputs.folder / "model" / f"{name}.safetensors"))


def test_validation_measures_every_label_of_every_case(build_inputs: InputsBuilder) -> None:
    inputs, notes = build_inputs(), Notes()
    result = run_task(SegmentationTask(inputs), StepBudget(6), listeners=[notes])
    assert [step for step, _ in notes.validations] == [2, 4, 6]
    for _, rows in notes.validations:
        assert [row.label for row in rows] == ["liver", "kidney_right", "kidney_left"]
        assert {row.case_id for row in rows} == {inputs.validation[0].case_id}
    assert notes.validations[-1][1] == result.rows


def test_handlers_of_the_user_s_are_attached(build_inputs: InputsBuilder) -> None:
    losses: list[float] = []

    def note(trainer: Engine, evaluator: Engine, state: TrainingState) -> None:
        trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: losses.append(float(trainer.state.output)))

    run_task(SegmentationTask(build_inputs(validation=0)), StepBudget(3), attach=[note])
    assert len(losses) == 3


def test_training_without_validation_cases_has_no_best(build_inputs: InputsBuilder) -> None:
    result = run_task(SegmentationTask(build_inputs(validation=0)), StepBudget(1))
    assert result.rows == []
    assert math.isnan(result.best_score)


def test_damaged_patch_stops_the_training_before_anything_is_delivered(build_inputs: InputsBuilder) -> None:
    class Broken:
        """A prepared case whose voxels are NaN."""

        def __init__(self, case: StoredCase) -> None:
            self.case = case

        def __getattr__(self, name: str) -> Any:
            return getattr(self.case, name)

        def image(self) -> Any:
            return np.full((1, *self.case.shape), np.nan, np.float32)

    inputs = build_inputs()
    inputs = replace(inputs, training=[Broken(case) for case in inputs.training])  # type: ignore[misc]
    with pytest.raises(TrainingError, match="training loss must be finite, got nan before step"):
        run_task(SegmentationTask(inputs), StepBudget(6))
    assert not inputs.folder.exists()


def test_training_without_cases_is_refused(build_inputs: InputsBuilder) -> None:
    with pytest.raises(TrainingError, match="at least one case, got none"):
        run_task(SegmentationTask(replace(build_inputs(), training=())), StepBudget(1))


@pytest.mark.parametrize(
    ("network", "settings"),
    [
        ({"deep_supervision": True}, {}),
        ({"norm": "batch"}, {"optimiser": "sgd", "learning_rate": 1e-3}),
        ({}, {"precision": "bf16"}),
    ],
    ids=["deep supervision", "batch norm and SGD", "bfloat16"],
)
def test_other_kinds_of_training_run(
    build_inputs: InputsBuilder, network: dict[str, Any], settings: dict[str, Any]
) -> None:
    inputs = build_inputs(network=network, **settings)
    result = run_task(SegmentationTask(inputs), StepBudget(2))
    assert result.steps == 2
    assert all(0 <= row.values["dice"] <= 1 for row in result.rows)


def test_pictures_are_trained_in_2d(build_inputs: InputsBuilder) -> None:
    flat = {"spatial_dims": 2, "strides": ((1, 1), (2, 2)), "kernels": ((3, 3), (3, 3))}
    inputs = build_inputs(patch_size=(16, 16, 1), network=flat, inference={"patch_size": (16, 16, 1)})
    result = run_task(SegmentationTask(inputs), StepBudget(2))
    assert {row.label for row in result.rows} == {"liver", "kidney_right", "kidney_left"}


@pytest.mark.parametrize(
    ("cases", "patches_per_case", "batch_size", "expected"), [(10, 1, 4, 3), (10, 2, 4, 5), (1, 1, 16, 1), (4, 3, 2, 6)]
)
def test_epoch_gives_every_case_its_patches_once(
    build_inputs: InputsBuilder, cases: int, patches_per_case: int, batch_size: int, expected: int
) -> None:
    config = build_inputs(patches_per_case=patches_per_case, batch_size=batch_size).config
    assert steps_per_epoch(cases, config) == expected
