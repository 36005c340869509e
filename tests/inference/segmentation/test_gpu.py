"""A predictor on a GPU says what it says on the CPU: probabilities, masks, and parts of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from medseg.geometry import Geometry
from medseg.inference import Slab
from medseg.inference.segmentation import InferenceConfig, ModelCard, Predictor
from medseg.inference.segmentation.ensemble import Ensemble
from medseg.networks import NetworkConfig
from medseg.networks.segmentation import UNet
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.records import Scan

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("exact_arithmetic")]
CardBuilder = Callable[..., ModelCard]
CPU = torch.device("cpu")


@pytest.fixture(params=["3D", "2D"])
def card(request: pytest.FixtureRequest, build_card: CardBuilder) -> ModelCard:
    """Overlapping, flipped windows on a grid that is not the scan's."""
    is_2d = request.param == "2D"
    axes = 2 if is_2d else 3
    network = NetworkConfig(
        spatial_dims=axes, in_channels=1, out_channels=3, channels=(4, 8), strides=((1,) * axes, (2,) * axes),
        kernels=((3,) * axes,) * 2, blocks=(1, 1), decoder_blocks=(1,),
    )  # fmt: skip
    window = (8, 8, 1) if is_2d else (8, 8, 8)
    return build_card(
        network=network,
        preprocess=PreprocessConfig(spacing_mm=(1.7, 1.9, 2.1), normalisation=(ChannelNormalisation(kind="zscore"),)),
        inference=InferenceConfig(patch_size=window, overlap=0.5, mirror_axes=(0, 1)),
    )


def predictors(card: ModelCard, accelerator: torch.device, precision: str = "fp32") -> list[Predictor]:
    """The same random network on both devices."""
    made = []
    for device in (CPU, accelerator):
        torch.manual_seed(1)
        network = UNet(card.network)
        made.append(Predictor(network, card, device=device, precision=precision))  # type: ignore[arg-type]
    return made


def noise(geometry: Geometry) -> Scan:
    """A scan of noise."""
    return Scan(np.random.default_rng(0).normal(size=(1, *geometry.shape)).astype(np.float32), geometry)


def test_probabilities_agree(card: ModelCard, accelerator: torch.device) -> None:
    image = torch.randn(1, 19, 14, 11, generator=torch.Generator().manual_seed(0))
    ours, theirs = (predictor.probabilities(image) for predictor in predictors(card, accelerator))
    assert theirs.device.type == accelerator.type
    assert float((ours - theirs.cpu()).abs().max()) < 1e-4


def test_bfloat16_probabilities_are_close_to_float32_s(card: ModelCard, accelerator: torch.device) -> None:
    image = torch.randn(1, 19, 14, 11, generator=torch.Generator().manual_seed(0))
    exact = predictors(card, accelerator)[0].probabilities(image)
    rounded = predictors(card, accelerator, "bf16")[1].probabilities(image).cpu()
    assert rounded.dtype == torch.float32
    assert float((exact - rounded).abs().mean()) < 0.01


@pytest.mark.parametrize("slab", [None, Slab(1, 3, 11)], ids=["whole", "slab"])
def test_masks_agree_on_an_oblique_grid(
    card: ModelCard, oblique: Geometry, accelerator: torch.device, slab: Slab | None
) -> None:
    ours, theirs = (predictor.mask(noise(oblique), slab=slab) for predictor in predictors(card, accelerator))
    assert ours.shape == theirs.shape == oblique.shape
    assert len(np.unique(ours)) > 1
    assert float((ours == theirs).mean()) > 0.999  # two classes may be as likely as each other


def test_masks_of_an_ensemble_agree(card: ModelCard, accelerator: torch.device) -> None:
    other = card.model_copy(update={"preprocess": card.preprocess.model_copy(update={"spacing_mm": None})})
    geometry = Geometry((19, 14, 11), np.diag([1.3, 1.6, 2.4, 1.0]))
    pairs = [predictors(one, accelerator) for one in (card, other)]
    ours, theirs = (Ensemble(members).prepare(noise(geometry)).draw() for members in zip(*pairs, strict=True))
    assert len(np.unique(ours.mask)) > 1
    assert float((ours.mask == theirs.mask).mean()) > 0.999
