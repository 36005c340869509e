"""The window of a layer: the units of its input that a unit of its output is computed from, along one axis."""

from __future__ import annotations

from typing import Literal, NamedTuple

WindowKind = Literal["convolution", "transposed", "linear", "nearest"]


class Window(NamedTuple):
    """A layer along one axis.

    Attributes:
        kernel: Number of taps.
        stride: Units of the input per unit of the output for `convolution`; units of the output per unit of the input
            for the other kinds.
        dilation: Units from tap to tap.
        padding: Units added in front of the input, or for `transposed` taken from the front of the output.
        kind: Kind of layer: `convolution` (and pooling), `transposed` convolution, `linear` or `nearest` interpolation.
    """

    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    padding: int = 0
    kind: WindowKind = "convolution"

    @property
    def down(self) -> int:
        """Factor by which the layer reduces the axis."""
        return self.stride if self.kind == "convolution" else 1

    @property
    def up(self) -> int:
        """Factor by which the layer enlarges the axis."""
        return 1 if self.kind == "convolution" else self.stride

    def taps(self, output: int) -> list[int]:
        """Units of the input that a unit of the output is computed from; negative in the padding."""
        if self.kind == "nearest":
            return [output // self.stride]
        if self.kind == "linear":
            # The unit's middle lies at (output + 1/2) / stride - 1/2 on the input's grid.
            place, whole = 2 * output + 1 - self.stride, 2 * self.stride
            return [place // whole, -(-place // whole)]
        offsets = [tap * self.dilation for tap in range(self.kernel)]
        if self.kind == "convolution":
            return [output * self.stride - self.padding + offset for offset in offsets]
        places = [output + self.padding - offset for offset in offsets]
        return [place // self.stride for place in places if place % self.stride == 0]
