"""Folds are trained at once in processes, of which a killed one is its own fold's failure."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path
from typing import Any, ClassVar

import medseg
import pytest
from medseg.errors import ConfigError, TrainingError
from medseg.evaluation.segmentation import load_evaluation
from medseg.planning import load_plan, plan_digest
from medseg.runs import folds as folds_module
from medseg.runs.settings import TrainingSettings
from medseg.runs.training_processes import ProcessSlots, check_sendable
from medseg.training.forecast import Forecast
from medseg.training.segmentation import SegmentationParts

from tests.remedies.runs import SMALL, write_patients


def train(data: Path, out: Path, **settings: Any) -> Any:
    choices = {"config": SMALL, "store": out.parent / "store", "device": "cpu", "tracking": False}
    return medseg.train(data, out=out, fold="all-folds", **(choices | settings))


class Killer:
    """A progress that kills the process of a fold as soon as there is one, and remembers what it heard."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stages: list[str] = []
        self.shares: list[float] = []
        self.scores: list[float] = []

    def kill(self) -> None:
        for process in active_children():
            if process.name == self.name and process.pid is not None:
                os.kill(process.pid, signal.SIGKILL)

    @contextmanager
    def over_cases(self, total: int, stage: str) -> Iterator[Callable[[str], None]]:
        self.stages.append(stage)
        yield lambda case_id: self.kill()

    @contextmanager
    def over_budget(self, stage: str) -> Iterator[Callable[[float, float], None]]:
        self.stages.append(stage)

        def on_step(share: float, loss: float) -> None:
            self.shares.append(share)
            self.kill()

        yield on_step

    def validated(self, score: float, forecast: Forecast | None) -> None:
        self.scores.append(score)


def test_killed_fold_is_listed_and_the_others_end_and_it_is_resumed(tmp_path: Path) -> None:
    data = write_patients(tmp_path)
    heard = Killer("fold 1")
    result = train(data, tmp_path / "out", parallel=2, epochs=30, progress=heard)
    (failure,) = result.failures
    assert failure.case_id == "fold 1"
    assert "fold 1: its process must end by itself, got killed by SIGKILL" in failure.reason
    assert (tmp_path / "out" / "fold_0" / "model" / "last.safetensors").is_file()
    assert load_evaluation(tmp_path / "out").notes["folds"] == [0]
    assert heard.shares[-1] == 1
    assert heard.scores
    assert {"fold 0 (1 of 2): prepare", "fold 0 (1 of 2): train", "out of fold: predict"} <= set(heard.stages)
    assert active_children() == []

    again = train(data, tmp_path / "out", resume=True, config=None)
    assert again.failures == ()
    assert load_evaluation(tmp_path / "out").notes["folds"] == [0, 1]
    plans = {plan_digest(load_plan(tmp_path / "out" / f"fold_{fold}" / "plan.yaml")) for fold in range(2)}
    assert len(plans) == 1


class Instant:
    """A training that has ended when it is first listened to."""

    begun: ClassVar[list[tuple[int, int, int]]] = []

    def __init__(self, item: int, slot: int, running: list[int]) -> None:
        from multiprocessing import Pipe

        self.link, self.other = Pipe()
        self.other.send("ended")
        self.item, self.running = item, running
        running.append(item)
        Instant.begun.append((item, slot, len(running)))

    def listen(self) -> bool:
        self.running.remove(self.item)
        return True

    def ask_to_end(self) -> None:
        self.running.remove(self.item)

    def close(self) -> None:
        self.link.close()
        self.other.close()


def test_no_more_run_at_once_than_there_are_slots_and_the_others_wait_for_the_plan_of_the_first() -> None:
    running: list[int] = []
    Instant.begun = []
    is_planned: list[bool] = []

    def may_begin() -> bool:
        is_planned.append(True)
        return len(is_planned) > 1

    slots = ProcessSlots(2, lambda item, slot: Instant(item, slot, running), may_begin)  # type: ignore[arg-type, return-value]
    assert sorted(slots.run(lambda item: 10 * item, [0, 1, 2, 3, 4])) == [(n, 10 * n) for n in range(5)]
    assert [item for item, _, _ in Instant.begun] == [0, 1, 2, 3, 4]
    assert Instant.begun[0] == (0, 0, 1)
    assert max(count for _, _, count in Instant.begun) == 2
    assert running == []


def test_all_are_asked_to_end_where_the_caller_stops() -> None:
    running: list[int] = []
    Instant.begun = []

    def stopped(item: int) -> int:
        raise KeyboardInterrupt

    slots = ProcessSlots(3, lambda item, slot: Instant(item, slot, running))  # type: ignore[arg-type, return-value]
    with pytest.raises(KeyboardInterrupt):
        list(slots.run(stopped, [0, 1, 2, 3]))
    assert len(Instant.begun) == 3
    assert running == []


@pytest.mark.parametrize(("parallel", "shares"), [(1, [18, 22.5, 30, 45, 90]), (2, [30, 30, 45, 45, 90])])
def test_budget_of_a_fold_is_that_of_as_many_rounds_as_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallel: int, shares: list[float]
) -> None:
    budgets = []

    class Noting:
        def __init__(self, order: Any, progress: Any) -> None:
            budgets.append(float(order.settings.budget.removesuffix("s")))
            self.link, self._other = __import__("multiprocessing").Pipe()
            self._other.send("ended")

        def listen(self) -> bool:
            return True

        def close(self) -> None:
            self.link.close()
            self._other.close()

        def result(self) -> Any:
            raise TrainingError("noted")

    def noting(job: Any, dataset: Path, settings: Any, **more: Any) -> Any:
        budgets.append(float(settings.budget.removesuffix("s")))
        raise TrainingError("noted")

    monkeypatch.setattr(folds_module, "TrainingProcess", Noting)
    monkeypatch.setattr(folds_module, "train_job", noting)
    monkeypatch.setattr(ProcessSlots, "run", all_at_once)
    data = write_patients(tmp_path, count=10)
    write_five_folds(data)
    with pytest.raises(TrainingError, match="noted"):
        train(data, tmp_path / "out", budget="100s", parallel=parallel)
    assert budgets == pytest.approx(shares, rel=0.1)


def all_at_once(slots: ProcessSlots, work: Callable[[Any], Any], items: Any) -> Iterator[tuple[int, Any]]:
    """Begin and end one after the other, whatever the slots."""
    for place, item in enumerate(items):
        process = slots._begin(item, 0)
        process.listen()
        process.close()
        yield place, work(item)


def write_five_folds(data: Path) -> None:
    import json

    content = json.loads((data / "dataset.json").read_text())
    for number, entry in enumerate(content["training"]):
        entry["fold"] = number % 5
    (data / "dataset.json").write_text(json.dumps(content))


def test_parallel_is_for_all_folds() -> None:
    with pytest.raises(ConfigError, match="parallel is for a training of all folds, got fold 0; give the fold all"):
        TrainingSettings(out=Path("out"), parallel=2)


def test_parts_that_no_other_process_can_take_are_refused_at_the_start() -> None:
    from medseg.runs.segmentation.job import SegmentationJob

    check_sendable(SegmentationJob())
    with pytest.raises(ConfigError, match="parts of your own must be importable by name"):
        check_sendable(SegmentationJob(SegmentationParts(network=lambda config: None)))  # type: ignore[arg-type, return-value]
