"""What every training has, proven once with a training of one weight."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from ignite.handlers import EarlyStopping
from medseg.errors import CheckpointError, DeliveryError, TrainingError
from medseg.training import ClockBudget, CurvesListener, StepBudget, TrainingEvents, TrainingState, saving
from medseg.training.averaging import averaged_copy
from medseg.training.budget import TAIL_S
from medseg.training.checkpoint import CHECKPOINT_NAME, checkpoint_facts
from medseg.training.engine import Outcome, run_task
from medseg.training.schedule import learning_rate
from medseg.training.task import Validation
from safetensors.torch import load_file
from torch.optim import SGD, AdamW, Optimizer

from tests.training.toy_task import ToyTask, Weight, toy_loss

STEPS = 12  # four epochs of three, with a milestone after the second
HANDLERS = (
    ("STARTED", 0), ("EPOCH_STARTED", 0), ("EPOCH_STARTED", 2), ("GET_BATCH_STARTED", 4), ("ITERATION_STARTED", 7),
    ("ITERATION_COMPLETED", 0), ("ITERATION_COMPLETED", 5), ("ITERATION_COMPLETED", 11), ("REPORTED", 0),
    ("REPORTED", 1), ("MILESTONE", 0), ("EPOCH_COMPLETED", 0), ("EPOCH_COMPLETED", 2), ("TERMINATE", 0),
    ("COMPLETED", 0), ("evaluator ITERATION_COMPLETED", 1), ("evaluator COMPLETED", 0), ("evaluator COMPLETED", 1),
)  # fmt: skip


class PowerCutError(Exception):
    """Ends a training from outside."""


class Notes:
    """Writes down what is reported, in one list."""

    def __init__(self) -> None:
        self.all: list[tuple[Any, ...]] = []

    def on_step(self, progress: float, loss: float) -> None:
        self.all.append(("step", progress, loss))

    def on_report(self, step: int, values: dict[str, float]) -> None:
        self.all.append(("report", step, values))

    def on_validation(self, step: int, validation: Validation) -> None:
        self.all.append(("validation", step, validation))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [note[1:] for note in self.all if note[0] == kind]


def train(task: ToyTask, steps: int = STEPS, **arguments: Any) -> Outcome:
    """With curves, as the commands train."""
    arguments["listeners"] = [CurvesListener(task.folder / "curves.csv"), *arguments.get("listeners", ())]
    return run_task(task, StepBudget(steps), **arguments)


def facts_of(folder: Path) -> dict[str, Any]:
    return checkpoint_facts(folder / CHECKPOINT_NAME)


def files_of(folder: Path) -> dict[str, Any]:
    """All that a finished training leaves, without its times."""
    checkpoint = {name: tensor.tolist() for name, tensor in load_file(folder / CHECKPOINT_NAME).items()}
    facts = {name: value for name, value in facts_of(folder).items() if name != "elapsed_s"}
    weights = {path.name: path.read_bytes() for path in (folder / "model").iterdir()}
    curves = [line.split(",")[:3] for line in (folder / "curves.csv").read_text().splitlines()]
    return {"checkpoint": checkpoint, "facts": facts, "curves": curves, **weights}


def raise_once(error: BaseException, *, after: int = 0) -> Callable[..., None]:
    """A function of anything that raises at one of its calls, and never again."""
    calls = [0]

    def fail(*anything: Any) -> None:
        calls[0] += 1
        if calls[0] == after + 1:
            raise error

    return fail


def failing_at(name: str, error: BaseException, *, after: int = 0) -> Callable[..., None]:
    """An `attach` whose handler of an event raises once."""

    def attach(trainer: Engine, evaluator: Engine, state: TrainingState) -> None:
        engine = evaluator if name.startswith("evaluator ") else trainer
        event = {**Events.__members__, **TrainingEvents.__members__}[name.removeprefix("evaluator ")]
        fail = raise_once(error, after=after)
        engine.add_event_handler(event, lambda: fail())

    return attach


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an unbroken training leaves."""
    folder = tmp_path_factory.mktemp("whole")
    train(ToyTask(folder))
    return files_of(folder)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that moves when a test says so."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def passing(clock: list[float], seconds: float) -> Callable[..., None]:
    """A function of anything that takes some seconds of the clock."""

    def wait(*anything: Any) -> None:
        clock[0] += seconds

    return wait


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_weights_are_those_of_a_loop_written_out(tmp_path: Path, optimiser: str) -> None:
    """Schedule, optimiser, seed and average, each by its definition."""
    task = ToyTask(tmp_path, optimiser=optimiser, average_decay=0.3, learning_rate=0.01, warmup=0.3, seed=5)
    train(task)
    torch.manual_seed(5)
    network = Weight()
    average = deepcopy(network)
    made: Optimizer = (
        SGD(network.parameters(), 0.01, momentum=0.99, nesterov=True, weight_decay=1e-2)
        if optimiser == "sgd"
        else AdamW(network.parameters(), 0.01, weight_decay=1e-2, fused=True)
    )
    for step in range(STEPS):
        made.param_groups[0]["lr"] = learning_rate(step / STEPS, task.optimisation)
        made.zero_grad()
        toy_loss(network, step).backward()  # type: ignore[no-untyped-call]  # PyTorch's
        made.step()
        share = 1 - min(0.3, (1 + step) / (10 + step)) if step else 1.0
        for one, other in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            one.copy_(other) if share == 1 else one.lerp_(other, share)
    saved = load_file(tmp_path / CHECKPOINT_NAME)
    delivered = load_file(tmp_path / "model" / "last.safetensors")
    for name in ("weight", "mean"):
        assert torch.equal(saved[f"network.{name}"], network.state_dict()[name])
        assert torch.equal(delivered[name], average.state_dict()[name])
        assert torch.equal(saved[f"average.module.{name}"], average.state_dict()[name])
    assert int(saved["average.n_averaged"]) == STEPS


