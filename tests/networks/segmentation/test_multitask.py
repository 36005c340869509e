"""A UNet with a head of classes beside its decoder."""

from __future__ import annotations

import math

import pytest
import torch
from medseg.networks import NetworkConfig
from medseg.networks.segmentation import UNet, build_network
from medseg.networks.segmentation.multitask import MultitaskUNet, pooled

CONFIG = NetworkConfig(
    spatial_dims=3,
    in_channels=1,
    out_channels=2,
    channels=(4, 8),
    strides=((1, 1, 1), (2, 2, 1)),
    kernels=((3, 3, 3),) * 2,
    blocks=(1, 1),
    decoder_blocks=(1,),
)
WITH_HEAD = CONFIG.model_copy(update={"head_classes": 3})


def built(config: NetworkConfig) -> torch.nn.Module:
    torch.manual_seed(3)
    return build_network(config).eval()


def test_encoder_and_decoder_have_the_weights_that_a_seed_gives_a_unet() -> None:
    alone, both = built(CONFIG).state_dict(), built(WITH_HEAD).state_dict()
    assert isinstance(built(CONFIG), UNet)
    assert not isinstance(built(CONFIG), MultitaskUNet)
    assert set(both) - set(alone) == {"head.weight", "head.bias", "log_variances"}
    assert all(torch.equal(alone[name], both[name]) for name in alone)


@pytest.mark.parametrize("is_inferred", [True, False])
def test_masks_are_those_of_the_unet_and_evidence_lies_on_the_coarsest_stage(is_inferred: bool) -> None:
    alone, both = built(CONFIG), built(WITH_HEAD)
    image = torch.randn(2, 1, 8, 8, 6)
    assert isinstance(both, MultitaskUNet)
    with torch.inference_mode(is_inferred):
        logits, evidence = both.with_evidence(image)
        assert torch.equal(logits[0], alone(image))
        assert torch.equal(both(image), alone(image))
    assert evidence.shape == (2, 3, 4, 4, 6)


def test_network_without_a_head_is_written_as_before() -> None:
    assert "head_classes" not in CONFIG.model_dump()
    assert NetworkConfig.model_validate(WITH_HEAD.model_dump()) == WITH_HEAD


def test_pooled_is_between_mean_and_maximum_by_its_formula() -> None:
    evidence = torch.tensor([[[0.0, 0.0], [0.0, 2.0]]])
    expected = math.log((3 + math.exp(4 * 2.0)) / 4) / 4
    assert float(pooled(evidence, (1, 2))[0]) == pytest.approx(expected, rel=1e-6)
    assert evidence.mean() < expected < evidence.max()
    assert torch.allclose(pooled(torch.full((2, 5, 7), -1.5), (1, 2)), torch.full((2,), -1.5))
