"""A training that is killed at any moment ends as an undisturbed one."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Events
from medseg.atomic import remove_leftovers
from medseg.training import ClockBudget, CurvesListener, StepBudget
from medseg.training.budget import Budget
from medseg.training.checkpoint import CHECKPOINT_NAME, checkpoint_facts
from medseg.training.engine import Outcome, run_task
from medseg.training.schedule import learning_rate
from medseg.training.task import Step
from safetensors.torch import load_file
from torch import Tensor
from torch.optim import Optimizer

from tests.training.test_engine import files_of
from tests.training.toy_task import ToyTask

STEPS = 12


class Listener(CurvesListener):
    """Writes both tables of numbers, as the commands do."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "curves.csv", validations=folder / "validation_curve.csv")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test moves."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def train(task: ToyTask, budget: Budget | None = None, *, resume: bool | None = None, **more: Any) -> Outcome:
    """Train, or go on where there is a checkpoint."""
    is_begun = (task.folder / CHECKPOINT_NAME).exists() if resume is None else resume
    more["listeners"] = [Listener(task.folder), *more.get("listeners", ())]
    return run_task(task, budget or StepBudget(STEPS), resume=is_begun, **more)


def everything_in(folder: Path) -> dict[str, Any]:
    return {**files_of(folder), "scores": (folder / "validation_curve.csv").read_bytes()}


@pytest.fixture
def moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], list[Path]]:
    """A function that has a folder copied before and after each of its files gets its name, and gives the copies."""
    copies: list[Path] = []

    def watch(folder: Path) -> list[Path]:
        numbers, real = count(), Path.replace

        def copy() -> None:
            copies.append(tmp_path / f"moment_{next(numbers)}")
            shutil.copytree(folder, copies[-1])

        def replace(path: Path, target: Path) -> Path:
            if not path.is_relative_to(folder):
                return real(path, target)
            copy()
            moved = real(path, target)
            copy()
            return moved

        monkeypatch.setattr(Path, "replace", replace)
        return copies

    return watch


@pytest.mark.parametrize("steps_per_epoch", [3, 1000])
def test_kill_at_every_rename_changes_nothing(
    tmp_path: Path, clock: list[float], moments: Callable[[Path], list[Path]], steps_per_epoch: int
) -> None:
    """Saved after every other step, with three validations, of which the second is the best."""

    def task(name: str) -> ToyTask:
        def score(rows: Any) -> float:
            return -abs(sum(rows) - 2.75)

        return ToyTask(
            tmp_path / name, before_forward=lambda batch: clock.__setitem__(0, clock[0] + 3),
            validations=3, score=score, steps_per_epoch=steps_per_epoch, learning_rate=0.1,
        )  # fmt: skip

    train(task("whole"))
    whole = everything_in(tmp_path / "whole")
    copies = moments(tmp_path / "running")
    train(task("running"))
    assert len(copies) > 40
    for copy in copies[:: 1 if steps_per_epoch == 3 else 3]:
        for place in (copy, copy / "model"):
            remove_leftovers(place)
        train(task(copy.name))
        assert everything_in(copy) == whole, copy.name