def test_weights_depend_on_the_seed_alone(tmp_path: Path) -> None:
    for name, seed, elsewhere in (("one", 0, 1), ("two", 0, 2), ("other", 1, 1)):
        torch.manual_seed(elsewhere)
        train(ToyTask(tmp_path / name, seed=seed))
        assert torch.initial_seed() == elsewhere
    one, two, other = (files_of(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert one["last.safetensors"] != other["last.safetensors"]


def test_steps_epochs_and_validations_are_reported_in_their_order(tmp_path: Path) -> None:
    notes = Notes()
    train(ToyTask(tmp_path), 11, listeners=[notes], on_step=notes.on_step)
    epoch = ["step"] * 3 + ["report"]
    expected = [*epoch, *epoch, "validation", *epoch, *epoch[1:], "validation"]
    assert [note[0] for note in notes.all] == expected
    assert [progress for progress, _ in notes.of("step")] == pytest.approx([n / 11 for n in range(1, 12)])
    assert [step for step, _ in notes.of("report")] == [3, 6, 9, 11]
    assert [step for step, _ in notes.of("validation")] == [6, 11]


def test_epoch_s_numbers_are_the_mean_loss_the_last_rate_and_times(tmp_path: Path) -> None:
    notes, task = Notes(), ToyTask(tmp_path)
    train(task, 5, listeners=[notes], on_step=notes.on_step)
    losses = [loss for _, loss in notes.of("step")]
    (_, first), (_, cut) = notes.of("report")
    assert list(first) == ["epoch", "train_loss", "learning_rate", "steps_per_second", "elapsed_seconds"]
    assert first["train_loss"] == pytest.approx(sum(losses[:3]) / 3)
    assert cut["train_loss"] == pytest.approx(sum(losses[3:]) / 2)
    assert first["learning_rate"] == learning_rate(2 / 5, task.optimisation)
    assert (first["epoch"], cut["epoch"]) == (1, pytest.approx(5 / 3))
    assert 0 <= first["elapsed_seconds"] <= cut["elapsed_seconds"] < 60


def test_speed_is_that_of_the_steps_alone(tmp_path: Path, clock: list[float]) -> None:
    notes = Notes()
    train(ToyTask(tmp_path, before_forward=passing(clock, 2), on_case=passing(clock, 50)), listeners=[notes])
    assert [values["steps_per_second"] for _, values in notes.of("report")] == [0.5] * 4
    assert [values["elapsed_seconds"] for _, values in notes.of("report")] == [6.0, 12.0, 168.0, 174.0]


def test_validation_measures_the_average_on_every_case(tmp_path: Path) -> None:
    cases: list[int] = []
    outcome = train(ToyTask(tmp_path, on_case=cases.append))
    assert cases == [1, 2, 3] * 2
    weight = float(load_file(tmp_path / "model" / "last.safetensors")["weight"])
    assert outcome.last is not None
    assert outcome.last.rows == pytest.approx([abs(weight * case - 1) for case in (1, 2, 3)])
    assert outcome.last.score == pytest.approx(-sum(outcome.last.rows) / 3)
    assert (outcome.steps, outcome.epochs) == (STEPS, 4)


@pytest.mark.parametrize(
    ("validations", "steps"), [(1, [12]), (2, [6, 12]), (3, [3, 9, 12]), (4, [3, 6, 9, 12]), (100, [3, 6, 9, 12])]
)
def test_validations_are_spread_over_the_budget_at_ends_of_epochs(
    tmp_path: Path, validations: int, steps: list[int]
) -> None:
    """Of three, two are on the way, due at 20 % and 60 %: half of 40 % at first, so that something is seen early."""
    notes = Notes()
    train(ToyTask(tmp_path, validations=validations), listeners=[notes])
    assert [step for step, _ in notes.of("validation")] == steps


@pytest.mark.parametrize("kind", ["steps", "clock"])
def test_epoch_longer_than_the_budget_is_reported_and_validated_early(
    tmp_path: Path, clock: list[float], kind: str
) -> None:
    """First loss and first validation come within a tenth of the budget, and later ones all along."""
    notes = Notes()
    task = ToyTask(tmp_path, before_forward=passing(clock, 1), validations=10, steps_per_epoch=10**6)
    budget = StepBudget(400) if kind == "steps" else ClockBudget(400 + TAIL_S, started=1000.0)
    outcome = run_task(task, budget, listeners=[CurvesListener(tmp_path / "curves.csv"), notes])
    assert (outcome.steps, outcome.epochs) == (400, 1)
    reports, validations = ([step for step, _ in notes.of(what)] for what in ("report", "validation"))
    assert reports == list(range(10, 401, 10))
    assert validations == [30, 70, 110, 150, 190, 240, 280, 320, 360, 400]
    assert (tmp_path / "curves.csv").read_text().splitlines()[1].startswith("10,1e-05,")
    assert notes.all[0][0] == "report"


def test_long_epoch_that_was_interrupted_goes_on_in_its_middle(tmp_path: Path) -> None:
    """In a step after a report, in a listener, and in a validation."""
    settings: dict[str, Any] = {"steps_per_epoch": 10**6, "validations": 4}
    train(ToyTask(tmp_path / "whole", **settings), 120)
    whole = files_of(tmp_path / "whole")
    for name, attach in (
        ("step", failing_at("ITERATION_STARTED", PowerCutError(), after=47)),
        ("milestone", failing_at("MILESTONE", PowerCutError())),
        ("validation", failing_at("evaluator ITERATION_COMPLETED", PowerCutError(), after=4)),
    ):
        task = ToyTask(tmp_path / name, **settings)
        with pytest.raises(PowerCutError):
            train(task, 120, attach=[attach])
        train(task, 120, resume=True)
        assert files_of(tmp_path / name) == whole, name


def test_wall_clock_ends_the_steps_with_time_left_for_the_last_validation(tmp_path: Path, clock: list[float]) -> None:
    """A step takes 1 s and a case 2 s; of 60 s, 6 are for each validation, and a few for the rest."""
    notes = Notes()
    task = ToyTask(tmp_path, before_forward=passing(clock, 1), on_case=passing(clock, 2), validations=1)
    outcome = run_task(task, ClockBudget(60.0, started=1000.0), listeners=[notes])
    assert outcome.steps == 60 - 2 - (6 + TAIL_S)
    assert outcome.seconds == 60 - TAIL_S
    assert [step for step, _ in notes.of("validation")] == [52 - TAIL_S]


def test_validations_take_at_most_a_small_share_of_the_wall_clock(tmp_path: Path, clock: list[float]) -> None:
    """They would come at every 10.5 % of the clock, but each takes 1.9 % of it, so that 23.75 % have to lie between."""
    notes, cases = Notes(), []
    task = ToyTask(
        tmp_path,
        before_forward=passing(clock, 1),
        on_case=lambda case: (cases.append(case), passing(clock, 1.9)()),
        validations=10,
    )
    outcome = run_task(task, ClockBudget(300.0, started=1000.0), listeners=[notes])
    assert cases == [1, *[1, 2, 3] * 5]
    steps = [step for step, _ in notes.of("validation")]
    usable = 300 - 1.9 - (3 * 1.9 + TAIL_S)
    assert steps[0] == pytest.approx(usable * 0.5 / 9.5, abs=3)
    assert steps[1] - steps[0] >= 0.2375 * usable - 3 * 1.9
    assert outcome.seconds == pytest.approx(300 - TAIL_S, abs=1)


def test_dear_validation_measures_some_cases_on_the_way_and_what_it_can_at_the_end(
    tmp_path: Path, clock: list[float]
) -> None:
    """A case takes 10 s of 200: one, always the same, is within 2 % or the least; four are within 20 %."""
    cases: list[int] = []
    task = ToyTask(
        tmp_path,
        validation=tuple(range(1, 9)),
        before_forward=passing(clock, 1),
        on_case=lambda case: (cases.append(case), passing(clock, 10)()),
        validations=10,
    )
    outcome = run_task(task, ClockBudget(200.0, started=1000.0))
    at_the_end = cases[-4:]
    assert set(cases[:-4]) == {1}
    assert len(cases) <= 1 + 2 + 4
    assert (at_the_end[0], len(set(at_the_end)), at_the_end) == (1, 4, sorted(at_the_end))
    assert max(at_the_end) > 5
    assert outcome.validated_cases == 4
    assert outcome.seconds == pytest.approx(200 - TAIL_S, abs=1)


def test_scores_compare_where_the_last_validation_measures_more_cases(tmp_path: Path, clock: list[float]) -> None:
    """The first case gets worse, the others are perfect: the best weights are those of the first validation."""
    worse = iter(range(100))
    task = ToyTask(
        tmp_path,
        validation=tuple(range(1, 9)),
        before_forward=passing(clock, 1),
        on_case=passing(clock, 10),
        score=lambda rows: 1.0 if len(rows) > 1 else -float(next(worse)),
        validations=3,
    )
    outcome = run_task(task, ClockBudget(200.0, started=1000.0))
    assert outcome.best_score == 0.0
    assert outcome.last is not None
    assert outcome.last.score == 1.0


def test_last_validation_ends_in_time_on_a_machine_that_has_become_slow(tmp_path: Path, clock: list[float]) -> None:
    """A case took 1 s when the time was reserved, and takes 20 s now; one at least is measured."""
    seen: list[int] = []

    def wait(case: int) -> None:
        seen.append(case)
        clock[0] += 1 if len(seen) == 1 else 20

    task = ToyTask(tmp_path, validation=(1, 2, 3, 4), before_forward=passing(clock, 1), on_case=wait, validations=1)
    outcome = run_task(task, ClockBudget(100.0, started=1000.0))
    assert outcome.seconds <= 100 - 4 - TAIL_S + 20
    assert (outcome.validated_cases, seen) == (1, [1, 1])


def test_validation_is_not_followed_closely_by_that_at_the_end(tmp_path: Path, clock: list[float]) -> None:
    """That at 71 % of 38 s would leave less than 11 s, twice what one takes."""
    notes = Notes()
    task = ToyTask(tmp_path, before_forward=passing(clock, 1), on_case=passing(clock, 1.8), validations=4)
    outcome = run_task(task, ClockBudget(270.0, started=1000.0), listeners=[notes])
    last = [step for step, _ in notes.of("validation")][-2]
    assert outcome.steps - last > 2 * 5.4


def test_time_kept_back_is_that_of_the_last_validation(tmp_path: Path, clock: list[float]) -> None:
    """The first case takes 1 s, so that 3 s are expected; all three take 21 s."""

    def wait(case: int) -> None:
        clock[0] += 1 if case == 1 else 10

    task = ToyTask(tmp_path, before_forward=passing(clock, 1), on_case=wait, validations=4)
    outcome = run_task(task, ClockBudget(300.0, started=1000.0))
    assert outcome.seconds == 300 - TAIL_S


def test_best_weights_are_those_of_the_best_validation(tmp_path: Path) -> None:
    scores = [0.2, 0.7, 0.5, 0.6]
    seen: list[float] = []

    def note(trainer: Engine, evaluator: Engine, state: TrainingState) -> None:
        weight = state.average.module.get_parameter("weight")
        evaluator.add_event_handler(Events.COMPLETED, lambda: seen.append(float(weight.detach())))

    coming = iter(scores)
    outcome = train(ToyTask(tmp_path, validations=4, score=lambda rows: next(coming)), attach=[note])
    best, last = (load_file(tmp_path / "model" / f"{name}.safetensors")["weight"] for name in ("best", "last"))
    assert (float(best), float(last)) == (seen[1], seen[3])
    assert (outcome.best_score, facts_of(tmp_path)["best_score"]) == (0.7, 0.7)
    assert outcome.last is not None
    assert outcome.last.score == 0.6


def test_validation_without_a_score_keeps_its_first_weights_as_best(tmp_path: Path) -> None:
    outcome = train(ToyTask(tmp_path, score=lambda rows: -math.inf))
    assert math.isnan(outcome.best_score)
    assert (tmp_path / "model" / "best.safetensors").exists()


def test_score_that_is_no_number_is_beaten_by_any(tmp_path: Path) -> None:
    coming = iter([math.nan, 0.5, math.nan, 0.4])
    outcome = train(ToyTask(tmp_path, validations=4, score=lambda rows: next(coming)))
    assert outcome.best_score == 0.5


def test_number_of_validated_cases_stands_beside_every_validation(tmp_path: Path) -> None:
    notes = Notes()
    train(ToyTask(tmp_path), listeners=[notes])
    assert [validation.values["validated_cases"] for _, validation in notes.of("validation")] == [3, 3]


def test_longer_budget_is_validated_on_the_way_again(tmp_path: Path) -> None:
    train(ToyTask(tmp_path, validations=4), 12)
    notes = Notes()
    train(ToyTask(tmp_path, validations=4), 48, listeners=[notes], resume=True)
    assert len(notes.of("validation")) >= 3


def test_fewer_validation_cases_at_a_resume_are_each_measured_once(tmp_path: Path) -> None:
    train(ToyTask(tmp_path, validation=(1, 2, 3)), 6)
    cases: list[int] = []
    train(ToyTask(tmp_path, validation=(1, 2), on_case=cases.append), 12, resume=True)
    assert cases == [1, 2] * (len(cases) // 2)


def test_validation_that_costs_too_much_is_left_to_the_end(tmp_path: Path, clock: list[float]) -> None:
    """A case takes 15 s of 120 s, more than the 8 % that validations on the way may take."""
    notes = Notes()
    task = ToyTask(tmp_path, validation=(1,), before_forward=passing(clock, 1), on_case=passing(clock, 15))
    outcome = run_task(task, ClockBudget(120.0, started=1000.0), listeners=[notes])
    assert [step for step, _ in notes.of("validation")] == [outcome.steps]


def test_training_without_validation_cases_has_no_best(tmp_path: Path) -> None:
    notes = Notes()
    outcome = train(ToyTask(tmp_path, validation=()), listeners=[notes])
    assert outcome.last is None
    assert math.isnan(outcome.best_score)
    assert notes.of("validation") == []
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["last.safetensors"]


def test_weights_checkpoint_and_nothing_else_are_written(tmp_path: Path) -> None:
    run_task(ToyTask(tmp_path), StepBudget(4))
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == [CHECKPOINT_NAME, "model/best.safetensors", "model/last.safetensors"]
    assert set(facts_of(tmp_path)) == {
        "format",
        "optimiser",
        "step",
        "elapsed_s",
        "total_s",
        "progress",
        "best_score",
        "last_validation",
        "compared_cases",
        "reported",
        "curve",
        "settled_step",
        "final_cases",
    }
    assert facts_of(tmp_path)["step"] == 4


@pytest.mark.parametrize(
    ("validations", "step_s", "saving_s", "expected"),
    [
        (2, 0, 0, [0, 6, 6]),
        (1, 0, 0, [0, 0, 0]),
        (1, 1.1, 0, [0, 5, 5]),  # at least 5 s lie between two
        (1, 2, 0.05, [3, 6, 9]),
        (1, 2, 0.07, [3, 3, 7]),  # 7 s, a hundred times 0.07
        (1, 101, 60, [1, 4, 7]),  # at most 300 s
    ],
)
def test_checkpoints_come_with_the_milestones_and_take_a_hundredth_of_the_time(
    tmp_path: Path,
    clock: list[float],
    monkeypatch: pytest.MonkeyPatch,
    validations: int,
    step_s: float,
    saving_s: float,
    expected: list[int],
) -> None:
    """The step of the checkpoint after each of the first three epochs; 0 where there is none."""
    saved: list[int] = []
    path = tmp_path / CHECKPOINT_NAME
    real = saving.save_checkpoint
    monkeypatch.setattr(
        saving, "save_checkpoint", lambda *parts, **facts: (passing(clock, saving_s)(), real(*parts, **facts))
    )

    def note(trainer: Engine, evaluator: Engine, state: TrainingState) -> None:
        trainer.add_event_handler(
            Events.EPOCH_COMPLETED, lambda: saved.append(facts_of(tmp_path)["step"] if path.exists() else 0)
        )

    train(ToyTask(tmp_path, before_forward=passing(clock, step_s), validations=validations), attach=[note])
    assert saved == expected
    assert facts_of(tmp_path)["step"] == STEPS


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_power_cut_costs_the_steps_since_the_last_checkpoint(tmp_path: Path, optimiser: str) -> None:
    """The machine stops in the eleventh step, and nothing runs any more; the checkpoint is of the sixth."""
    train(ToyTask(tmp_path / "whole", optimiser=optimiser))

    def cut(batch: int) -> None:
        if batch == 10:
            shutil.copytree(tmp_path / "running", tmp_path / "broken")

    train(ToyTask(tmp_path / "running", before_forward=cut, optimiser=optimiser))
    assert facts_of(tmp_path / "broken")["step"] == 6
    seen: list[float] = []
    task = ToyTask(tmp_path / "broken", optimiser=optimiser)
    outcome = train(task, on_step=lambda progress, loss: seen.append(progress), resume=True)
    assert seen == pytest.approx([n / STEPS for n in range(7, STEPS + 1)])
    assert (outcome.steps, outcome.epochs) == (STEPS, 4)
    assert files_of(tmp_path / "broken") == files_of(tmp_path / "whole")


@pytest.mark.parametrize(("event", "after"), HANDLERS)
def test_error_in_a_handler_of_the_user_s_leaves_a_run_to_go_on_from(
    tmp_path: Path, whole: dict[str, Any], event: str, after: int
) -> None:
    """After the resume all is as if nothing had happened: weights, checkpoint, curves and best weights."""
    task = ToyTask(tmp_path)
    with pytest.raises(PowerCutError):
        train(task, attach=[failing_at(event, PowerCutError(), after=after)])
    has_steps = (event, after) not in (("STARTED", 0), ("EPOCH_STARTED", 0))
    assert (tmp_path / CHECKPOINT_NAME).exists() == has_steps
    train(task, resume=has_steps)
    assert files_of(tmp_path) == whole


@pytest.mark.parametrize("step", [1, 3, 5, 6, 11, 12])
def test_error_after_any_step_loses_no_step(tmp_path: Path, whole: dict[str, Any], step: int) -> None:
    task, seen = ToyTask(tmp_path / "broken"), []
    with pytest.raises(PowerCutError):
        train(task, on_step=raise_once(PowerCutError(), after=step - 1))
    assert facts_of(task.folder)["step"] == step
    train(task, on_step=lambda progress, loss: seen.append(progress), resume=True)
    assert len(seen) == STEPS - step
    assert files_of(task.folder) == whole


@pytest.mark.parametrize("error", [PowerCutError(), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
@pytest.mark.parametrize(("place", "batch"), [("before_forward", 6), ("before_backward", 1), ("before_backward", 8)])
def test_error_within_a_step_goes_on_from_the_step_before(
    tmp_path: Path, whole: dict[str, Any], place: str, batch: int, error: BaseException
) -> None:
    """The running mean has seen the batch already, and must not see it twice."""
    with pytest.raises(type(error)):
        train(ToyTask(tmp_path, **{place: raise_once(error, after=batch)}))
    assert facts_of(tmp_path)["step"] == batch
    train(ToyTask(tmp_path), resume=True)
    assert files_of(tmp_path) == whole


def test_error_while_the_weights_change_leaves_the_checkpoint_before(
    tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The optimiser has stepped for the eighth time, and the average has not followed."""
    fail = raise_once(KeyboardInterrupt(), after=7)
    moving_average = type(averaged_copy(Weight(), decay=0.5))
    with monkeypatch.context() as patched:
        follow = moving_average.update_parameters
        patched.setattr(moving_average, "update_parameters", lambda *both: (fail(), follow(*both)))
        with pytest.raises(KeyboardInterrupt):
            train(ToyTask(tmp_path))
    assert facts_of(tmp_path)["step"] == 6
    train(ToyTask(tmp_path), resume=True)
    assert files_of(tmp_path) == whole


@pytest.mark.parametrize("case", [0, 2, 3])
def test_error_in_a_validation_has_it_repeated(tmp_path: Path, whole: dict[str, Any], case: int) -> None:
    with pytest.raises(PowerCutError):
        train(ToyTask(tmp_path / "broken", on_case=raise_once(PowerCutError(), after=case)))
    assert facts_of(tmp_path / "broken")["step"] == (6 if case < 3 else STEPS)
    cases: list[int] = []
    train(ToyTask(tmp_path / "broken", on_case=cases.append), resume=True)
    assert cases == [1, 2, 3] * (2 if case < 3 else 1)
    assert files_of(tmp_path / "broken") == whole


def test_validation_is_whole_after_one_of_the_user_s_that_failed(tmp_path: Path, whole: dict[str, Any]) -> None:
    """Ignite alone takes the failed run for unfinished, and ends it without a word."""

    def probe(trainer: Engine, evaluator: Engine, state: TrainingState) -> None:
        @trainer.on(Events.ITERATION_COMPLETED(once=2))
        def run() -> None:
            with suppress(PowerCutError):
                evaluator.run((1, 2, 3))

    notes, cases = Notes(), []
    fail = raise_once(PowerCutError(), after=1)
    task = ToyTask(tmp_path, on_case=lambda case: (cases.append(case), fail()))
    train(task, attach=[probe], listeners=[notes])
    assert cases == [1, 2] + [1, 2, 3] * 2
    assert [step for step, _ in notes.of("validation")] == [6, 12]
    assert files_of(tmp_path) == whole


@pytest.mark.parametrize("method", ["on_report", "on_validation"])
@pytest.mark.parametrize("after", [0, 1])
def test_error_in_a_listener_has_its_report_repeated(
    tmp_path: Path, whole: dict[str, Any], method: str, after: int
) -> None:
    notes, failing = Notes(), Notes()
    setattr(failing, method, raise_once(PowerCutError(), after=after))
    task = ToyTask(tmp_path / "broken")
    with pytest.raises(PowerCutError):
        train(task, listeners=[failing, notes])
    train(task, listeners=[notes], resume=True)
    assert [step for step, _ in notes.of("report")] == [3, 6, 9, 12]
    assert [step for step, _ in notes.of("validation")] == [6, 12]
    assert files_of(task.folder) == whole


def test_error_before_the_first_step_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(PowerCutError):
        run_task(ToyTask(tmp_path / "run", before_backward=raise_once(PowerCutError())), StepBudget(STEPS))
    assert not (tmp_path / "run").exists()


def test_error_stays_what_it_was_where_no_checkpoint_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = raise_once(DeliveryError("the disk is full"))
    monkeypatch.setattr("medseg.training.saving.save_checkpoint", lambda *parts, **facts: full())
    with pytest.raises(PowerCutError) as caught:
        train(ToyTask(tmp_path), on_step=raise_once(PowerCutError(), after=4))
    assert caught.value.__notes__ == [
        "its last steps are lost, because no checkpoint could be written: the disk is full"
    ]


def swallow(trainer: Engine, evaluator: Engine, state: TrainingState) -> None:
    """Ignite ends a run without `COMPLETED` where `EXCEPTION_RAISED` has a handler that does not raise."""
    trainer.add_event_handler(Events.EXCEPTION_RAISED, lambda engine, error: None)


def test_error_that_a_handler_swallows_loses_no_step_either(tmp_path: Path, whole: dict[str, Any]) -> None:
    task = ToyTask(tmp_path / "broken", before_backward=raise_once(KeyboardInterrupt(), after=7))
    assert train(task, attach=[swallow]).steps == facts_of(task.folder)["step"] == 7
    train(ToyTask(tmp_path / "broken"), resume=True)
    assert files_of(tmp_path / "broken") == whole


def test_checkpoint_that_cannot_be_written_is_an_error_where_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = raise_once(DeliveryError("the disk is full"))
    monkeypatch.setattr("medseg.training.saving.save_checkpoint", lambda *parts, **facts: full())
    task = ToyTask(tmp_path, before_backward=raise_once(KeyboardInterrupt(), after=2))
    with pytest.raises(DeliveryError, match="the disk is full"):
        train(task, attach=[swallow])


def test_loss_that_is_not_finite_ends_the_training_and_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    task = ToyTask(tmp_path, scale=lambda batch: math.nan if batch == 7 else 1.0)
    with pytest.raises(
        TrainingError, match="training loss must be finite, got nan before step 10; lower learning_rate"
    ):
        train(task)
    assert facts_of(tmp_path)["step"] == 6
    for path in (tmp_path / CHECKPOINT_NAME, *(tmp_path / "model").iterdir()):
        assert all(bool(tensor.isfinite().all()) for tensor in load_file(path).values())
    assert train(ToyTask(tmp_path), resume=True).steps == STEPS


@pytest.mark.parametrize("scale", [math.nan, math.inf])
def test_other_errors_after_such_a_loss_leave_the_checkpoint_before_too(tmp_path: Path, scale: float) -> None:
    """The epoch whose report would have said so is not over."""
    task = ToyTask(tmp_path, scale=lambda batch: scale if batch == 6 else 1.0)
    with pytest.raises(PowerCutError):
        train(task, on_step=raise_once(PowerCutError(), after=6))
    assert facts_of(tmp_path)["step"] == 6


@pytest.mark.parametrize("spoilt", ["weight", "loss"])
def test_neither_weights_nor_losses_are_saved_that_are_not_finite(tmp_path: Path, spoilt: str) -> None:
    """The loss of a step is from before its weights, and may be finite where they are not; or the other way round."""

    def spoil(trainer: Engine, evaluator: Engine, state: TrainingState) -> None:
        @trainer.on(Events.ITERATION_COMPLETED(once=8))
        def overflow() -> None:
            value = state.network.get_parameter("weight").data if spoilt == "weight" else state.losses[-1]
            value.fill_(math.inf)
            raise PowerCutError

    with pytest.raises(PowerCutError):
        train(ToyTask(tmp_path), attach=[spoil])
    assert facts_of(tmp_path)["step"] == 6


def test_resumed_training_remembers_its_best_validation(tmp_path: Path) -> None:
    scores = iter([0.9, 0.1, 0.2, 0.3])
    task = ToyTask(tmp_path, validations=4, score=lambda rows: next(scores))
    with pytest.raises(PowerCutError):
        train(task, on_step=raise_once(PowerCutError(), after=7))
    best = (tmp_path / "model" / "best.safetensors").read_bytes()
    assert train(task, resume=True).best_score == 0.9
    assert (tmp_path / "model" / "best.safetensors").read_bytes() == best


def test_resuming_a_finished_training_changes_nothing(tmp_path: Path, whole: dict[str, Any]) -> None:
    seen: list[float] = []
    train(ToyTask(tmp_path))
    outcome = train(ToyTask(tmp_path), on_step=lambda progress, loss: seen.append(progress), resume=True)
    assert (outcome.steps, outcome.epochs, seen) == (STEPS, 4, [])
    assert outcome.last is not None
    assert files_of(tmp_path) == whole


def test_finished_training_goes_on_with_a_larger_budget(tmp_path: Path) -> None:
    notes = Notes()
    train(ToyTask(tmp_path), 4)
    outcome = train(ToyTask(tmp_path), 8, listeners=[notes], on_step=notes.on_step, resume=True)
    assert [progress for progress, _ in notes.of("step")] == [5 / 8, 6 / 8, 7 / 8, 1.0]
    assert [step for step, _ in notes.of("report")] == [6, 8]
    assert (outcome.steps, outcome.epochs) == (8, 3)


def test_resuming_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors: must fit this training"):
        train(ToyTask(tmp_path), resume=True)


def test_budget_without_time_for_a_step_is_refused(tmp_path: Path, clock: list[float]) -> None:
    task = ToyTask(tmp_path / "run", on_case=passing(clock, 20))
    with pytest.raises(TrainingError, match="budget must leave time for a first step, got none"):
        run_task(task, ClockBudget(10.0, started=1000.0))
    assert not (tmp_path / "run").exists()


def test_handler_of_the_user_s_ends_the_training_early(tmp_path: Path) -> None:
    """Ignite's own, on the evaluator: the score never rises, so two validations are enough."""

    def stop_early(trainer: Engine, evaluator: Engine, state: TrainingState) -> None:
        handler = EarlyStopping(
            patience=1, score_function=lambda engine: engine.state.metrics["score"], trainer=trainer
        )
        handler.logger.disabled = True
        evaluator.add_event_handler(Events.COMPLETED, handler)

    notes = Notes()
    task = ToyTask(tmp_path, validations=4, score=lambda rows: 0.5)
    outcome = train(task, attach=[stop_early], listeners=[notes])
    assert (outcome.steps, outcome.epochs, outcome.best_score) == (6, 2, 0.5)
    assert [step for step, _ in notes.of("report")] == [3, 6]
    assert [step for step, _ in notes.of("validation")] == [3, 6]  # not a third time at the same step
    assert facts_of(tmp_path)["step"] == 6


def test_handlers_of_the_user_s_see_the_state_after_the_pipeline_s(tmp_path: Path) -> None:
    seen: list[tuple[Any, ...]] = []

    def note(trainer: Engine, evaluator: Engine, state: TrainingState) -> None:
        @trainer.on(Events.ITERATION_COMPLETED(every=5))
        def step(engine: Engine) -> None:
            seen.append(("step", engine.state.iteration, state.step, state.progress, int(state.average.n_averaged)))

        @trainer.on(TrainingEvents.REPORTED(every=1))
        def epoch(engine: Engine) -> None:
            seen.append(("epoch", state.epoch, sorted(engine.state.metrics)[-1]))

        @evaluator.on(Events.COMPLETED)
        def validation(engine: Engine) -> None:
            assert state.last is engine.state.validation
            seen.append(
                ("validation", sorted(engine.state.metrics), (tmp_path / "model" / "best.safetensors").exists())
            )

        @trainer.on(Events.COMPLETED)
        def end() -> None:
            seen.append(("end", facts_of(tmp_path)["step"]))

    train(ToyTask(tmp_path), 6, attach=[note])
    assert seen == [
        ("epoch", 1, "train_loss"), ("validation", ["error", "score"], True), ("step", 5, 5, 5 / 6, 5),
        ("epoch", 2, "train_loss"), ("validation", ["error", "score"], True), ("end", 6),
    ]  # fmt: skip


def test_ignite_s_logger_is_left_alone_and_no_error_is_logged_that_is_raised(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(PowerCutError):
        train(ToyTask(tmp_path), on_step=raise_once(PowerCutError(), after=7))
    assert logging.getLogger("ignite").level == logging.NOTSET
    assert logging.getLogger("ignite.engine.engine.Engine").level == logging.NOTSET
    assert {record.name for record in caplog.records} == {"medseg.training.engine"}
    assert {record.levelname for record in caplog.records} == {"INFO"}


def test_only_the_first_process_reports_and_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medseg.training.ranks.idist.get_rank", lambda: 1)
    notes = Notes()
    outcome = run_task(ToyTask(tmp_path / "run"), StepBudget(STEPS), listeners=[notes], on_step=notes.on_step)
    assert (outcome.steps, notes.all) == (STEPS, [])
    assert not (tmp_path / "run").exists()
