"""Augmentation: fixed by its seed, rigid in millimetres, and the same for image and label."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from medseg.training.augment import AugmentConfig, augment_batch
from medseg.training.intensity import blurred, contrasted, lowered, noised, powered
from pydantic import ValidationError
from torch import Tensor

STILL: dict[str, Any] = {
    "affine_share": 0.0, "gamma_share": 0.0, "contrast_share": 0.0, "noise_share": 0.0, "blur_share": 0.0,
    "low_resolution_share": 0.0,
}  # fmt: skip
SHAPE = (3, 2, 12, 14, 10)


def batch(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noise with a labelled box."""
    image = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    label = torch.zeros(shape[0], 1, *shape[2:], dtype=torch.int16)
    label[:, :, 2:7, 3:9, :4] = 1
    label[:, :, 7:9, 3:9, :4] = 2
    return image, label


def ball(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], radius_mm: float) -> Tensor:
    """Whether each voxel's centre lies within a radius of the grid's centre."""
    axes = [(torch.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, spacing_mm, strict=True)]
    i, j, k = torch.meshgrid(*axes, indexing="ij")
    return i**2 + j**2 + k**2 <= radius_mm**2


def dice(one: Tensor, other: Tensor) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def all_on(**changes: Any) -> AugmentConfig:
    return AugmentConfig(**dict.fromkeys(STILL, 1.0) | {"mirror_axes": (0, 1)} | changes)


@pytest.mark.parametrize("shape", [SHAPE, (3, 2, 16, 12, 1)])
def test_same_seed_is_the_same_batch_and_another_seed_another(shape: tuple[int, ...]) -> None:
    image, label = batch(shape)
    first, second, other = (augment_batch(image, label, all_on(), seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])
    assert first[0].shape == image.shape
    assert torch.isfinite(first[0]).all()


def test_global_random_state_is_neither_used_nor_moved() -> None:
    image, label = batch()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = augment_batch(image, label, all_on(), seed=5)[0]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(augment_batch(image, label, all_on(), seed=5)[0], first)


def test_inputs_are_left_as_they_were() -> None:
    image, label = batch()
    kept = image.clone(), label.clone()
    augment_batch(image, label, all_on(), seed=5)
    assert torch.equal(image, kept[0])
    assert torch.equal(label, kept[1])


def test_nothing_chosen_is_nothing_changed() -> None:
    image, label = batch()
    for seed in range(5):
        new_image, new_label = augment_batch(image, label, AugmentConfig(**STILL), seed=seed)
        assert torch.equal(new_image, image)
        assert torch.equal(new_label, label)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mirror_flips_image_and_label_alike_along_its_axis(axis: int) -> None:
    image, label = batch((8, 2, 12, 14, 10))
    config = AugmentConfig(**STILL | {"mirror_axes": (axis,)}, spacing_mm=(1.0, 0.5, 3.0))
    new_image, new_label = augment_batch(image, label, config, seed=3)
    flipped = [torch.equal(new, old.flip(axis + 1)) for new, old in zip(new_label, label, strict=True)]
    assert 0 < sum(flipped) < 8
    for index, is_flipped in enumerate(flipped):
        wanted_image, wanted_label = (
            part[index].flip(axis + 1) if is_flipped else part[index] for part in (image, label)
        )
        torch.testing.assert_close(new_image[index], wanted_image, atol=1e-4, rtol=0)
        assert torch.equal(new_label[index], wanted_label)


def test_half_of_all_samples_are_mirrored() -> None:
    image, label = batch((200, 1, 4, 4, 4))
    label[:] = 0
    label[:, :, 0] = 1
    _, new = augment_batch(image, label, AugmentConfig(**STILL | {"mirror_axes": (0,)}), seed=0)
    assert 70 < int(new[:, 0, -1, 0, 0].sum()) < 130


def test_rotation_is_rigid_in_mm_on_an_anisotropic_grid() -> None:
    shape, spacing = (44, 30, 10), (1.0, 1.0, 4.0)  # 44×30×40 mm: fields of view that differ, as voxels do
    inside = ball(shape, spacing, 13.0)
    label = inside[None, None].repeat(6, 1, 1, 1, 1).to(torch.int16)
    config = AugmentConfig(
        **STILL | {"affine_share": 1.0, "rotation_degrees": 60.0, "scale": 0.0, "spacing_mm": spacing}
    )
    _, new = augment_batch(label.float(), label, config, seed=2)
    for sample in new[:, 0].bool():
        assert dice(sample, inside) > 0.93
        assert float(sample.sum()) == pytest.approx(float(inside.sum()), rel=0.05)
    wrong = config.model_copy(update={"spacing_mm": (1.0, 1.0, 1.0)})
    _, new = augment_batch(label.float(), label, wrong, seed=2)
    assert min(dice(sample, inside) for sample in new[:, 0].bool()) < 0.85


