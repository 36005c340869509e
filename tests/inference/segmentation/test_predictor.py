"""Whole volumes out of networks whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from medseg.errors import CheckpointError, GeometryError
from medseg.geometry import Geometry
from medseg.inference.segmentation import InferenceConfig, ModelCard, Predictor, save_card
from medseg.inference.segmentation.predictor import whole_volume_probabilities
from medseg.inference.slab import Slab
from medseg.networks import load_weights, save_weights
from medseg.networks.segmentation import UNet
from medseg.preprocess import BodyCrop, ChannelNormalisation, PreprocessConfig
from medseg.records import Array, Scan
from torch import Tensor, nn

from tests.labels import labels_of

CPU = torch.device("cpu")
CardBuilder = Callable[..., ModelCard]


class Steps(nn.Module):
    """Knows the answer: the class of a voxel is its intensity, rounded, in 2D and 3D."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shapes.append(tuple(x.shape))
        return torch.cat([-20 * (x - value).abs() for value in range(3)], dim=1)


class Sideways(nn.Module):
    """Gives class 1 the logit of the voxel's index along the first axis within its window, class 0 none."""

    def forward(self, x: Tensor) -> Tensor:
        ramp = torch.arange(x.shape[2], dtype=x.dtype).view(1, 1, -1, 1, 1).expand_as(x)
        return torch.cat([torch.zeros_like(x), ramp], dim=1)


def levels(shape: tuple[int, ...], seed: int = 0) -> Array:
    """Random whole intensities 0, 1 and 2."""
    return np.random.default_rng(seed).integers(0, 3, shape).astype(np.float32)


def test_mask_of_an_oblique_flipped_scan_is_exact_on_its_own_grid(build_card: CardBuilder, oblique: Geometry) -> None:
    array = levels(oblique.shape)
    mask = Predictor(Steps(), build_card(), device=CPU, precision="fp32").mask(Scan(array[None], oblique))
    assert mask.shape == oblique.shape
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, np.array([0, 3, 7])[array.astype(int)])


def test_classes_are_label_values_in_rising_order_whatever_the_order_of_names(
    build_card: CardBuilder, oblique: Geometry
) -> None:
    card = build_card(labels={"tumour": 300, "background": 0, "organ": 4})
    array = levels(oblique.shape)
    mask = Predictor(Steps(), card, device=CPU, precision="fp32").mask(Scan(array[None], oblique))
    assert mask.dtype == np.uint16
    np.testing.assert_array_equal(mask, np.array([0, 4, 300])[array.astype(int)])


def test_mask_from_a_coarser_grid_has_the_volume_of_the_organ(build_card: CardBuilder) -> None:
    geometry = Geometry((30, 24, 16), np.diag([1.0, -1.5, 2.0, 1.0]))
    array = np.zeros((1, *geometry.shape), np.float32)
    array[0, 6:20, 6:18, 4:12] = 1.0
    preprocess = PreprocessConfig(
        axcodes="RAS", spacing_mm=(2.0, 2.0, 2.0), normalisation=(ChannelNormalisation(kind="none"),)
    )
    predictor = Predictor(Steps(), build_card(preprocess=preprocess), device=CPU, precision="fp32")
    mask = predictor.mask(Scan(array, geometry))
    both = ((mask == 3) & (array[0] == 1)).sum()
    assert 2 * both / ((mask == 3).sum() + (array == 1).sum()) > 0.9


@pytest.mark.parametrize("shape", [(5, 5, 5), (8, 8, 8), (3, 21, 8), (19, 10, 23)])
def test_scans_smaller_and_larger_than_the_patch_are_covered(
    build_card: CardBuilder, shape: tuple[int, int, int]
) -> None:
    network = Steps()
    array = levels(shape)
    mask = Predictor(network, build_card(), device=CPU, precision="fp32").mask(
        Scan(array[None], Geometry(shape, np.eye(4)))
    )
    np.testing.assert_array_equal(mask, np.array([0, 3, 7])[array.astype(int)])
    assert {seen[2:] for seen in network.shapes} == {(8, 8, 8)}


