"""Layers of blocks: those of MONAI's factories, and what loads MONAI."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest
import torch
from medseg.networks.block import BlockStyle
from medseg.networks.config import ActivationKind, NormKind
from medseg.networks.layers import AVG_POOL, BATCH_NORM, CONV, MAX_POOL, TRANSPOSED_CONV
from medseg.networks.norm import build_norm
from medseg.networks.pooling import AvgPool3d
from monai.networks.layers.factories import Conv, Norm, Pool
from monai.networks.layers.utils import get_act_layer, get_norm_layer

MONAI_ACTIVATIONS = {
    "relu": ("relu", {"inplace": True}),
    "leaky_relu": ("leakyrelu", {"negative_slope": 0.01, "inplace": True}),
    "prelu": ("prelu", {}),
    "gelu": ("gelu", {}),
    "silu": ("swish", {}),
}
WITHOUT_MONAI = """
import sys
from medseg.networks.segmentation import {config}, build_network
{built}
assert ("monai" in sys.modules) == {loads_monai}, sorted(sys.modules)
"""
OWN = "build_network(unet_2015())"
SEGRESNET = "build_network(SegResNetConfig(spatial_dims=2, in_channels=1, out_channels=2, init_filters=8))"


@pytest.mark.parametrize("dims", [2, 3])
def test_layers_are_those_of_monai_s_factories(dims: int) -> None:
    assert CONV[dims] is Conv[Conv.CONV, dims]
    assert TRANSPOSED_CONV[dims] is Conv[Conv.CONVTRANS, dims]
    assert MAX_POOL[dims] is Pool[Pool.MAX, dims]
    assert BATCH_NORM[dims] is Norm[Norm.BATCH, dims]
    assert AVG_POOL[dims] is (AvgPool3d if dims == 3 else Pool[Pool.AVG, dims])
    assert issubclass(AvgPool3d, Pool[Pool.AVG, 3])


@pytest.mark.parametrize("activation", get_args(ActivationKind))
def test_activations_and_their_weights_are_monai_s(activation: ActivationKind) -> None:
    ours, theirs = BlockStyle(3, "none", activation).act(), get_act_layer(MONAI_ACTIVATIONS[activation])
    x = torch.linspace(-5, 5, 1001)[None, None]
    torch.testing.assert_close(ours(x.clone()), theirs(x.clone()))
    torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()), rtol=0, atol=0)


@pytest.mark.parametrize(("kind", "name"), [("batch", "batch"), ("group", ("group", {"num_groups": 4}))])
@pytest.mark.parametrize("dims", [2, 3])
def test_norms_and_their_weights_are_monai_s(kind: NormKind, name: str | tuple[str, dict[str, int]], dims: int) -> None:
    ours = build_norm(kind, spatial_dims=dims, channels=12)
    theirs = get_norm_layer(name, spatial_dims=dims, channels=12)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = torch.randn(2, 12, *[5] * dims)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("config", "built", "loads_monai"),
    [("unet_2015", OWN, False), ("SegResNetConfig", "", False), ("SegResNetConfig", SEGRESNET, True)],
)
def test_monai_is_imported_only_for_a_network_of_its_own(config: str, built: str, loads_monai: bool) -> None:
    code = WITHOUT_MONAI.format(config=config, built=built, loads_monai=loads_monai)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