def test_rod_is_turned_by_its_angle_in_mm() -> None:
    """A rod along i, turned about k only (2D), reaches as far along the turned direction, whatever the pixels."""
    shape, spacing = (61, 41, 1), (1.0, 2.0, 1.0)
    i, j = torch.meshgrid(torch.arange(61.0) - 30, 2 * (torch.arange(41.0) - 20), indexing="ij")
    rod = ((i.abs() <= 24) & (j.abs() <= 4))[None, None, :, :, None].repeat(8, 1, 1, 1, 1)
    config = AugmentConfig(
        **STILL | {"affine_share": 1.0, "rotation_degrees": 90.0, "scale": 0.0, "spacing_mm": spacing}
    )
    _, new = augment_batch(rod.float(), rod.to(torch.int16), config, seed=1)
    directions = []
    for sample in new[:, 0, :, :, 0].bool():
        points = torch.stack([i[sample], j[sample]])
        lengths, axes = torch.linalg.eigh(torch.cov(points))
        # A box of length L has the variance L² / 12 along itself.
        assert float((12 * lengths).sqrt()[1]) == pytest.approx(49.0, rel=0.07)
        assert float((12 * lengths).sqrt()[0]) == pytest.approx(10.0, rel=0.2)
        directions.append(float(torch.atan2(axes[1, 1], axes[0, 1])))
    assert torch.tensor(directions).abs().sin().std() > 0.1
    assert shape == tuple(new.shape[2:])


def test_scaling_changes_sizes_within_its_range() -> None:
    inside = ball((32, 32, 32), (1.0, 1.0, 1.0), 8.0)
    label = inside[None, None].repeat(30, 1, 1, 1, 1).to(torch.int16)
    config = AugmentConfig(**STILL | {"affine_share": 1.0, "rotation_degrees": 0.0, "scale": 0.25})
    _, new = augment_batch(label.float(), label, config, seed=4)
    sizes = (new.sum(dim=(1, 2, 3, 4)) / inside.sum()) ** (1 / 3)
    assert float(sizes.min()) == pytest.approx(1 / 1.25, abs=0.06)
    assert float(sizes.max()) == pytest.approx(1.25, abs=0.06)


@pytest.mark.parametrize("shape", [(6, 1, 24, 20, 16), (6, 1, 32, 32, 1)])
def test_label_stays_on_its_image(shape: tuple[int, ...]) -> None:
    label = torch.zeros(shape, dtype=torch.int16)
    label[:, :, 6:18, 5:14, min(4, shape[4] - 1) : 12] = 1
    config = AugmentConfig(affine_share=1.0, rotation_degrees=40.0, scale=0.2, mirror_axes=(0, 1), **{
        name: 0.0 for name in STILL if name != "affine_share"
    })  # fmt: skip
    image, new = augment_batch(label.float(), label, config, seed=9)
    assert all(dice(one > 0.5, other > 0) > 0.9 for one, other in zip(image, new, strict=True))
    assert not torch.equal(new, label)


def test_label_keeps_its_type_and_has_no_new_values() -> None:
    image, label = batch()
    _, new = augment_batch(image, label, all_on(rotation_degrees=90.0), seed=1)
    assert new.dtype == torch.int16
    assert new.shape == label.shape
    assert set(new.unique().tolist()) <= {0, 1, 2}
    assert {1, 2} <= set(new.unique().tolist())


def test_outside_the_patch_are_mean_and_background() -> None:
    image, label = torch.full((4, 1, 16, 16, 16), 7.0), torch.ones(4, 1, 16, 16, 16, dtype=torch.int16)
    config = AugmentConfig(**STILL | {"affine_share": 1.0, "rotation_degrees": 45.0, "scale": 0.0})
    new_image, new_label = augment_batch(image, label, config, seed=0)
    assert float(new_image.min()) == 0.0
    assert float(new_image.max()) == pytest.approx(7.0, abs=1e-4)
    assert int(new_label.min()) == 0


def test_pictures_are_rotated_within_their_plane_only() -> None:
    image, label = batch((4, 1, 20, 20, 1))
    config = AugmentConfig(**STILL | {"affine_share": 1.0, "rotation_degrees": 180.0, "scale": 0.0})
    new_image, _ = augment_batch(image, label, config, seed=0)
    assert not torch.allclose(new_image, image, atol=0.1)
    inner = new_image[:, :, 7:13, 7:13]
    assert float(inner.std()) > 0.3