@pytest.mark.parametrize("shape", [(20, 12, 1), (20, 12, 5), (6, 6, 1)])
def test_network_in_2d_runs_slice_by_slice_on_pictures_and_volumes(
    build_card: CardBuilder, shape: tuple[int, int, int]
) -> None:
    card = build_card(
        network=build_card().network.model_copy(
            update={"spatial_dims": 2, "strides": ((1, 1), (2, 2)), "kernels": ((3, 3), (3, 3))}
        ),
        preprocess=PreprocessConfig(axcodes=None, normalisation=(ChannelNormalisation(kind="none"),)),
        inference=InferenceConfig(patch_size=(8, 8, 1), batch_size=3),
    )
    network = Steps()
    array = levels(shape)
    mask = Predictor(network, card, device=CPU, precision="fp32").mask(Scan(array[None], Geometry(shape, np.eye(4))))
    np.testing.assert_array_equal(mask, np.array([0, 3, 7])[array.astype(int)])
    assert {seen[1:] for seen in network.shapes} == {(1, 8, 8)}
    assert max(seen[0] for seen in network.shapes) <= 3


@pytest.mark.parametrize("flat", [0, 1, 2])
def test_single_slice_along_any_axis_is_a_picture_to_a_2d_network(build_card: CardBuilder, flat: int) -> None:
    sides = [12, 10]
    sides.insert(flat, 1)
    shape = (sides[0], sides[1], sides[2])
    card = build_card(
        preprocess=PreprocessConfig(axcodes=None, normalisation=(ChannelNormalisation(kind="none"),)),
        inference=InferenceConfig(patch_size=(8, 8, 1)),
    )
    array = levels(shape)
    mask = Predictor(Steps(), card, device=CPU, precision="fp32").mask(Scan(array[None], Geometry(shape, np.eye(4))))
    np.testing.assert_array_equal(mask, np.array([0, 3, 7])[array.astype(int)])


def test_probabilities_sum_to_one_in_float32(build_card: CardBuilder) -> None:
    image = torch.from_numpy(levels((1, 11, 9, 10)))
    predictor = Predictor(
        UNet(build_card().network), build_card(inference=InferenceConfig(patch_size=(8, 8, 8), mirror_axes=(0, 2))),
        device=CPU, precision="fp32",
    )  # fmt: skip
    probabilities = predictor.probabilities(image)
    assert probabilities.shape == (3, 11, 9, 10)
    assert probabilities.dtype == torch.float32
    torch.testing.assert_close(probabilities.sum(0), torch.ones(11, 9, 10))


def test_flipped_copies_of_an_asymmetric_network_are_averaged_as_probabilities() -> None:
    image = torch.zeros(1, 4, 4, 4)
    ramp = torch.arange(4.0)
    plain = torch.sigmoid(ramp)
    both = (torch.sigmoid(ramp) + torch.sigmoid(ramp.flip(0))) / 2
    for axes, expected in (((), plain), ((0,), both), ((1,), plain), ((0, 1, 2), both)):
        config = InferenceConfig(patch_size=(4, 4, 4), mirror_axes=axes)
        found = whole_volume_probabilities(
            Sideways(), image, config, target=labels_of(0, 1), device=CPU, precision="fp32"
        )[1]
        torch.testing.assert_close(found, expected.view(-1, 1, 1).expand(4, 4, 4))


def test_every_combination_of_mirror_axes_is_predicted_once() -> None:
    network = Steps()
    config = InferenceConfig(patch_size=(4, 4, 4), mirror_axes=(0, 1, 2))
    whole_volume_probabilities(
        network, torch.zeros(1, 4, 4, 4), config, target=labels_of(0, 1), device=CPU, precision="fp32"
    )
    assert len(network.shapes) == 2**3


def test_network_is_put_into_evaluation_mode(build_card: CardBuilder) -> None:
    network = nn.Sequential(nn.Dropout(0.5)).train()
    assert not Predictor(network, build_card(), device=CPU).network.training


def test_loaded_model_predicts_as_the_saved_one(build_card: CardBuilder, tmp_path: Path) -> None:
    card = build_card()
    torch.manual_seed(1)
    network = UNet(card.network)
    save_card(card, tmp_path)
    save_weights(network.state_dict(), tmp_path / "last.safetensors")
    image = torch.from_numpy(levels((1, 8, 8, 8)))
    loaded = Predictor.load(tmp_path, device=CPU, precision="fp32")
    saved = Predictor(network, card, device=CPU, precision="fp32")
    assert loaded.card == card
    assert torch.equal(loaded.probabilities(image), saved.probabilities(image))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["last.safetensors", "model.json"]


