"""Trainings whose plan is made for their wall clock."""

from __future__ import annotations

from pathlib import Path

import medseg
import pytest
from medseg.phantom import write_cohort
from medseg.planning import load_plan

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
        grid="budget",
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
