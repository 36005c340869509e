"""The blocks of a stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from torch import Tensor, nn

from medseg.networks.config import ActivationKind, BlockKind, NormKind, ShortcutKind
from medseg.networks.layers import AVG_POOL, CONV
from medseg.networks.norm import build_norm

_ACTIVATIONS: Mapping[ActivationKind, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),
    "leaky_relu": partial(nn.LeakyReLU, negative_slope=0.01, inplace=True),
    "prelu": nn.PReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class BlockStyle:
    """The settings that all blocks of a network share: dimensions, norm, activation and the stride of a shortcut."""

    def __init__(
        self, spatial_dims: int, norm: NormKind, activation: ActivationKind, *, shortcut: ShortcutKind = "averaged"
    ) -> None:
        self.spatial_dims = spatial_dims
        self.norm = norm
        self.activation = activation
        self.shortcut = shortcut

    def conv(self, inputs: int, outputs: int, *, kernel: Sequence[int], stride: Sequence[int]) -> nn.Module:
        """A convolution with padding, so that only its stride changes the size; it has a bias if no norm follows."""
        padding = tuple(size // 2 for size in kernel)
        has_bias = self.norm == "none"
        return CONV[self.spatial_dims](inputs, outputs, tuple(kernel), tuple(stride), padding, bias=has_bias)

    def conv_norm(self, inputs: int, outputs: int, *, kernel: Sequence[int], stride: Sequence[int]) -> nn.Sequential:
        """A convolution and its norm."""
        norm = build_norm(self.norm, spatial_dims=self.spatial_dims, channels=outputs)
        return nn.Sequential(self.conv(inputs, outputs, kernel=kernel, stride=stride), norm)

    def act(self) -> nn.Module:
        """The activation."""
        return _ACTIVATIONS[self.activation]()

    @property
    def unit(self) -> tuple[int, ...]:
        """A kernel or stride of 1 along every axis."""
        return (1,) * self.spatial_dims


def build_block(
    kind: BlockKind, style: BlockStyle, inputs: int, outputs: int, *, kernel: Sequence[int], stride: Sequence[int]
) -> nn.Module:
    """A block of the given kind."""
    blocks = {"plain": PlainBlock, "residual": BasicResidualBlock, "bottleneck": BottleneckResidualBlock}
    block: nn.Module = blocks[kind](style, inputs, outputs, kernel=kernel, stride=stride)
    return block


class PlainBlock(nn.Module):
    """Two convolutions, each with norm and activation.

    Source: Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597, fig. 1.
    """

    def __init__(
        self, style: BlockStyle, inputs: int, outputs: int, *, kernel: Sequence[int], stride: Sequence[int]
    ) -> None:
        super().__init__()
        self.first = style.conv_norm(inputs, outputs, kernel=kernel, stride=stride)
        self.second = style.conv_norm(outputs, outputs, kernel=kernel, stride=style.unit)
        self.act = style.act()

    def forward(self, x: Tensor) -> Tensor:
        """X `(B, C, …)` to `(B, outputs, …)`."""
        return self.act(self.second(self.act(self.first(x))))  # type: ignore[no-any-return]  # nn.Module is untyped


class BasicResidualBlock(nn.Module):
    """Two convolutions beside a shortcut.

    Source: He et al. 2015, https://arxiv.org/abs/1512.03385, fig. 2; unless the style says otherwise, the strided
    shortcut averages before its 1×1 convolution (He et al. 2018, https://arxiv.org/abs/1812.01187, ResNet-D).
    """

    def __init__(
        self, style: BlockStyle, inputs: int, outputs: int, *, kernel: Sequence[int], stride: Sequence[int]
    ) -> None:
        super().__init__()
        self.first = style.conv_norm(inputs, outputs, kernel=kernel, stride=stride)
        self.second = style.conv_norm(outputs, outputs, kernel=kernel, stride=style.unit)
        self.shortcut = build_shortcut(style, inputs, outputs, stride=stride)
        self.act = style.act()

    def forward(self, x: Tensor) -> Tensor:
        """X `(B, C, …)` to `(B, outputs, …)`."""
        return self.act(self.second(self.act(self.first(x))) + self.shortcut(x))  # type: ignore[no-any-return]  # as above


class BottleneckResidualBlock(nn.Module):
    """A convolution between two 1×1 convolutions, a quarter as wide, beside a shortcut.

    Source: He et al. 2015, https://arxiv.org/abs/1512.03385, fig. 5.
    """

    def __init__(
        self, style: BlockStyle, inputs: int, outputs: int, *, kernel: Sequence[int], stride: Sequence[int]
    ) -> None:
        super().__init__()
        width = outputs // 4
        self.reduce = style.conv_norm(inputs, width, kernel=style.unit, stride=style.unit)
        self.middle = style.conv_norm(width, width, kernel=kernel, stride=stride)
        self.expand = style.conv_norm(width, outputs, kernel=style.unit, stride=style.unit)
        self.shortcut = build_shortcut(style, inputs, outputs, stride=stride)
        self.act = style.act()

    def forward(self, x: Tensor) -> Tensor:
        """X `(B, C, …)` to `(B, outputs, …)`."""
        features = self.act(self.middle(self.act(self.reduce(x))))
        return self.act(self.expand(features) + self.shortcut(x))  # type: ignore[no-any-return]  # as above


def build_shortcut(style: BlockStyle, inputs: int, outputs: int, *, stride: Sequence[int]) -> nn.Module:
    """Layers that bring a block's input to the shape of its output; an identity if the shapes are the same.

    `averaged`: average pooling over the stride, and a 1×1 convolution where the width changes (ResNet-D).
    `strided`: one strided 1×1 convolution, which skips pixels (the paper's option B, and torchvision's weights).
    """
    if inputs == outputs and max(stride) == 1:
        return nn.Identity()
    if style.shortcut == "strided":
        return nn.Sequential(style.conv_norm(inputs, outputs, kernel=style.unit, stride=stride))
    layers: list[nn.Module] = []
    if max(stride) > 1:
        layers.append(AVG_POOL[style.spatial_dims](tuple(stride), tuple(stride), ceil_mode=True))
    if inputs != outputs:
        layers.append(style.conv_norm(inputs, outputs, kernel=style.unit, stride=style.unit))
    return nn.Sequential(*layers)