def test_chosen_weights_are_loaded(build_card: CardBuilder, tmp_path: Path) -> None:
    card = build_card()
    save_card(card, tmp_path)
    for seed, name in enumerate(("last", "best")):
        torch.manual_seed(seed)
        save_weights(UNet(card.network).state_dict(), tmp_path / f"{name}.safetensors")
    torch.manual_seed(1)
    expected = UNet(card.network).state_dict()
    found = Predictor.load(tmp_path, weights="best", device=CPU).network.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_missing_weights_are_named(build_card: CardBuilder, tmp_path: Path) -> None:
    save_card(build_card(), tmp_path)
    with pytest.raises(CheckpointError, match=r"last\.safetensors: must be readable"):
        Predictor.load(tmp_path, device=CPU)


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b"", lambda whole: b"\xff" * 99]
)
def test_damaged_weights_are_refused(build_card: CardBuilder, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    card = build_card()
    save_card(card, tmp_path)
    path = tmp_path / "last.safetensors"
    save_weights(UNet(card.network).state_dict(), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match="must be readable"):
        Predictor.load(tmp_path, device=CPU)


def test_weights_of_another_network_are_refused(build_card: CardBuilder, tmp_path: Path) -> None:
    config = build_card().network
    path = tmp_path / "last.safetensors"
    save_weights(UNet(config).state_dict(), path)
    with pytest.raises(CheckpointError, match="must fit the network"):
        load_weights(UNet(config.model_copy(update={"channels": (4, 12)})), path)


def test_model_without_a_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model\.json must be readable"):
        Predictor.load(tmp_path, device=CPU)


def body_card(build_card: CardBuilder, **settings: object) -> ModelCard:
    body = BodyCrop(above=(None,), margin_mm=0)
    return build_card(
        preprocess=PreprocessConfig(
            axcodes="RAS", normalisation=(ChannelNormalisation(kind="none"),), body=body, **settings
        )
    )


def padded(geometry: Geometry) -> Scan:
    """Levels 1 and 2 in the middle of zeros."""
    array = np.zeros((1, *geometry.shape), np.float32)
    array[0, 2:-3, 1:-2, 1:-1] = np.maximum(1, levels(geometry.shape))[2:-3, 1:-2, 1:-1]
    return Scan(array, geometry)


def test_mask_of_a_scan_that_is_cropped_to_the_body_lies_on_its_whole_grid(
    build_card: CardBuilder, oblique: Geometry
) -> None:
    scan, network = padded(oblique), Steps()
    mask = Predictor(network, body_card(build_card), device=CPU, precision="fp32").mask(scan)
    assert mask.shape == oblique.shape
    np.testing.assert_array_equal(mask, np.array([0, 3, 7])[scan.array[0].astype(int)])
    whole = Steps()
    Predictor(whole, build_card(), device=CPU, precision="fp32").mask(scan)
    assert sum(shape[0] for shape in network.shapes) <= sum(shape[0] for shape in whole.shapes)


class AlwaysTwo(nn.Module):
    """Finds class 2 everywhere."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x * 0, x * 0, x * 0 + 9], dim=1)


def test_outside_of_the_body_a_mask_is_background(build_card: CardBuilder, oblique: Geometry) -> None:
    scan = padded(oblique)
    mask = Predictor(AlwaysTwo(), body_card(build_card, spacing_mm=(2.0, 2.0, 2.0)), device=CPU).mask(scan)
    expected = np.zeros(oblique.shape, np.uint8)
    expected[2:-3, 1:-2, 1:-1] = 7
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slab_of_a_cropped_scan_is_that_of_its_mask(build_card: CardBuilder, oblique: Geometry, axis: int) -> None:
    scan = padded(oblique)
    predictor = Predictor(Steps(), body_card(build_card, spacing_mm=(1.7, 2.1, 2.0)), device=CPU, precision="fp32")
    whole, size = predictor.mask(scan), oblique.shape[axis]
    for start, stop in ((0, 1), (0, 3), (2, size - 1), (size - 1, size), (0, size), (2, 2)):
        expected = np.zeros_like(whole)
        place = tuple(slice(start, stop) if n == axis else slice(None) for n in range(3))
        expected[place] = whole[place]
        np.testing.assert_array_equal(predictor.mask(scan, slab=Slab(axis, start, stop)), expected)
    with pytest.raises(GeometryError, match="crop must hold at least one of"):
        predictor.mask(scan, slab=Slab(axis, 0, size + 1))
