"""nnU-Net's networks against their layers written out one by one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from medseg.inference.nnunet.source_network import source_network
from medseg.networks.segmentation import build_network
from medseg.networks.segmentation.nnunet import PlainConvUNetConfig
from medseg.networks.segmentation.nnunet_checkpoint import head_channels, load_renamed, renamed_weights
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from tests.inference.nnunet.folders import Made, configuration_of, weights_of

CONV = {2: functional.conv2d, 3: functional.conv3d}
UP = {2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
POOL = {2: functional.avg_pool2d, 3: functional.avg_pool3d}
KINDS = {
    "plain": Made(seed=1),
    "flat": Made(patch=(12, 16), spacing=(1.0, 1.0), seed=2),
    "residual": Made(is_residual=True, seed=3),
    "thick": Made(kernel=(1, 3, 3), stride=(1, 2, 2), seed=4),
}


class WrittenOut:
    """The forward pass of a model of two stages, by nnU-Net's own names of its weights."""

    def __init__(self, made: Made) -> None:
        self.made = made
        self.weights = weights_of(made, seed=made.seed)

    def conv(self, x: Tensor, name: str, *, stride: tuple[int, ...] | int = 1, is_activated: bool = True) -> Tensor:
        weight, bias = self.weights[f"{name}.conv.weight"], self.weights.get(f"{name}.conv.bias")
        padding = tuple(size // 2 for size in weight.shape[2:])
        x = CONV[self.made.dims](x, weight, bias, stride, padding)
        x = functional.instance_norm(
            x, weight=self.weights[f"{name}.norm.weight"], bias=self.weights[f"{name}.norm.bias"], eps=1e-5
        )
        return functional.leaky_relu(x, 0.01) if is_activated else x

    def block(self, x: Tensor, name: str, stride: tuple[int, ...] | int = 1) -> Tensor:
        y = self.conv(self.conv(x, f"{name}.conv1", stride=stride), f"{name}.conv2", is_activated=False)
        if stride != 1:
            x = POOL[self.made.dims](x, stride, stride)
        if f"{name}.skip.1.conv.weight" in self.weights:
            x = self.conv(x, f"{name}.skip.1", is_activated=False)
        return functional.leaky_relu(y + x, 0.01)

    def encoded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        stride = self.made.strides[1]
        if self.made.is_residual:
            fine = self.block(self.conv(x, "encoder.stem.convs.0"), "encoder.stages.0.blocks.0")
            coarse = self.block(fine, "encoder.stages.1.blocks.0", stride)
            return fine, self.block(coarse, "encoder.stages.1.blocks.1")
        fine = self.conv(self.conv(x, "encoder.stages.0.0.convs.0"), "encoder.stages.0.0.convs.1")
        coarse = self.conv(fine, "encoder.stages.1.0.convs.0", stride=stride)
        return fine, self.conv(coarse, "encoder.stages.1.0.convs.1")

    def __call__(self, x: Tensor) -> Tensor:
        fine, coarse = self.encoded(x)
        up = "decoder.transpconvs.0"
        x = UP[self.made.dims](coarse, self.weights[f"{up}.weight"], self.weights[f"{up}.bias"], self.made.strides[1])
        x = torch.cat([x, fine], dim=1)
        for number in range(2):
            x = self.conv(x, f"decoder.stages.0.convs.{number}")
        head = "decoder.seg_layers.0"
        return CONV[self.made.dims](x, self.weights[f"{head}.weight"], self.weights[f"{head}.bias"])


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_the_layers_written_out(kind: str) -> None:
    made = KINDS[kind]
    network = build_network(source_network(configuration_of(made), in_channels=1, out_channels=3)).eval()
    load_renamed(network, weights_of(made, seed=made.seed), source=Path("checkpoint"))
    x = torch.randn(1, 1, *made.patch, generator=torch.Generator().manual_seed(0))
    expected = WrittenOut(made)(x)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), expected, atol=2e-5, rtol=1e-4)
        last = network.to(memory_format=torch.channels_last_3d if made.dims == 3 else torch.channels_last)
        torch.testing.assert_close(last(x), expected, atol=1e-4, rtol=1e-4)


def test_only_the_finest_head_and_no_double_is_kept() -> None:
    weights = weights_of(KINDS["plain"], seed=0)
    finest = torch.ones(5, 4, 1, 1, 1)
    kept = renamed_weights(
        weights | {"decoder.seg_layers.1.weight": finest, "decoder.seg_layers.1.bias": torch.ones(5)}
    )
    assert kept["decoder.head.weight"] is not weights["decoder.seg_layers.0.weight"]
    torch.testing.assert_close(kept["decoder.head.weight"], finest)
    assert not [name for name in kept if "all_modules" in name or "seg_layers" in name or ".encoder." in name]
    assert head_channels(weights) == 3


def test_names_of_compiled_and_parallel_trainings_are_the_same() -> None:
    weights = weights_of(KINDS["residual"], seed=0)
    assert set(renamed_weights({f"_orig_mod.{name}": tensor for name, tensor in weights.items()})) == set(
        renamed_weights({f"module.{name}": tensor for name, tensor in weights.items()})
    )


def test_shape_that_does_not_fit_is_refused() -> None:
    good = source_network(configuration_of(KINDS["plain"]), in_channels=1, out_channels=3)
    assert isinstance(good, PlainConvUNetConfig)
    assert good.reduction == (2, 2, 2)
    for change, message in (
        ({"kernels": ((3, 3, 3),)}, "kernels must have 2 entries"),
        ({"kernels": ((2, 3, 3), (3, 3, 3))}, "kernels must be odd"),
        ({"strides": ((1, 1), (2, 2))}, "must have 3 axes"),
        ({"decoder_convs": (2, 2)}, "decoder_convs must have 1 entries"),
        ({"convs": (2, 0)}, "convs must be 2 numbers of at least 1"),
        ({"strides": ((1, 1, 1), (0, 2, 2))}, "at least 1"),
    ):
        with pytest.raises(ValidationError, match=message):
            PlainConvUNetConfig(**good.model_dump() | change)
