"""Whole trainings of a slice classifier, a few steps long, by the engine that also trains segmentation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from medseg.errors import TrainingError
from medseg.inference.classification import slice_probabilities
from medseg.networks.classification import SliceClassifier
from medseg.targets import SliceClasses
from medseg.training import AugmentConfig, StepBudget
from medseg.training.checkpoint import CHECKPOINT_NAME, checkpoint_facts
from medseg.training.classification import ClassificationInputs, ClassificationTask, ValidatedCase
from medseg.training.engine import run_task
from medseg.training.task import Validation
from medseg.training.validation import build_evaluator
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score

from tests.training.classification.conftest import Toys
from tests.training.classification.toys import BOTH, SLICES, known, toy_truth

InputsBuilder = Callable[..., ClassificationInputs]
ONE_OF = SliceClasses(kind="multiclass", classes=("background", "liver", "spleen"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As for the trainings of segmentation."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class PowerCutError(Exception):
    """Stops a training from outside."""


def cut_at(step: int) -> Callable[[float, float], None]:
    count = [0]

    def on_step(progress: float, loss: float) -> None:
        count[0] += 1
        if count[0] == step:
            raise PowerCutError

    return on_step


class Notes:
    """Records what it receives."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.validations: list[tuple[int, Validation]] = []

    def on_report(self, step: int, values: dict[str, float]) -> None:
        assert all(math.isfinite(value) for value in values.values())
        self.steps.append(step)

    def on_validation(self, step: int, validation: Validation) -> None:
        self.validations.append((step, validation))


def weights(inputs: ClassificationInputs, name: str = "last") -> bytes:
    return (inputs.folder / "model" / f"{name}.safetensors").read_bytes()


def trained(inputs: ClassificationInputs) -> SliceClassifier:
    network = SliceClassifier(inputs.network)
    network.load_state_dict(load_file(inputs.folder / "model" / "last.safetensors"))
    return network


def test_slices_of_scans_that_run_any_way_are_told_apart(build_inputs: InputsBuilder) -> None:
    inputs = build_inputs(validations=1, slices=None)
    outcome = run_task(ClassificationTask(inputs), StepBudget(40))
    assert outcome.last is not None
    assert outcome.last.score > 0.95
    assert outcome.best_score == outcome.last.score


def test_score_is_the_mean_auroc_of_the_known_slices(build_inputs: InputsBuilder) -> None:
    """Half of the truth is hidden; scikit-learn sees only the other half."""
    inputs = build_inputs()
    rng = np.random.default_rng(0)
    truth = {
        name: known(np.where(rng.random(targets.slices.shape) < 0.5, targets.slices, -1), targets.study)
        for name, targets in inputs.truth.items()
    }
    task = ClassificationTask(replace(inputs, truth=truth))
    torch.manual_seed(0)
    evaluator = build_evaluator(task, task.build())
    evaluator.run(task.validation_cases)
    validation = evaluator.state.validation
    values = np.concatenate([case.scores.probabilities for case in validation.rows])
    shown = np.concatenate([truth[case.case_id].slices for case in inputs.validation])
    expected = [roc_auc_score(shown[shown[:, c] >= 0, c], values[shown[:, c] >= 0, c]) for c in range(2)]
    assert validation.score == pytest.approx(np.mean(expected))


def test_truth_that_nobody_knows_does_not_change_a_training(toys: Toys, build_inputs: InputsBuilder) -> None:
    """A case of unknown slices beside the others gives the same weights as the others alone."""
    _, stored, truth = toys
    unknown = known([[-1, -1]] * SLICES)
    one = build_inputs("one", validation=0)
    two = replace(
        build_inputs("two", validation=0),
        training=(*stored[:4], stored[5]),
        truth={**truth, stored[5].case_id: unknown},
    )
    for inputs in (one, two):
        run_task(ClassificationTask(inputs), StepBudget(4))
    assert ClassificationTask(one).steps_per_epoch == ClassificationTask(two).steps_per_epoch == math.ceil(36 / 8)
    assert weights(one) == weights(two)


