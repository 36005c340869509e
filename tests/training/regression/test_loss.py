"""Losses of values: closed forms, unknown voxels, several quantities and scales."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from medseg.training.regression.loss import ValueLoss, mean_over_known, ssim_map
from scipy import ndimage

NAN = float("nan")


def of(kind: str, outputs: torch.Tensor, values: torch.Tensor) -> float:
    return float(ValueLoss(kind)([outputs], values))  # type: ignore[arg-type]


def test_absolute_and_squared_differences_are_means_over_voxels() -> None:
    outputs, values = torch.zeros(1, 1, 2, 2, 2), torch.full((1, 1, 2, 2, 2), 0.5)
    values[0, 0, 0, 0, 0] = 2.5
    assert of("l1", outputs, values) == pytest.approx((7 * 0.5 + 2.5) / 8)
    assert of("l2", outputs, values) == pytest.approx((7 * 0.25 + 6.25) / 8)


@pytest.mark.parametrize("kind", ["l1", "l2", "l1_ssim"])
def test_unknown_voxels_count_in_neither_loss_nor_gradient(kind: str) -> None:
    torch.manual_seed(0)
    outputs, values = torch.rand(2, 2, 12, 12, 12), torch.rand(2, 2, 12, 12, 12)
    values[:, :, :4] = NAN
    outputs.requires_grad_(True)
    loss = ValueLoss(kind)([outputs], values)  # type: ignore[arg-type]
    loss.backward()
    assert outputs.grad is not None
    assert (outputs.grad[:, :, :4] == 0).all()
    assert torch.isfinite(outputs.grad).all()
    assert outputs.grad[:, :, 4:].abs().sum() > 0
    other = outputs.detach().clone()
    other[:, :, :4] = 1e3
    assert of(kind, other, values) == pytest.approx(float(loss.detach()), abs=1e-6)


@pytest.mark.parametrize("kind", ["l1", "l2", "l1_ssim"])
def test_equal_values_cost_nothing_and_nothing_known_costs_nothing(kind: str) -> None:
    values = torch.rand(1, 2, 10, 9, 8)
    assert of(kind, values, values) == pytest.approx(0, abs=1e-5)
    assert of(kind, values, torch.full_like(values, NAN)) == 0


def test_each_quantity_counts_alike_however_much_of_it_is_known() -> None:
    errors = torch.ones(1, 2, 4, 4, 4)
    errors[:, 1] = 3
    known = torch.ones_like(errors, dtype=torch.bool)
    known[:, 1, 1:] = False
    assert float(mean_over_known(errors, known)) == 2
    known[:, 1] = False
    assert float(mean_over_known(errors, known)) == 1


def test_coarser_scales_count_half_and_take_the_reference_as_it_is() -> None:
    values = torch.ones(1, 1, 8, 8, 8)
    scales = [torch.zeros(1, 1, 8, 8, 8), torch.full((1, 1, 4, 4, 4), 4.0)]
    assert float(ValueLoss("l1")(scales, values)) == pytest.approx((1 + 0.5 * 3) / 1.5)


@pytest.mark.parametrize("shape", [(14, 12, 13), (20, 17)])
def test_similarity_is_that_of_wang_et_al_with_uniform_windows(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    one = rng.uniform(0, 1, shape)
    other = np.clip(one + rng.normal(0, 0.2, shape), 0, 1)
    mean = {name: ndimage.uniform_filter(array, 7) for name, array in (("a", one), ("b", other))}
    second = {"aa": one * one, "bb": other * other, "ab": one * other}
    moment = {name: ndimage.uniform_filter(array, 7) - mean[name[0]] * mean[name[1]] for name, array in second.items()}
    brightness = (2 * mean["a"] * mean["b"] + 1e-4) / (mean["a"] ** 2 + mean["b"] ** 2 + 1e-4)
    structure = (2 * moment["ab"] + 9e-4) / (moment["aa"] + moment["bb"] + 9e-4)
    inner = (brightness * structure)[tuple(slice(3, -3) for _ in shape)]
    outputs, values = (torch.from_numpy(array)[None, None] for array in (one, other))
    found, whole = ssim_map(outputs, values, torch.ones_like(values, dtype=torch.bool))
    np.testing.assert_allclose(found[0, 0].numpy(), inner, atol=1e-9)
    assert whole.all()
