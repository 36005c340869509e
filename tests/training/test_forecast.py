"""What is expected of a training, against curves whose course is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.training import StepBudget
from medseg.training.checkpoint import CHECKPOINT_NAME, checkpoint_facts
from medseg.training.config import OptimisationConfig
from medseg.training.engine import run_task
from medseg.training.forecast import Forecast, forecast_score
from medseg.training.segmentation.coarse import CoarseStart
from medseg.training.segmentation.config import TrainingConfig
from medseg.training.task import Validation

from tests.training.toy_task import ToyTask

STEPS = (50, 150, 250, 350, 450)


class Notes:
    """Keeps every validation."""

    def __init__(self) -> None:
        self.validations: dict[int, Validation] = {}

    def on_report(self, step: int, values: dict[str, float]) -> None:
        pass

    def on_validation(self, step: int, validation: Validation) -> None:
        self.validations[step] = validation


def toy(folder: Path, **parts: Any) -> ToyTask:
    """A training with eight validations, all of the same score."""
    return ToyTask(folder, score=lambda errors: 0.5, validations=8, **parts)


def forecast(error_at: Any, *, end: float = 1000) -> Forecast:
    found = forecast_score(STEPS, [1 - error_at(step) for step in STEPS], end=end)
    assert found is not None
    return found


def held(found: Forecast, truth: float) -> bool:
    assert found.score is not None
    return found.score.low <= truth <= found.score.high


@pytest.mark.parametrize("limit", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("scale", [80.0, 120.0, 160.0])
def test_course_that_settles_exponentially_is_held(limit: float, scale: float) -> None:
    def error(step: float) -> float:
        return limit + (0.9 - limit) * math.exp(-step / scale)

    found = forecast(error)
    assert held(found, 1 - error(1000))
    assert found.score is not None
    assert found.score.high < 1 - 0.4 * limit  # not only because the interval holds everything


def test_slow_power_is_held() -> None:
    def error(step: float) -> float:
        return 0.15 * (step / 450) ** -0.1

    found = forecast(error)
    assert held(found, 1 - error(1000))
    assert found.gain.middle == pytest.approx(error(1000) - error(2000), abs=0.004)


def test_settled_training_gains_little_from_more_time() -> None:
    found = forecast(lambda step: 0.1)
    assert -0.02 < found.gain.low < 0 < found.gain.high < 0.02
    assert abs(found.gain.middle) < 0.006


def test_rising_training_gains_more_than_a_settled_one() -> None:
    rising, settled = forecast(lambda step: 2 / step**0.5), forecast(lambda step: 2 / 450**0.5)
    assert rising.gain.middle > settled.gain.middle + 0.001
    assert rising.gain.high > settled.gain.high + 0.005


def test_interval_narrows_with_what_is_left() -> None:
    wide, narrow = (forecast(lambda step: 0.1 + 0.5 * math.exp(-step / 100), end=end).score for end in (1000, 500))
    assert wide is not None
    assert narrow is not None
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_interval_holds_the_truth_of_noisy_courses_about_as_often_as_it_says() -> None:
    rng, hits = np.random.default_rng(5), 0
    for _ in range(60):
        slow, decline = rng.uniform(0.05, 0.3), rng.normal(0.05, 0.06)
        fast, scale = rng.uniform(0.1, 0.6), rng.uniform(60, 200)

        def error(step: float, slow: float = slow, fast: float = fast, d: float = decline, s: float = scale) -> float:
            return slow * (step / 1000) ** -d + fast * math.exp(-step / s)

        noisy = [error(step) * math.exp(0.01 * rng.standard_normal()) for step in STEPS]
        found = forecast_score(STEPS, [1 - value for value in noisy], end=1000)
        assert found is not None
        hits += held(found, 1 - error(1000))
    assert 0.65 * 60 <= hits <= 0.98 * 60


def test_validations_of_a_coarse_start_do_not_bend_the_curve() -> None:
    steps, scores = [480, 1280, 1866, 2349], [0.4599, 0.4707, 0.7884, 0.8870]  # hippocampus, ten minutes
    bent, settled = (forecast_score(steps, scores, end=5018, settled_from=start) for start in (0, 2349))
    assert bent is not None
    assert settled is not None
    assert held(settled, 0.8946)
    assert not held(bent, 0.8946)
    assert forecast_score(steps, scores, end=5018, settled_from=3000) is None
    assert forecast_score(steps[2:], scores[2:], end=5018, settled_from=2349) is None  # the second validation


def test_two_validations_say_nothing() -> None:
    assert forecast_score([10, 20], [0.5, 0.6], end=100) is None


def test_scores_that_are_no_shares_are_passed_over() -> None:
    assert forecast_score([10, 20, 30], [0.5, -math.inf, math.nan], end=100) is None
    assert forecast_score([10, 20, 30], [-12.0, -10.0, -9.0], end=100) is None


def test_perfect_scores_end_without_an_error() -> None:
    found = forecast_score([10, 20, 30, 40], [0.9, 0.99, 1.0, 1.0], end=100)
    assert found is None or found.gain.high < 0.1
    assert forecast_score([10, 20, 30], [1.0, 1.0, 1.0], end=100) is None


def test_the_same_course_gets_the_same_forecast() -> None:
    assert forecast(lambda step: 40 / step) == forecast(lambda step: 40 / step)


def test_validations_of_a_training_carry_a_forecast_from_the_third_on(tmp_path: Path) -> None:
    notes = Notes()
    run_task(toy(tmp_path), StepBudget(60), listeners=[notes])
    steps = sorted(notes.validations)
    assert len(steps) > 3
    assert [notes.validations[step].forecast is None for step in steps[:3]] == [True, True, False]
    on_the_way, last = notes.validations[steps[2]], notes.validations[steps[-1]]
    assert {"forecast_score", "forecast_score_low", "forecast_score_high"} <= set(on_the_way.values)
    assert on_the_way.values["forecast_score"] == pytest.approx(0.5, abs=0.1)
    assert last.forecast is not None
    assert last.forecast.score is None  # nothing is left to expect
    assert "forecast_gain_if_doubled" in last.values


def test_forecasts_of_a_training_begin_once_it_has_settled(tmp_path: Path) -> None:
    class LateConfig(OptimisationConfig):
        @property
        def settled(self) -> float:
            return 0.6

    notes, task = Notes(), toy(tmp_path)
    task.optimisation = LateConfig(**task.optimisation.model_dump())
    run_task(task, StepBudget(60), listeners=[notes])
    has_forecast = {step: value.forecast is not None for step, value in sorted(notes.validations.items())}
    assert has_forecast == {step: step >= 36 for step in has_forecast}
    first = min(step for step, has in has_forecast.items() if has)
    assert checkpoint_facts(tmp_path / CHECKPOINT_NAME)["settled_step"] == first


def test_coarse_start_has_settled_some_time_after_its_end() -> None:
    start = CoarseStart(share=0.25, factor=(2, 2, 2), patch_size=(8, 8, 8), batch_size=2)
    assert TrainingConfig(patch_size=(16, 16, 16), coarse_start=start).settled == pytest.approx(0.325)
    assert TrainingConfig(patch_size=(16, 16, 16)).settled == 0


def test_resumed_training_remembers_its_earlier_validations(tmp_path: Path) -> None:
    class PowerCutError(Exception):
        pass

    def cut(batch: int) -> None:
        if batch == 40:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        run_task(toy(tmp_path, before_forward=cut), StepBudget(60))
    earlier = checkpoint_facts(tmp_path / CHECKPOINT_NAME)["curve"]
    assert len(earlier) >= 3
    notes = Notes()
    run_task(toy(tmp_path), StepBudget(60), listeners=[notes], resume=True)
    first = notes.validations[min(notes.validations)]
    assert first.forecast is not None