def test_kill_between_best_weights_and_checkpoint_keeps_the_best_of_another_budget_too(tmp_path: Path) -> None:
    """The best weights are of a validation that the checkpoint does not know; no worse one may take their place."""
    scores = iter([0.1, 0.9, 0.5, 0.5, 0.5, 0.5])

    def task() -> ToyTask:
        return ToyTask(tmp_path / "run", validations=4, score=lambda rows: next(scores))

    def end(trainer: Any, evaluator: Any, state: Any) -> None:
        def copy() -> None:
            if state.best_score == 0.9 and not (tmp_path / "killed").exists():
                shutil.copytree(tmp_path / "run", tmp_path / "killed")

        evaluator.add_event_handler(Events.COMPLETED, copy)

    train(task(), StepBudget(8), attach=[end])
    assert checkpoint_facts(tmp_path / "killed" / CHECKPOINT_NAME)["best_score"] == 0.1
    best = (tmp_path / "killed" / "model" / "best.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "run")
    (tmp_path / "killed").rename(tmp_path / "run")
    outcome = train(task(), StepBudget(7))
    assert outcome.best_score == 0.9
    assert (tmp_path / "run" / "model" / "best.safetensors").read_bytes() == best


class Dropping(ToyTask):
    """Drops some of the gradient by each of the global generators."""

    def step(self, network: torch.nn.Module, optimiser: Optimizer) -> Step:
        step = super().step(network, optimiser)

        def random_step(engine: Any, batch: int) -> Tensor:
            drawn = float(torch.rand(1)), float(np.random.rand()), random.random()  # noqa: NPY002, S311
            self.scale = lambda number: sum(drawn)
            return step(engine, batch)

        return random_step


@pytest.fixture
def generators() -> Iterator[None]:
    """The global generators as they were."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    yield
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    random.setstate(states[2])


def test_random_numbers_of_a_step_depend_on_seed_and_step_alone(tmp_path: Path, generators: None) -> None:
    def stir(amount: int) -> None:
        torch.rand(amount), np.random.rand(amount), [random.random() for _ in range(amount)]  # noqa: NPY002, S311

    def cut(batch: int) -> None:
        if batch == 10:
            shutil.copytree(tmp_path / "running", tmp_path / "broken")

    weights = {}
    for name, seed in (("whole", 0), ("running", 0), ("other", 1)):
        stir(len(name))
        before = float(torch.rand(1)), np.random.rand(), random.random()  # noqa: NPY002, S311
        train(Dropping(tmp_path / name, seed=seed, before_forward=cut if name == "running" else lambda batch: None))
        assert before != (float(torch.rand(1)), np.random.rand(), random.random())  # noqa: NPY002, S311
        weights[name] = load_file(tmp_path / name / "model" / "last.safetensors")["weight"]
    stir(3)
    train(Dropping(tmp_path / "broken"))
    weights["broken"] = load_file(tmp_path / "broken" / "model" / "last.safetensors")["weight"]
    assert weights["whole"] == weights["running"] == weights["broken"] != weights["other"]


def rates_after(task: ToyTask, clock: list[float], *, used_s: float = 0.0, total_s: float = 103.0) -> list[float]:
    """Learning rates of the steps of a training by the clock, as each begins."""
    seen: list[float] = []

    def note(trainer: Any, evaluator: Any, state: Any) -> None:
        trainer.add_event_handler(
            Events.ITERATION_COMPLETED, lambda: seen.append(state.optimiser.param_groups[0]["lr"])
        )

    train(task, ClockBudget(total_s, started=clock[0], used_s=used_s), attach=[note])
    return seen


def test_schedule_by_the_clock_goes_on_where_it_was(tmp_path: Path, clock: list[float]) -> None:
    """A step takes 1 s; the checkpoint is of step 60, and five lost steps and half an hour of waiting cost nothing."""

    def second(batch: int) -> None:
        clock[0] += 1
        if batch == 64 and not (tmp_path / "broken").exists():
            shutil.copytree(tmp_path / "whole", tmp_path / "broken")

    def task(name: str) -> ToyTask:
        return ToyTask(tmp_path / name, validation=(), before_forward=second, warmup=0.1, steps_per_epoch=1000)

    whole = rates_after(task("whole"), clock)
    assert len(whole) == 100
    assert whole[50] == pytest.approx(learning_rate(0.5, task("x").optimisation))
    facts = checkpoint_facts(tmp_path / "broken" / CHECKPOINT_NAME)
    assert (facts["step"], facts["progress"]) == (60, 0.6)
    clock[0] += 1800
    resumed = rates_after(task("broken"), clock, used_s=facts["elapsed_s"])
    assert resumed == pytest.approx(whole[60:])
    assert everything_in_tables(tmp_path / "broken") == everything_in_tables(tmp_path / "whole")


def everything_in_tables(folder: Path) -> list[list[str]]:
    """Step, epoch and loss of every report."""
    return [line.split(",")[:3] for line in (folder / "curves.csv").read_text().splitlines()]


def test_longer_clock_gives_the_steps_its_additional_time(tmp_path: Path, clock: list[float]) -> None:
    """After 50 of 50 s comes half of 100 s, and no second decay from the start."""

    def second(batch: int) -> None:
        clock[0] += 1

    task = ToyTask(tmp_path, validation=(), before_forward=second, warmup=0.1)
    first = rates_after(task, clock, total_s=53.0)
    used_s = checkpoint_facts(tmp_path / CHECKPOINT_NAME)["elapsed_s"]
    second_part = rates_after(task, clock, used_s=used_s, total_s=103.0)
    assert (len(first), used_s, len(second_part)) == (50, 50.0, 50)
    assert second_part[0] == pytest.approx(learning_rate(50 / 103, task.optimisation), rel=1e-3)


def test_training_that_had_ended_is_measured_again_on_as_many_cases(tmp_path: Path, clock: list[float]) -> None:
    """It was killed while it delivered; its time is over, and the machine has become slow."""
    seen: list[int] = []
    slow = [1.0]

    def measure(case: int) -> None:
        seen.append(case)
        clock[0] += slow[0]

    def second(batch: int) -> None:
        clock[0] += 1

    def task() -> ToyTask:
        return ToyTask(tmp_path, validation=tuple(range(30)), before_forward=second, on_case=measure, validations=1)

    first = train(task(), ClockBudget(100.0, started=clock[0]))
    assert 1 < first.validated_cases < 30
    expected = seen[-first.validated_cases :]
    used_s, slow[0] = checkpoint_facts(tmp_path / CHECKPOINT_NAME)["elapsed_s"], 20.0
    seen.clear()
    again = train(task(), ClockBudget(100.0, started=clock[0], used_s=used_s))
    assert (again.steps, again.validated_cases, again.rows) == (first.steps, first.validated_cases, first.rows)
    assert seen[-first.validated_cases :] == expected
