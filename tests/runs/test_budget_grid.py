"""Trainings whose plan is made for their wall clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import medseg
import pytest
import torch
from medseg.errors import ConfigError, ManifestError
from medseg.inference.segmentation import InferenceConfig
from medseg.networks.segmentation import build_network
from medseg.phantom import LABELS, write_cohort
from medseg.planning import Plan, load_plan
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.runs.segmentation.job import GridKind, SegmentationJob
from medseg.runs.segmentation.plan import PlanResult, plan_dataset
from medseg.runs.settings import TrainingSettings
from medseg.runs.training_cases import load_training_cases
from medseg.training.segmentation import SegmentationParts, TrainingConfig

from tests.networks.segmentation.small_nets import small_net

Medseg = Callable[..., Any]

TINY = {
    "network": {
        "channels": [4, 8],
        "strides": [[1, 1, 1], [2, 2, 2]],
        "kernels": [[3, 3, 3], [3, 3, 3]],
        "blocks": [1, 1],
        "decoder_blocks": [1],
    },
    "training": {"validations": 1},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six made-up patients."""
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(folder, patients=6, test_patients=0)
    return folder


def test_a_plan_for_the_budget_says_what_it_buys(dataset: Path, tmp_path: Path) -> None:
    medseg.train(
        dataset,
        out=tmp_path / "run",
        budget="20s",
        config=TINY,
        tracking=False,
        store=tmp_path / "store",
        device="cpu",
    )
    plan = load_plan(tmp_path / "run" / "plan.yaml")
    assert "20s buys about" in plan.reasons["preprocess.spacing_mm"]
    assert "keep a Dice of" in plan.reasons["preprocess.spacing_mm"]
    assert (tmp_path / "store" / "step_costs.json").exists()


def test_without_a_wish_the_grid_is_that_of_the_scans(dataset: Path, tmp_path: Path) -> None:
    medseg.train(
        dataset, out=tmp_path / "run", epochs=1, config=TINY, tracking=False, store=tmp_path / "store", device="cpu"
    )
    plan = load_plan(tmp_path / "run" / "plan.yaml")
    assert plan.reasons["preprocess.spacing_mm"].startswith("median of")
    assert not (tmp_path / "store" / "step_costs.json").exists()


def test_with_that_wish_it_is_so_within_a_budget_too(dataset: Path, tmp_path: Path) -> None:
    result = plan(dataset, tmp_path, budget="10m", grid="scans")
    assert result.plan.reasons["preprocess.spacing_mm"].startswith("median of")


def plan(dataset: Path, place: Path, *, grid: GridKind = "budget", **settings: Any) -> PlanResult:
    choices = TrainingSettings(out=place, store=place / "store", device="cpu", **settings)
    return plan_dataset(SegmentationJob(grid=grid), dataset, choices, path=place / "plan.yaml")


def test_plan_on_its_own_is_that_of_the_training(dataset: Path, tmp_path: Path) -> None:
    result = plan(dataset, tmp_path, budget="10m")
    assert load_plan(tmp_path / "plan.yaml") == result.plan
    expected = result.plan.expected
    assert expected is not None
    assert 0 < expected.step_seconds * expected.steps < 2 * 600
    assert expected.memory_bytes > 10**6
    assert set(expected.ceiling) == set(LABELS) - {"background"}
    assert result.parameters > 10**5


def test_plan_without_a_budget_says_what_its_epochs_need(dataset: Path, tmp_path: Path) -> None:
    result = plan(dataset, tmp_path, epochs=7, changes=TINY)
    expected = result.plan.expected
    assert expected is not None
    training = result.plan.training
    cases = len(load_training_cases(dataset, fold="0").training)
    assert expected.steps == 7 * math.ceil(cases * training.patches_per_case / training.batch_size)
    assert expected.seconds == pytest.approx(expected.steps * expected.step_seconds, abs=0.06)
    assert expected.views_per_scan == pytest.approx(7, abs=0.1)
    assert expected.shortfall is None


