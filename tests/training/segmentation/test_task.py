"""Whole trainings, a few steps long."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from medseg.errors import CheckpointError, TrainingError
from medseg.networks.segmentation import UNet
from medseg.preprocess.segmentation import StoredCase
from medseg.records import CaseMetrics
from medseg.training import ClockBudget, CurvesListener, StepBudget
from medseg.training.checkpoint import checkpoint_facts
from medseg.training.engine import CHECKPOINT_NAME
from medseg.training.listener import Validation
from medseg.training.segmentation import SegmentationInputs, fit, steps_per_epoch
from safetensors.torch import load_file

InputsBuilder = Callable[..., SegmentationInputs]


class Notes:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.epochs: list[tuple[int, dict[str, float]]] = []
        self.validations: list[tuple[int, Sequence[CaseMetrics]]] = []

    def on_epoch(self, epoch: int, values: dict[str, float]) -> None:
        self.epochs.append((epoch, values))

    def on_validation(self, epoch: int, validation: Validation) -> None:
        self.validations.append((epoch, validation.rows))


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
        fit(inputs, StepBudget(6))
    assert weights(one) == weights(two)
    assert weights(one, "best") == weights(two, "best")
    assert weights(one) != weights(other)


def test_global_random_state_does_not_change_a_training(build_inputs: InputsBuilder) -> None:
    one, two = build_inputs("one", validation=0), build_inputs("two", validation=0)
    torch.manual_seed(1)
    fit(one, StepBudget(2))
    torch.manual_seed(2)
    np.random.seed(3)  # noqa: NPY002 (the global state is what must not matter)
    fit(two, StepBudget(2))
    assert weights(one) == weights(two)


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_interrupted_and_resumed_training_equals_an_unbroken_one(build_inputs: InputsBuilder, optimiser: str) -> None:
    """Two steps an epoch, a checkpoint at steps 2 and 4, the power is cut at step 5."""
    whole, broken = (build_inputs(name, optimiser=optimiser, learning_rate=1e-3) for name in ("whole", "broken"))
    fit(whole, StepBudget(6))
    with pytest.raises(PowerCutError):
        fit(broken, StepBudget(6), on_step=cut_at(5))
    assert checkpoint_facts(broken.folder / CHECKPOINT_NAME)["step"] == 4
    seen: list[float] = []
    result = fit(broken, StepBudget(6), on_step=lambda progress, loss: seen.append(progress), resume=True)
    assert seen == pytest.approx([5 / 6, 1.0])
    assert (result.steps, result.epochs) == (6, 3)
    assert weights(broken) == weights(whole)
    assert weights(broken, "best") == weights(whole, "best")
    ours, theirs = (load_file(inputs.folder / CHECKPOINT_NAME) for inputs in (broken, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


def test_resumed_training_remembers_its_best_validation(build_inputs: InputsBuilder) -> None:
    inputs = build_inputs()
    with pytest.raises(PowerCutError):
        fit(inputs, StepBudget(6), on_step=cut_at(5))
    best = checkpoint_facts(inputs.folder / CHECKPOINT_NAME)["best_score"]
    assert 0 <= best < 1
    assert fit(inputs, StepBudget(6), resume=True).best_dice >= best


def test_loss_falls_and_the_organs_are_found(build_inputs: InputsBuilder) -> None:
    inputs = build_inputs(learning_rate=1e-2, validations=1, network={"channels": (8, 16)})
    losses: list[float] = []
    first = fit(build_inputs("first", learning_rate=1e-2), StepBudget(1))
    result = fit(inputs, StepBudget(60), on_step=lambda progress, loss: losses.append(loss))
    assert np.mean(losses[-10:]) < 0.75 * np.mean(losses[:5])
    liver = [next(row for row in rows if row.label == "liver").values["dice"] for rows in (first.rows, result.rows)]
    assert liver[1] > max(0.4, liver[0] + 0.2)


def test_weights_checkpoint_and_nothing_else_are_written(build_inputs: InputsBuilder) -> None:
    inputs = build_inputs()
    result = fit(inputs, StepBudget(4))
    files = sorted(str(path.relative_to(inputs.folder)) for path in inputs.folder.rglob("*") if path.is_file())
    assert files == [CHECKPOINT_NAME, "model/best.safetensors", "model/last.safetensors"]
    UNet(inputs.network).load_state_dict(load_file(inputs.folder / "model" / "last.safetensors"))
    assert result.steps == checkpoint_facts(inputs.folder / CHECKPOINT_NAME)["step"] == 4


def test_delivered_weights_are_the_average_and_not_the_last_step_s(build_inputs: InputsBuilder) -> None:
    inputs = build_inputs(validation=0)
    fit(inputs, StepBudget(3))
    checkpoint = load_file(inputs.folder / CHECKPOINT_NAME)
    last = load_file(inputs.folder / "model" / "last.safetensors")
    assert all(torch.equal(tensor, checkpoint[f"average.module.{name}"]) for name, tensor in last.items())
    assert any(not torch.equal(tensor, checkpoint[f"network.{name}"]) for name, tensor in last.items())


def test_listeners_hear_of_every_epoch_and_validation(build_inputs: InputsBuilder) -> None:
    inputs, notes = build_inputs(), Notes()
    result = fit(inputs, StepBudget(6), listeners=[notes])
    assert [epoch for epoch, _ in notes.epochs] == [1, 2, 3]
    for _, values in notes.epochs:
        assert set(values) == {"train_loss", "learning_rate", "epoch_seconds", "elapsed_seconds"}
        assert all(math.isfinite(value) and value >= 0 for value in values.values())
    assert [epoch for epoch, _ in notes.validations] == [1, 2, 3]
    for _, rows in notes.validations:
        assert [row.label for row in rows] == ["liver", "kidney_right", "kidney_left"]
        assert {row.case_id for row in rows} == {inputs.validation[0].case_id}
    assert notes.validations[-1][1] == result.rows


def test_mean_of_the_steps_is_the_epoch_s_loss(build_inputs: InputsBuilder) -> None:
    notes, losses = Notes(), []
    fit(build_inputs(validation=0), StepBudget(4), listeners=[notes], on_step=lambda p, loss: losses.append(loss))
    expected = [np.mean(losses[:2]), np.mean(losses[2:])]
    assert [values["train_loss"] for _, values in notes.epochs] == pytest.approx(expected, rel=1e-5)


def test_unfinished_last_epoch_is_reported_too(build_inputs: InputsBuilder) -> None:
    notes = Notes()
    result = fit(build_inputs(validation=0), StepBudget(3), listeners=[notes])
    assert [epoch for epoch, _ in notes.epochs] == [1, 2]
    assert (result.steps, result.epochs) == (3, 2)


def test_curves_hold_every_epoch_once_although_a_resumed_run_repeats_some(build_inputs: InputsBuilder) -> None:
    """The checkpoint is of epoch 2; the power is cut in epoch 4, so epoch 3 is trained twice."""
    inputs = build_inputs(validation=0, validations=2)
    curves = CurvesListener(inputs.folder / "curves.csv")
    with pytest.raises(PowerCutError):
        fit(inputs, StepBudget(8), listeners=[curves], on_step=cut_at(7))
    assert checkpoint_facts(inputs.folder / CHECKPOINT_NAME)["step"] == 4
    before = curves.path.read_text(encoding="utf-8").splitlines()
    fit(inputs, StepBudget(8), listeners=[curves], resume=True)
    lines = curves.path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "epoch,train_loss,learning_rate,epoch_seconds,elapsed_seconds"
    assert [line.split(",")[0] for line in before[1:]] == ["1", "2", "3"]
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3", "4"]
    assert lines[:3] == before[:3]
    assert lines[3].split(",")[1:3] == before[3].split(",")[1:3]


def test_training_without_validation_cases_has_no_best(build_inputs: InputsBuilder) -> None:
    inputs, notes = build_inputs(validation=0), Notes()
    result = fit(inputs, StepBudget(2), listeners=[notes])
    assert result.rows == []
    assert math.isnan(result.best_dice)
    assert notes.validations == []
    assert sorted(path.name for path in (inputs.folder / "model").iterdir()) == ["last.safetensors"]


def test_loss_that_is_not_finite_stops_the_training(build_inputs: InputsBuilder) -> None:
    inputs = build_inputs(learning_rate=1e30, gradient_clip=1e30, warmup=0.0, network={"norm": "none"})
    with pytest.raises(TrainingError, match=r"training loss must be finite, got .*lower learning_rate in the plan"):
        fit(inputs, StepBudget(12))


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
    with pytest.raises(TrainingError, match="training loss must be finite, got nan in epoch 1"):
        fit(inputs, StepBudget(6))
    assert not inputs.folder.exists()


def test_training_without_cases_is_refused(build_inputs: InputsBuilder) -> None:
    with pytest.raises(TrainingError, match="at least one case, got none"):
        fit(replace(build_inputs(), training=()), StepBudget(1))


def test_resuming_without_a_checkpoint_is_refused(build_inputs: InputsBuilder) -> None:
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors: must fit this training"):
        fit(build_inputs(), StepBudget(1), resume=True)


def test_resuming_a_finished_training_changes_no_weight(build_inputs: InputsBuilder) -> None:
    inputs = build_inputs()
    fit(inputs, StepBudget(2))
    before = weights(inputs)
    assert fit(inputs, StepBudget(2), resume=True).steps == 2
    assert weights(inputs) == before


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
    result = fit(inputs, StepBudget(2))
    assert result.steps == 2
    assert all(0 <= row.values["dice"] <= 1 for row in result.rows)


def test_pictures_are_trained_in_2d(build_inputs: InputsBuilder) -> None:
    flat = {"spatial_dims": 2, "strides": ((1, 1), (2, 2)), "kernels": ((3, 3), (3, 3))}
    inputs = build_inputs(patch_size=(16, 16, 1), network=flat, inference={"patch_size": (16, 16, 1)})
    result = fit(inputs, StepBudget(2))
    assert {row.label for row in result.rows} == {"liver", "kidney_right", "kidney_left"}


@pytest.mark.parametrize(
    ("cases", "patches_per_case", "batch_size", "expected"), [(10, 1, 4, 3), (10, 2, 4, 5), (1, 1, 16, 1), (4, 3, 2, 6)]
)
def test_epoch_gives_every_case_its_patches_once(
    build_inputs: InputsBuilder, cases: int, patches_per_case: int, batch_size: int, expected: int
) -> None:
    config = build_inputs(patches_per_case=patches_per_case, batch_size=batch_size).config
    assert steps_per_epoch(cases, config) == expected


def test_checkpoint_says_how_far_the_training_is(build_inputs: InputsBuilder) -> None:
    inputs = build_inputs()
    fit(inputs, StepBudget(4))
    facts = checkpoint_facts(inputs.folder / CHECKPOINT_NAME)
    assert set(facts) >= {"step", "elapsed_s", "best_score", "last_validation"}
    assert facts["step"] == 4
    assert json.dumps(facts)


@pytest.mark.parametrize("validation", [0, 1])
def test_wall_clock_budget_is_kept(build_inputs: InputsBuilder, validation: int) -> None:
    inputs = build_inputs(validation=validation)
    start = time.monotonic()
    result = fit(inputs, ClockBudget(3.0, started=start))
    assert result.steps > 3
    assert 1.4 < time.monotonic() - start < 6
    assert 1.4 < result.seconds < 6
    assert len(result.rows) == 3 * validation
