"""The UNet's encoder as the body of a classifier."""

from __future__ import annotations

from torch import Tensor, nn

from medseg.networks.classification.backbone import Backbone, mean_over_picture
from medseg.networks.classification.config import ClassifierConfig
from medseg.networks.encoder import Encoder


def build_encoder(config: ClassifierConfig) -> Backbone:
    """The encoder that `config.encoder` describes, with `config.in_channels`, followed by the mean over the picture."""
    if config.encoder is None:
        raise ValueError("config.encoder must be given")
    network = config.encoder.model_copy(update={"in_channels": config.in_channels})
    return Backbone(EncoderBody(Encoder(network)), mean_over_picture(), network.channels[-1])


class EncoderBody(nn.Module):
    """An encoder that returns only its coarsest feature map."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        """X `(B, C, H, W)` to `(B, channels[-1], h, w)`."""
        features: list[Tensor] = self.encoder(x)
        return features[-1]