@pytest.mark.parametrize("share", ["gamma", "contrast", "noise", "blur", "low_resolution"])
def test_intensity_changes_touch_chosen_samples_only_and_never_the_label(share: str) -> None:
    image, label = batch((40, 1, 6, 6, 6))
    config = AugmentConfig(**STILL | {f"{share}_share": 0.5})
    new_image, new_label = augment_batch(image, label, config, seed=7)
    same = torch.tensor([torch.equal(new, old) for new, old in zip(new_image, image, strict=True)])
    assert 8 < int(same.sum()) < 32
    assert torch.equal(new_label, label)


def chosen(*indices: int, count: int = 3) -> Tensor:
    mask = torch.zeros(count, dtype=torch.bool)
    mask[list(indices)] = True
    return mask


def test_contrast_stretches_about_the_mean_and_brightness_shifts() -> None:
    image, _ = batch()
    new = contrasted(image, torch.tensor([9.0, 1.5, 9.0]), torch.tensor([9.0, 0.25, 9.0]), chosen(1))
    mean = image[1].mean(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(new[1], (image[1] - mean) * 1.5 + mean + 0.25)
    assert torch.equal(new[[0, 2]], image[[0, 2]])


def test_gamma_keeps_mean_deviation_and_order() -> None:
    image, _ = batch()
    new = powered(image, torch.tensor([0.7, 9.0, 1.5]), chosen(0, 2))
    assert torch.equal(new[1], image[1])
    for index in (0, 2):
        torch.testing.assert_close(new[index].mean((1, 2, 3)), image[index].mean((1, 2, 3)), atol=1e-5, rtol=0)
        torch.testing.assert_close(new[index].std((1, 2, 3)), image[index].std((1, 2, 3)), atol=1e-4, rtol=0)
        for channel in range(2):
            order = image[index, channel].flatten().argsort()
            assert (new[index, channel].flatten()[order].diff() >= -1e-5).all()
        assert not torch.allclose(new[index], image[index], atol=0.05)


def test_gamma_of_a_constant_patch_is_that_patch() -> None:
    image = torch.full((1, 1, 4, 4, 4), 3.0)
    torch.testing.assert_close(powered(image, torch.tensor([0.8]), chosen(0, count=1)), image)


def test_noise_has_the_deviation_that_is_asked_for() -> None:
    image = torch.zeros(3, 1, 20, 20, 20)
    new = noised(image, torch.tensor([0.1, 9.0, 0.5]), chosen(0, 2), torch.Generator().manual_seed(0))
    assert torch.equal(new[1], image[1])
    assert float(new[0].std()) == pytest.approx(0.1, rel=0.05)
    assert float(new[2].std()) == pytest.approx(0.5, rel=0.05)
    assert abs(float(new[2].mean())) < 0.03


def test_blur_of_a_point_is_a_gaussian_of_its_deviation() -> None:
    image = torch.zeros(2, 2, 15, 15, 15)
    image[:, :, 7, 7, 7] = 1.0
    new = blurred(image, torch.tensor([0.8, 9.0]), chosen(0, count=2))
    assert torch.equal(new[1], image[1])
    assert float(new[0, 1].sum()) == pytest.approx(1.0, abs=1e-5)
    offsets = torch.arange(15.0) - 7
    for axes in ((1, 2), (0, 2), (0, 1)):
        profile = new[0, 0].sum(axes)
        assert float((profile * offsets**2).sum()) ** 0.5 == pytest.approx(0.8, abs=0.02)


def test_blur_keeps_the_mean_of_constant_and_the_order_of_samples() -> None:
    image = torch.arange(4.0).view(4, 1, 1, 1, 1).expand(4, 2, 5, 6, 1).clone()
    torch.testing.assert_close(blurred(image, torch.full((4,), 0.7), torch.ones(4, dtype=torch.bool)), image)


def test_lower_resolution_makes_steps_of_fewer_values() -> None:
    image, _ = batch((2, 1, 16, 16, 16))
    new = lowered(image, torch.tensor([0.25, 0.25]), chosen(0, count=2))
    assert torch.equal(new[1], image[1])
    assert float(new[0].std()) < 0.8 * float(image[0].std())
    smooth = torch.ones(1, 1, 16, 16, 16)
    torch.testing.assert_close(lowered(smooth, torch.tensor([0.5]), chosen(0, count=1)), smooth)


def test_full_resolution_changes_nothing() -> None:
    image, _ = batch()
    torch.testing.assert_close(lowered(image, torch.ones(3), chosen(0, 1, 2)), image)


@pytest.mark.parametrize(
    ("key", "value"), [("affine_share", 1.5), ("rotation_degrees", 181.0), ("scale", 1.0), ("low_resolution", 0.0)]
)
def test_settings_out_of_range_are_refused(key: str, value: float) -> None:
    with pytest.raises(ValidationError, match="Input should be"):
        AugmentConfig(**{key: value})