def test_same_seed_gives_the_same_weights_bit_for_bit(build_inputs: InputsBuilder) -> None:
    settings: dict[str, Any] = {"augment": AugmentConfig()}
    one, two, other = (
        build_inputs("one", **settings), build_inputs("two", **settings), build_inputs("other", seed=1, **settings)
    )  # fmt: skip
    for number, inputs in enumerate((one, two, other)):
        torch.manual_seed(number)
        run_task(ClassificationTask(inputs), StepBudget(6))
    assert weights(one) == weights(two)
    assert weights(one, "best") == weights(two, "best")
    assert weights(one) != weights(other)


@pytest.mark.parametrize("pooling", ["none", "attention"])
def test_interrupted_and_resumed_training_equals_an_unbroken_one(build_inputs: InputsBuilder, pooling: str) -> None:
    """An epoch of five steps of slices, or of two of studies; the training ends after the first step of the second."""
    settings: dict[str, Any] = {"network": {"pooling": pooling}, "augment": AugmentConfig()}
    if pooling != "none":
        settings |= {"batch_size": 2, "slices_per_study": 4}
    whole, broken = (build_inputs(name, validations=2, **settings) for name in ("whole", "broken"))
    studies = {name: known(t.slices, [n % 2, 1 - n % 2]) for n, (name, t) in enumerate(whole.truth.items())}
    whole, broken = (replace(inputs, truth=studies) for inputs in (whole, broken))
    length = ClassificationTask(whole).steps_per_epoch
    steps = 2 * length + 1
    run_task(ClassificationTask(whole), StepBudget(steps))
    with pytest.raises(PowerCutError):
        run_task(ClassificationTask(broken), StepBudget(steps), on_step=cut_at(length + 1))
    assert checkpoint_facts(broken.folder / CHECKPOINT_NAME)["step"] == length + 1
    assert run_task(ClassificationTask(broken), StepBudget(steps), resume=True).steps == steps
    assert weights(broken) == weights(whole)
    assert weights(broken, "best") == weights(whole, "best")
    ours, theirs = (load_file(inputs.folder / CHECKPOINT_NAME) for inputs in (broken, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


def test_epochs_are_counted_by_the_slices_that_are_known(build_inputs: InputsBuilder) -> None:
    inputs, notes = build_inputs(validations=2), Notes()
    truth = {
        name: known(np.where(targets.slices.any(1, keepdims=True), targets.slices, -1))
        for name, targets in inputs.truth.items()
    }
    task = ClassificationTask(replace(inputs, truth=truth))
    shown = sum(int((truth[case.case_id].slices >= 0).any(axis=1).sum()) for case in inputs.training)
    assert task.steps_per_epoch == math.ceil(shown / 8) < math.ceil(36 / 8)
    outcome = run_task(task, StepBudget(2 * task.steps_per_epoch + 1), listeners=[notes])
    assert outcome.epochs == 3
    length = task.steps_per_epoch
    assert notes.steps == [length, 2 * length, 2 * length + 1]
    assert [step for step, _ in notes.validations] == [length, 2 * length + 1]


@pytest.mark.parametrize("pooling", ["none", "max"])
def test_training_without_any_known_class_is_refused(build_inputs: InputsBuilder, pooling: str) -> None:
    inputs = build_inputs(network={"pooling": pooling})
    truth = {name: known([[-1, -1]] * SLICES) for name in inputs.truth}
    with pytest.raises(TrainingError, match="at least one sample with a known class, got none; label some"):
        ClassificationTask(replace(inputs, truth=truth))


def test_validation_without_any_known_class_keeps_its_first_weights_as_best(build_inputs: InputsBuilder) -> None:
    inputs = build_inputs()
    hidden = {case.case_id: known([[-1, -1]] * SLICES) for case in inputs.validation}
    outcome = run_task(ClassificationTask(replace(inputs, truth={**inputs.truth, **hidden})), StepBudget(2))
    assert math.isnan(outcome.best_score)
    assert {path.name for path in (inputs.folder / "model").iterdir()} == {"last.safetensors", "best.safetensors"}


@pytest.mark.parametrize("pooling", ["max", "mean", "attention"])
def test_studies_are_learned_where_no_slice_is_known(toys: Toys, build_inputs: InputsBuilder, pooling: str) -> None:
    """Half of the studies show what a slice of theirs shows; their slices' truth is hidden."""
    _, stored, _ = toys
    inputs = build_inputs(network={"pooling": pooling}, batch_size=2, slices_per_study=5, validations=1)
    hidden = {
        case.case_id: known([[-1, -1]] * SLICES, [number % 2, 1 - number % 2]) for number, case in enumerate(stored)
    }
    task = ClassificationTask(replace(inputs, truth=hidden))
    assert len(task.samples) == 4
    assert task.steps_per_epoch == 2
    assert task.weights.tolist() == [1, 1]
    outcome = run_task(task, StepBudget(3))
    assert outcome.last is not None
    assert outcome.last.score == outcome.last.values["study_auroc/mean"]
    assert 0 <= outcome.last.score <= 1
    for case in outcome.last.rows:
        assert case.outputs.study is not None
        assert (case.outputs.weights is not None) == (pooling == "attention")
        logits = case.outputs.slices
        if pooling == "max":
            np.testing.assert_allclose(case.outputs.study, logits.max(axis=0), rtol=1e-6)
        elif pooling == "mean":
            np.testing.assert_allclose(case.outputs.study, logits.mean(axis=0), rtol=1e-5)
        else:
            assert case.outputs.weights.sum() == pytest.approx(1)
            # A linear head of the weighted features is the weighted sum of the slices' logits.
            np.testing.assert_allclose(case.outputs.study, case.outputs.weights @ logits, rtol=1e-4, atol=1e-5)


def test_study_targets_teach_what_the_studies_show(toys: Toys, build_inputs: InputsBuilder) -> None:
    _, stored, _ = toys
    inputs = build_inputs(
        network={"pooling": "max"}, batch_size=4, slices_per_study=SLICES, targets=SliceClasses(classes=("liver",))
    )
    # Only pictures decide: the study is positive where its slices are bright, and two studies are of dark slices alone.
    dark = {case.case_id: known([[-1]] * SLICES, [number % 2]) for number, case in enumerate(stored)}

    class Dim:
        """A case whose liver is not in the picture."""

        def __init__(self, case: Any) -> None:
            self.case = case

        def __len__(self) -> int:
            return len(self.case)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.case, name)

        def read(self, start: int, stop: int) -> torch.Tensor:
            return self.case.read(start, stop).clamp(max=0.5)

        def stack(self) -> torch.Tensor:
            return self.case.stack().clamp(max=0.5)

    cases: list[Any] = [case if number % 2 else Dim(case) for number, case in enumerate(stored)]
    outcome = run_task(
        ClassificationTask(replace(inputs, truth=dark, training=cases[:4], validation=cases[4:])), StepBudget(25)
    )
    assert outcome.last is not None
    assert outcome.last.score == 1.0


@pytest.mark.parametrize("context", [1, 2])
def test_neighbours_are_further_channels(toys: Toys, build_inputs: InputsBuilder, context: int) -> None:
    from tests.preprocess.classification.scans import slice_config

    inputs = build_inputs(slices=slice_config(context=context))
    assert inputs.network.in_channels == 2 * context + 1
    outcome = run_task(ClassificationTask(inputs), StepBudget(2))
    assert outcome.last is not None
    assert math.isfinite(outcome.last.score)


def test_one_class_per_slice_is_trained_with_a_softmax(toys: Toys, build_inputs: InputsBuilder) -> None:
    cases, stored, _ = toys
    inputs = replace(build_inputs(targets=ONE_OF, validations=1), truth=toy_truth(stored, cases, ONE_OF))
    outcome = run_task(ClassificationTask(inputs), StepBudget(40))
    assert outcome.last is not None
    for case in outcome.last.rows:
        np.testing.assert_allclose(case.scores.probabilities.sum(axis=1), 1)
    assert outcome.last.score > 0.9


def test_balance_decides_whether_classes_weigh_differently(build_inputs: InputsBuilder) -> None:
    inputs = build_inputs()
    rows = np.concatenate([inputs.truth[case.case_id].slices for case in inputs.training])
    negatives, positives = (rows == 0).sum(axis=0), (rows == 1).sum(axis=0)
    np.testing.assert_allclose(ClassificationTask(inputs).weights, negatives / positives)
    np.testing.assert_allclose(ClassificationTask(inputs).shift, np.log(negatives / positives))
    assert ClassificationTask(build_inputs(balance=False)).weights.tolist() == [1, 1]
    assert ClassificationTask(build_inputs(balance=False)).shift.tolist() == [0, 0]


def test_validation_cases_do_not_weigh_classes(toys: Toys, build_inputs: InputsBuilder) -> None:
    inputs = build_inputs()
    other = {case.case_id: known([[1, 1]] * SLICES) for case in inputs.validation}
    changed = replace(inputs, truth={**inputs.truth, **other})
    assert ClassificationTask(inputs).weights.tolist() == ClassificationTask(changed).weights.tolist()


def test_mean_probability_is_the_prevalence_although_rare_slices_weigh_ten_times(
    toys: Toys, build_inputs: InputsBuilder
) -> None:
    """Five slices of 54 are positive whatever they show, so that their share is the best that can be said."""
    _, stored, _ = toys
    rng = np.random.default_rng(3)
    rows = np.zeros((6 * SLICES, 1), int)
    rows[rng.choice(len(rows), 5, replace=False)] = 1
    truth = {case.case_id: known(part) for case, part in zip(stored, np.split(rows, 6), strict=True)}
    inputs = build_inputs(
        targets=SliceClasses(classes=("liver",)), learning_rate=3e-3, batch_size=27, average_decay=0.9
    )
    inputs = replace(inputs, training=stored, validation=(), truth=truth)
    task = ClassificationTask(inputs)
    assert task.weights.tolist() == pytest.approx([49 / 5])
    run_task(task, StepBudget(24))
    measured = task.validate_cases(trained(inputs), stored)
    corrected = np.concatenate([case.scores.probabilities for case in measured]).mean()
    raw = np.concatenate(
        [
            slice_probabilities(case.outputs.slices, shift=np.zeros(1), temperature=1, kind="multilabel")
            for case in measured
        ]
    ).mean()
    assert corrected == pytest.approx(5 / 54, abs=0.07)
    assert raw > 0.3


def test_scores_are_in_the_order_of_the_slice_axis_with_their_truth(toys: Toys, build_inputs: InputsBuilder) -> None:
    inputs = build_inputs()
    task = ClassificationTask(inputs)
    (first, _) = task.validate_cases(task.build(), inputs.validation)
    assert isinstance(first, ValidatedCase)
    stored = inputs.validation[0]
    assert stored.is_flipped
    np.testing.assert_array_equal(first.scores.truth, inputs.truth[stored.case_id].slices)
    np.testing.assert_array_equal(first.scores.positions_mm, stored.positions_mm)
    assert (first.scores.case_id, first.scores.patient_id) == (stored.case_id, stored.patient_id)
    assert len(first.scores.probabilities) == SLICES


def test_weights_from_elsewhere_are_loaded_into_the_fresh_network(build_inputs: InputsBuilder) -> None:
    def fill(network: SliceClassifier) -> None:
        torch.nn.init.constant_(network.head.bias, 5.0)

    network = ClassificationTask(replace(build_inputs(), initialise=fill)).build()
    assert network.get_parameter("head.bias").tolist() == [5.0, 5.0]


def test_augmented_pictures_depend_on_the_seed_and_the_step_alone(build_inputs: InputsBuilder) -> None:
    task = ClassificationTask(build_inputs(augment=AugmentConfig()))
    image = torch.randn(4, 3, 16, 16)
    assert torch.equal(task._augmented(image, 5), task._augmented(image, 5))
    assert not torch.equal(task._augmented(image, 5), task._augmented(image, 6))
    assert torch.equal(ClassificationTask(build_inputs())._augmented(image, 5), image)


def test_every_step_is_augmented_anew(build_inputs: InputsBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven steps of two epochs, of two seeds."""
    seeds: list[int] = []

    def note(image: torch.Tensor, label: torch.Tensor, config: AugmentConfig, *, seed: int, share: Any) -> Any:
        seeds.append(seed)
        return image, label

    monkeypatch.setattr("medseg.training.classification.task.augment_batch", note)
    for seed in (0, 1):
        run_task(ClassificationTask(build_inputs(f"{seed}", validation=0, seed=seed)), StepBudget(7))
    assert len(seeds) == len(set(seeds)) == 14


def test_other_networks_are_refused(build_inputs: InputsBuilder) -> None:
    task = ClassificationTask(build_inputs())
    with pytest.raises(TypeError, match="trains a SliceClassifier"):
        build_evaluator(task, torch.nn.Linear(1, 1))


def test_both_is_what_the_toys_show(toys: Toys) -> None:
    assert all(targets.slices.sum(axis=0).tolist() == [4, 2] for targets in toys[2].values())
    assert BOTH.classes == ("liver", "spleen")