def test_plan_that_exists_is_not_written_over(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("mine")
    with pytest.raises(ConfigError, match="must be a new file, got one that exists"):
        plan(dataset, tmp_path, budget="10m")
    assert (tmp_path / "plan.yaml").read_text() == "mine"


def test_rest_of_the_plan_follows_a_grid_that_is_set(dataset: Path, tmp_path: Path) -> None:
    changes = {"preprocess": {"spacing_mm": [7.0, 7.0, 9.0]}}
    made = plan(dataset, tmp_path, budget="10m", changes=changes).plan
    assert made.preprocess.spacing_mm == (7.0, 7.0, 9.0)
    assert made.training.augment.spacing_mm == (7.0, 7.0, 9.0)
    (tmp_path / "plan.yaml").unlink()
    without = plan(dataset, tmp_path, changes=changes).plan
    assert without.training.augment.spacing_mm == (7.0, 7.0, 9.0)


@pytest.mark.parametrize("spacing", ["fine", [1, 2], [1, "a", 2], [1, 1, -1]])
def test_grid_that_is_set_wrongly_is_named(dataset: Path, tmp_path: Path, spacing: Any) -> None:
    with pytest.raises(ConfigError, match=r"preprocess\.spacing_mm"):
        plan(dataset, tmp_path, budget="10m", changes={"preprocess": {"spacing_mm": spacing}})


@pytest.mark.parametrize(
    "changes", [TINY, {"training": {"patch_size": [16, 16, 16]}, "inference": {"patch_size": [16, 16, 16]}}]
)
def test_coarse_start_is_left_out_where_patch_or_network_is_set(
    dataset: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert plan(dataset, tmp_path, budget="60m").plan.training.coarse_start is not None
    (tmp_path / "plan.yaml").unlink()
    made = plan(dataset, tmp_path, budget="60m", changes=changes).plan
    assert made.training.coarse_start is None
    assert "would have to be made for the patch" in made.reasons["training.coarse_start"]


def test_plan_is_shown_with_its_reasons(dataset: Path, tmp_path: Path, medseg: Medseg) -> None:
    outcome = medseg("plan", dataset, "--budget", "10m", "--out", tmp_path / "plan.yaml", "--store", tmp_path / "store")
    assert outcome.code == 0, outcome.err
    for word in ("grid", "patch", "network", "expected", "in 20m", "in 40m", "why", "preprocess.spacing_mm: "):
        assert word in outcome.out
    assert (tmp_path / "plan.yaml").exists()
    again = medseg("plan", dataset, "--budget", "10m", "--out", tmp_path / "plan.yaml")
    assert again.code == 2
    assert "give another, or delete it" in again.err


@pytest.mark.parametrize("changes", [{"training": 5}, {"preprocess": "fine"}, {"network": [1]}])
def test_changes_of_another_form_are_named(dataset: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        plan(dataset, tmp_path, budget="10m", changes=changes)


def test_plan_that_is_given_expects_nothing(dataset: Path, tmp_path: Path) -> None:
    """It may have been changed, or be for another budget."""
    made = plan(dataset, tmp_path, budget="10m")
    other = TrainingSettings(
        out=tmp_path, store=tmp_path / "store", device="cpu", budget="20m", plan=made.path, changes=TINY
    )
    again = plan_dataset(SegmentationJob(), dataset, other, path=tmp_path / "again.yaml").plan
    assert made.plan.expected is not None
    assert again.expected is not None
    assert again.expected.outlook == ()


def test_plan_for_other_labels_or_channels_is_refused(dataset: Path, tmp_path: Path) -> None:
    changes = {"network": TINY["network"] | {"out_channels": 7}}
    with pytest.raises(ManifestError, match=r"out_channels 4, as many as the manifest has .*, got 1 and 7"):
        medseg.train(dataset, out=tmp_path / "run", epochs=1, config=changes, tracking=False, store=tmp_path / "store")


@pytest.mark.parametrize(
    ("job", "length", "expected"),
    [
        (SegmentationJob(), {"budget": "10m"}, True),
        (SegmentationJob(network="unet_2015"), {"budget": "10m"}, True),
        (SegmentationJob(), {"budget": "1m"}, False),
        (SegmentationJob(network="segresnet"), {"budget": "10m"}, False),
        (SegmentationJob(SegmentationParts(network=build_network)), {"budget": "10m"}, False),
    ],
)
def test_medseg_s_own_network_alone_is_compiled_on_a_gpu(
    job: SegmentationJob,
    length: dict[str, str],
    expected: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = TrainingSettings(out=tmp_path / "run", store=tmp_path / "store", **length)  # type: ignore[arg-type]
    assert not job.is_compiled(replace(settings, device="cpu"))
    monkeypatch.setattr("medseg.runs.segmentation.job.torch_device", lambda name: torch.device("cuda", 0))
    assert job.is_compiled(settings) == expected


@pytest.mark.parametrize(("dims", "epochs", "expected"), [(3, 1000, True), (3, 2, False), (2, 1000, False)])
def test_networks_of_volumes_alone_are_compiled_for_many_steps(
    dims: Literal[2, 3], epochs: int, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medseg.runs.segmentation.job.torch_device", lambda name: torch.device("cuda", 0))
    settings = TrainingSettings(out=tmp_path / "run", store=tmp_path / "store", epochs=epochs)
    patch = (16, 16, 1 if dims == 2 else 16)
    plan = Plan(
        dataset="made up",
        network=small_net("unet", spatial_dims=dims),
        preprocess=PreprocessConfig(normalisation=(ChannelNormalisation(kind="zscore"),)),
        training=TrainingConfig(patch_size=patch),
        inference=InferenceConfig(patch_size=patch),
    )
    assert SegmentationJob().is_compiled(settings, plan, steps_per_epoch=10) == expected
