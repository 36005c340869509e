"""Masks in bfloat16 and in float32 are compared label by label."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from medseg.errors import PipelineError
from medseg.geometry import Geometry
from medseg.inference.segmentation import InferenceConfig, Predictor, load_card, save_card
from medseg.inference.segmentation.precision_check import check_on_noise, check_on_scans, compare_masks, noise_windows
from medseg.networks.precision import uses_bf16
from medseg.records import Scan
from torch import nn

from tests.inference.classification.knowing import CPU
from tests.remedies.inference import model_card, model_run

LABELS = {"background": 0, "liver": 1, "spleen": 2, "pancreas": 3}


def test_dice_of_each_label_is_counted_over_all_masks_together() -> None:
    exact = np.zeros((20, 20, 2), np.uint8)
    exact[:10], exact[10:] = 1, 2
    rounded = exact.copy()
    rounded[9] = 2  # 40 of 400 voxels
    check = compare_masks([(exact, rounded), (exact, exact)], labels=LABELS, subject="two scans")
    assert check is not None
    assert check.by_label == pytest.approx({"liver": 2 * 760 / (800 + 760), "spleen": 2 * 800 / (800 + 840)})
    assert check.agreement == min(check.by_label.values())
    assert not check.agrees


def test_label_of_few_voxels_says_nothing() -> None:
    exact = np.zeros((20, 20, 2), np.uint8)
    exact[0, :, 0] = 3
    assert compare_masks([(exact, exact * 0)], labels=LABELS, subject="noise") is None


@pytest.mark.parametrize("size", [(16, 12), (16, 12, 10)])
def test_noise_has_unit_spread_and_is_the_same_each_time(size: tuple[int, ...]) -> None:
    first, again = list(noise_windows(2, size)), list(noise_windows(2, size))
    assert [tuple(x.shape) for x in first] == [(1, 2, *size)] * 2
    assert [float(x.std()) for x in first] == pytest.approx([1, 1], abs=1e-5)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


class Rounding(nn.Module):
    """Label 1 above 0.3, decided by a difference that bfloat16 rounds away: 1000.3 and 1000 are one number."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv3d(1, 2, 1)
        with torch.no_grad():
            self.layer.weight[:, 0, 0, 0, 0] = torch.tensor([0.0, 1.0])
            self.layer.bias.copy_(torch.tensor([1000.3, 1000.0]))  # type: ignore[union-attr]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return cast("torch.Tensor", self.layer(x))


def rounding_model() -> Predictor:
    card = model_card(inference=InferenceConfig(patch_size=(16, 16, 16)))
    return Predictor(Rounding(), card, device=CPU)


def test_network_that_rounding_changes_is_found_on_noise() -> None:
    check = check_on_noise(rounding_model())
    assert check is not None
    assert check.subject == "noise"
    assert check.agreement < 0.9


def test_network_that_rounding_changes_is_found_on_scans() -> None:
    array = np.random.default_rng(0).normal(size=(1, 16, 16, 16)).astype(np.float32)
    model = rounding_model()
    check = check_on_scans(model, [Scan(array, Geometry((16, 16, 16), np.eye(4)))], subject="a scan")
    assert check is not None
    assert check.by_label["liver"] < 0.9
    assert model.precision == "auto"


def test_scan_that_cannot_be_drawn_does_not_stop_the_others() -> None:
    good = np.random.default_rng(0).normal(size=(1, 16, 16, 16)).astype(np.float32)
    scans = [Scan(array, Geometry((16, 16, 16), np.eye(4))) for array in (np.repeat(good, 3, axis=0), good)]
    errors: list[Exception] = []
    check = check_on_scans(rounding_model(), scans, subject="scans", on_error=errors.append)
    assert check == check_on_scans(rounding_model(), scans[1:], subject="scans")
    assert len(errors) == 1
    with pytest.raises(PipelineError):
        check_on_scans(rounding_model(), scans, subject="scans")


def test_model_draws_in_the_precision_of_its_card(tmp_path: Path) -> None:
    run = model_run(tmp_path / "run")
    save_card(load_card(run).model_copy(update={"precision": "fp32"}), run / "model")
    model = Predictor.load(run, device=CPU)
    assert not uses_bf16(CPU, model.precision)
    assert model.faster().precision == "fp32"
    assert Predictor.load(run, device=CPU, precision="bf16").precision == "bf16"
    assert "precision" not in (model_run(tmp_path / "other") / "model" / "model.json").read_text()
