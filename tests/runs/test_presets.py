"""Trainings whose sizes are chosen by name, and what such a name cannot stand beside."""

from __future__ import annotations

import json
from pathlib import Path

import medseg
import pytest
from medseg.errors import ConfigError
from medseg.planning import load_plan

from tests.conftest import Medseg
from tests.remedies.runs import SMALL, write_patients
from tests.runs.test_networks_by_name import train, write_pictures

FEW = {"training": {"patches_per_case": 1, "validations": 1}}


def test_training_takes_a_preset(tmp_path: Path) -> None:
    run = train(write_patients(tmp_path), preset="nano", config=FEW)
    plan = load_plan(run.folder / "plan.yaml")
    assert plan.network.widths[0] == 8
    assert plan.reasons["network.channels"].startswith("8 in the first stage in preset nano")
    with pytest.raises(ConfigError, match="preset nano, got L; leave out preset, or start a new run"):
        train(tmp_path, preset="L", resume=True, epochs=2)
    assert train(tmp_path, preset="nano", resume=True, epochs=2).steps == 2 * run.steps


def test_settings_come_after_the_preset(tmp_path: Path) -> None:
    run = train(write_patients(tmp_path), preset="XL", config=SMALL)
    plan = load_plan(run.folder / "plan.yaml")
    assert list(plan.training.patch_size) == list(SMALL["training"]["patch_size"])
    assert plan.reasons["training.patch_size"] == "set by the given settings"


def test_fine_tuning_keeps_the_earlier_network_and_takes_the_preset_s_patch(tmp_path: Path) -> None:
    dataset = write_patients(tmp_path)
    earlier = train(dataset, out=dataset / "earlier", config=SMALL)
    tuned = train(dataset, init=earlier.folder, preset="nano", config=FEW)
    plan = load_plan(tuned.folder / "plan.yaml")
    assert plan.network == load_plan(earlier.folder / "plan.yaml").network
    assert "in preset nano" in plan.reasons["training.batch_size"]
    assert "as in the earlier run" in plan.reasons["network.channels"]


def test_name_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="preset must be one of nano, S, M, L, XL, got 'medium'; choose one of them"):
        medseg.train(tmp_path, out=tmp_path / "run", preset="medium")  # type: ignore[arg-type]


@pytest.mark.parametrize("network", ["segresnet", "swinunetr"])
def test_command_plans_a_preset_with_any_network(medseg: Medseg, tmp_path: Path, network: str) -> None:
    dataset = write_patients(tmp_path)
    shared = (dataset, "--store", tmp_path / "store", "--device", "cpu", "--epochs", 1)
    outcome = medseg("plan", *shared, "--preset", "NANO", "--network", network, "--out", tmp_path / "plan.yaml")
    assert outcome.code == 0, outcome.err
    plan = load_plan(tmp_path / "plan.yaml")
    assert plan.network.kind == network
    assert "in preset nano" in outcome.out


def test_command_refuses_a_preset_beside_a_plan(medseg: Medseg, tmp_path: Path) -> None:
    dataset = write_patients(tmp_path)
    shared = ("--store", tmp_path / "store", "--device", "cpu", "--epochs", 1)
    assert medseg("plan", dataset, *shared, "--preset", "nano", "--out", tmp_path / "plan.yaml").code == 0
    beside = ("--plan", tmp_path / "plan.yaml", "--preset", "L", "--no-tracking", "--out", tmp_path / "run")
    outcome = medseg("train", dataset, *shared, *beside)
    assert outcome.code == 2
    assert "leave the preset out" in outcome.err
    assert medseg("train", dataset, *shared, "--preset", "huge", "--out", tmp_path / "run").code == 2


@pytest.mark.parametrize("grid", ["budget", "scans"])
def test_pictures_are_planned_for_their_minutes(medseg: Medseg, tmp_path: Path, grid: str) -> None:
    dataset = write_pictures(tmp_path)
    outcome = medseg(
        "plan", dataset, "--budget", "2m", "--preset", "nano", "--out", tmp_path / "plan.yaml", "--store",
        tmp_path / "store", "--device", "cpu", "--grid", grid,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "each part of a picture is seen" in outcome.out
    assert "None" not in outcome.out
    assert " mm" not in outcome.out.split("why")[0]
    assert "of Dice lost" not in outcome.out
    plan = load_plan(tmp_path / "plan.yaml")
    expected = plan.expected
    assert expected is not None
    assert 0 < expected.step_seconds * expected.steps < 2 * 120
    assert expected.memory_bytes > 10**6
    assert expected.shortfall is None
    assert [outlook.budget for outlook in expected.outlook] == ["4m", "8m"]
    assert "2m buys about" in plan.reasons["preprocess.spacing_mm"]
    assert json.loads((tmp_path / "store" / "step_costs.json").read_text())
