"""What a search may change, and the plans that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from medseg.configuration import parse_config
from medseg.errors import ConfigError
from medseg.inference.segmentation import InferenceConfig
from medseg.networks import NetworkConfig
from medseg.planning import Plan, save_plan
from medseg.planning.augmentation import with_strength
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.runs.progress import Silence
from medseg.runs.run_folder import RunFolder
from medseg.runs.search import trial
from medseg.runs.search.desk import Work
from medseg.runs.search.locks import Claim
from medseg.runs.search.record import SearchFolder
from medseg.runs.search.settings import SearchSettings
from medseg.runs.search.space import SearchSpace, Span
from medseg.runs.search.trial_plan import trial_plan
from medseg.runs.settings import TrainingSettings
from medseg.training import AugmentConfig
from medseg.training.segmentation import SegmentationParts, TrainingConfig


def plan_of(*, axes: int = 3, **training: Any) -> Plan:
    patch = (32, 24, 16 if axes == 3 else 1)
    return Plan(
        dataset="boxes",
        preprocess=PreprocessConfig(
            axcodes="RAS" if axes == 3 else None,
            spacing_mm=(1.0, 2.0, 3.0) if axes == 3 else None,
            normalisation=(ChannelNormalisation(kind="none"),),
        ),
        network=NetworkConfig(
            spatial_dims=axes,
            in_channels=1,
            out_channels=2,
            channels=(8, 16),
            strides=((1,) * axes, (2,) * axes),
            kernels=((3,) * axes,) * 2,
            blocks=(1, 1),
            decoder_blocks=(1,),
        ),
        training=TrainingConfig(patch_size=patch, batch_size=2, learning_rate=0.004, **training),
        inference=InferenceConfig(patch_size=patch),
    )


def changed(plan: Plan, **choice: Any) -> Plan:
    def replan(**asked: Any) -> Plan:
        raise AssertionError(asked)

    return trial_plan(plan, choice, replan=replan, name="trial 3")


def test_planned_values_change_nothing() -> None:
    plan = plan_of()
    same = changed(plan, **SearchSpace().planned(plan))
    assert same.model_copy(update={"reasons": {}}) == plan


def test_each_value_changes_what_it_names() -> None:
    plan = plan_of()
    assert changed(plan, learning_rate_factor=0.5).training.learning_rate == pytest.approx(0.002)
    assert changed(plan, batch_factor=2.0).training.batch_size == 4
    assert changed(plan, batch_factor=0.1).training.batch_size == 1
    assert changed(plan, foreground_share=0.75, dice_weight=2.0).training.foreground_share == 0.75
    wider = changed(plan, width_factor=1.5)
    assert wider.network.channels == (12, 24)  # type: ignore[union-attr]
    larger = changed(plan, patch_factor=1.25)
    assert larger.training.patch_size == larger.inference.patch_size == (40, 30, 20)
    assert larger.reasons["training.patch_size"] == "set by trial 3"


def test_patch_of_a_picture_stays_one_voxel_deep() -> None:
    assert changed(plan_of(axes=2), patch_factor=0.5).training.patch_size == (16, 12, 1)


def test_other_grid_or_network_is_planned_anew_and_then_changed() -> None:
    plan, asked = plan_of(), list[Mapping[str, Any]]()

    def replan(**what: Any) -> Plan:
        asked.append(what)
        return plan_of(foreground_share=0.25)

    found = trial_plan(
        plan, {"spacing_factor": 1.5, "preset": "nano", "batch_factor": 2.0}, replan=replan, name="trial 3"
    )
    assert asked == [{"network": None, "preset": "nano", "spacing_mm": (1.5, 3.0, 4.5)}]
    assert (found.training.foreground_share, found.training.batch_size) == (0.25, 4)


def test_impossible_plan_is_refused_with_the_planner_s_own_rule() -> None:
    with pytest.raises(ConfigError, match=r"trial 3.*patch_size must leave more than one voxel"):
        changed(plan_of(), patch_factor=0.05)


def test_pictures_keep_their_pixels() -> None:
    assert "spacing_factor" in SearchSpace().searched(is_2d=False)
    assert "spacing_factor" not in SearchSpace().searched(is_2d=True)


def test_value_of_the_plan_outside_the_space_is_not_its_own() -> None:
    space = SearchSpace(dice_weight=Span(low=2, high=4), batch_factor=(2.0, 4.0), learning_rate_factor=None)
    planned = space.planned(plan_of())
    assert not {"dice_weight", "batch_factor", "learning_rate_factor"} & set(planned)
    assert planned["foreground_share"] == 0.5


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"dice_weight": {"low": 2, "high": 1}}, "low must be below high"),
        ({"dice_weight": {"low": 0, "high": 1}}, "dice_weight.low must be above 0"),
        ({"foreground_share": {"low": 0.5, "high": 1.5}}, "foreground_share must be within 0 and 1"),
        ({"batch_factor": [1, 1]}, "batch_factor must name each value once"),
        ({"network": ["resunet"]}, "network"),
        ({"learning_rat_factor": {"low": 1, "high": 2}}, "learning_rate_factor"),
    ],
)
def test_space_without_a_meaning_is_refused(content: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_config(SearchSpace, content, source="space")


def test_strength_is_against_the_plan() -> None:
    planned = AugmentConfig(affine_share=0.9, noise_share=0.2, gamma_share=0.2)
    assert with_strength(planned, "planned") is planned
    weaker, stronger = with_strength(planned, "weaker"), with_strength(planned, "stronger")
    assert (weaker.affine_share, weaker.noise_share) == (0.45, 0.1)
    assert (stronger.affine_share, stronger.gamma_share, stronger.scale) == (0.9, 0.4, 0.3)
    assert stronger.contrast == (0.65, 1.5)


def test_budget_is_shared_among_trials_and_finalists(tmp_path: Any) -> None:
    shared = SearchSettings(out=tmp_path, budget="100m", trials=7, finalists=2, repeats=1)
    assert shared.trial_length == "570.0s"
    assert SearchSettings(out=tmp_path, budget="1h").most_trials == 20
    assert SearchSettings(out=tmp_path, budget="1h", trial_budget="5m").most_trials is None
    assert SearchSettings(out=tmp_path, trials=3, trial_epochs=2).trial_length is None


def test_trial_whose_worker_was_killed_before_its_record_keeps_its_mlflow_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[TrainingSettings] = []
    monkeypatch.setattr(trial, "train_job", lambda job, dataset, settings, progress: asked.append(settings))
    folder = SearchFolder(tmp_path)
    save_plan(plan_of(), folder.plan_of("trial_0001"))
    begun = RunFolder(folder.training("trial_0001"))
    start_id = begun.start_id("a" * 32)
    settings = SearchSettings(out=tmp_path, trials=2, trial_epochs=1)
    given: Any = {"dataset": tmp_path, "cases": None, "study": None, "parts": SegmentationParts(), "parent": None}
    record: Any = SimpleNamespace(trial_budget=None, trial_epochs=1)
    trainer = trial.Trainer(settings=settings, record=record, folder=folder, **given)
    trainer._train(Work("trial_0001", 1, 0, {}, Claim(folder.lock("trial_0001"))), Silence())
    assert [one.resume for one in asked] == [True]
    assert begun.start_id("b" * 32) == start_id
