"""The UNet: an encoder and a decoder."""

from __future__ import annotations

from torch import Tensor, nn

from medseg.networks.config import NetworkConfig
from medseg.networks.cut import CutTo
from medseg.networks.encoder import Encoder
from medseg.networks.segmentation.decoder import Decoder


class UNet(nn.Module):
    """Residual-encoder UNet in 2D or 3D.

    Args:
        config: Shape of the network; see `unet_2015` for the original.

    Where the first stage is strided, a transposed convolution of the same stride brings its logits to the image's grid,
    so that no feature map has to be as fine as the image.

    Source: Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597; Isensee et al. 2024,
    https://arxiv.org/abs/2404.09556 (residual encoders).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config, channels=self.encoder.channels, strides=self.encoder.strides)
        self.cut = CutTo()

    def forward(self, x: Tensor) -> Tensor:
        """Image `(B, in_channels, I, J[, K])` to logits `(B, out_channels, I, J[, K])`."""
        return self.scales(x)[0]

    def scales(self, x: Tensor) -> list[Tensor]:
        """Logits of every supervised stage, finest first; one entry without deep supervision."""
        logits: list[Tensor] = self.decoder(self.encoder(x))
        return [self.cut(logits[0], x), *logits[1:]]


def unet_2015(*, in_channels: int = 1, out_channels: int = 2) -> NetworkConfig:
    """The configuration of the original UNet, 31.0 M parameters with one input channel and two classes.

    Convolutions here are padded, unlike the original's, which does not change the parameters.

    Source: Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597, fig. 1.
    """
    return NetworkConfig(
        spatial_dims=2,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=(64, 128, 256, 512, 1024),
        strides=((1, 1), (2, 2), (2, 2), (2, 2), (2, 2)),
        kernels=((3, 3),) * 5,
        blocks=(1,) * 5,
        decoder_blocks=(2,) * 4,
        block="plain",
        norm="none",
        activation="relu",
        downsampling="maxpool",
    )
