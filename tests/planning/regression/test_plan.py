"""The plan of a network of quantities: what it learns, and what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.cohort import SERIAL
from medseg.errors import ConfigError, TrainingError
from medseg.geometry import Geometry
from medseg.manifest import load_manifest
from medseg.planning import (
    RegressionPlan,
    check_quantity_plan,
    load_plan,
    load_plan_of,
    make_regression_plan,
    plan_digest,
    save_plan,
    take_quantity_fingerprint,
)
from medseg.scans import write_scan

from tests.quantity_data import dose_of, smooth_image, write_dose_dataset

SHAPE = (16, 14, 12)


def plan_of(path: Path, **choices: Any) -> RegressionPlan:
    manifest, root = load_manifest(path)
    fingerprint = take_quantity_fingerprint(manifest.cases, manifest, root, executor=SERIAL)
    return make_regression_plan(fingerprint, manifest, device="cpu", preset="nano", **choices)


def test_a_prescribed_quantity_is_learned_as_shares_of_the_prescription(tmp_path: Path) -> None:
    plan = plan_of(write_dose_dataset(tmp_path))
    assert (plan.targets.offset, plan.targets.scale) == ({"dose": 0.0}, {"dose": 60.0})
    assert plan.network.out_channels == 1
    assert plan.reasons["targets.scale"] == "dose: shares of the prescription"


def test_any_other_quantity_is_learned_between_its_usual_extremes(tmp_path: Path) -> None:
    plan = plan_of(write_dose_dataset(tmp_path, quantities={"dose": {"unit": "Gy"}}))
    doses = np.concatenate([dose_of(smooth_image(seed, SHAPE)).ravel() for seed in range(4)])
    low, high = np.percentile(doses, [0.5, 99.5])
    assert plan.targets.offset["dose"] == pytest.approx(low, rel=1e-3)
    assert plan.targets.scale["dose"] == pytest.approx(high - low, rel=1e-3)


def test_intensities_are_not_changed_in_training(tmp_path: Path) -> None:
    augment = plan_of(write_dose_dataset(tmp_path)).training.augment
    assert (augment.gamma_share, augment.contrast_share, augment.brightness, augment.noise_share) == (0, 0, 0, 0)
    assert augment.affine_share > 0


def test_a_plan_survives_its_file_and_is_none_of_masks(tmp_path: Path) -> None:
    plan = plan_of(write_dose_dataset(tmp_path))
    save_plan(plan, tmp_path / "plan.yaml")
    again = load_plan_of(RegressionPlan, tmp_path / "plan.yaml")
    assert again == plan
    assert plan_digest(again) == plan_digest(plan)
    with pytest.raises(ConfigError, match="must be of masks, got one of quantities"):
        load_plan(tmp_path / "plan.yaml")


def test_a_quantity_that_never_varies_is_refused(tmp_path: Path) -> None:
    path = write_dose_dataset(tmp_path)
    for number in range(4):
        zero = np.zeros((1, *SHAPE), np.float32)
        write_scan(zero, Geometry(SHAPE, np.diag([2.0, 2.0, 3.0, 1.0])), tmp_path / f"case_{number}_dose.nii.gz")
    with pytest.raises(TrainingError, match="quantity dose: must vary in the training cases, got 0 Gy"):
        plan_of(path)


def test_a_plan_of_another_unit_is_refused(tmp_path: Path) -> None:
    plan = plan_of(write_dose_dataset(tmp_path))
    other, _ = load_manifest(write_dose_dataset(tmp_path, quantities={"dose": {"unit": "cGy", "prescription": 6000}}))
    with pytest.raises(ConfigError, match=r"targets.quantities must be those of the manifest, .*cGy"):
        check_quantity_plan(plan, other)


def test_a_body_crop_and_a_wrong_number_of_outputs_are_refused(tmp_path: Path) -> None:
    content = plan_of(write_dose_dataset(tmp_path)).model_dump()
    content["network"]["out_channels"] = 2
    with pytest.raises(ValueError, match="out_channels must be the number of quantities 1, got 2"):
        RegressionPlan.model_validate(content)
    content["network"]["out_channels"] = 1
    content["preprocess"]["body"] = {"above": [None]}
    with pytest.raises(ValueError, match="body must be left out"):
        RegressionPlan.model_validate(content)
