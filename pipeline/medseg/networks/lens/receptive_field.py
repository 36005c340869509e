"""Theoretical receptive fields: the part of the image that each layer can see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Self

from torch import fx, nn
from torch.nn.modules.conv import _ConvNd

from medseg.errors import ConfigError
from medseg.networks.lens.axis_field import AxisField
from medseg.networks.lens.layer_windows import is_global_pooling, layer_windows, sees_whole_image
from medseg.networks.lens.probe import convolutional_part
from medseg.networks.lens.trace import CONSTANTS, Trace, check_pointwise, trace
from medseg.networks.lens.window import Window


@dataclass(frozen=True, slots=True)
class Field:
    """Receptive fields of the units of a feature map.

    Attributes:
        axes: Fields along each axis.
    """

    axes: tuple[AxisField, ...]

    @property
    def size(self) -> tuple[int, ...]:
        """Voxels per axis that a unit sees, padding included; behind an upsampling, the most of all units."""
        return tuple(axis.size for axis in self.axes)

    @property
    def smallest_size(self) -> tuple[int, ...]:
        """Voxels per axis of the smallest field of any unit; differs from `size` only behind an upsampling."""
        return tuple(axis.smallest_size for axis in self.axes)

    @property
    def jump(self) -> tuple[Fraction, ...]:
        """Voxels per axis from one unit to the next: the product of the strides so far."""
        return tuple(axis.jump for axis in self.axes)

    @property
    def start(self) -> tuple[int, ...]:
        """First voxel per axis that unit 0 sees."""
        return tuple(axis.start for axis in self.axes)

    @property
    def centre(self) -> tuple[float, ...]:
        """Middle of the field of unit 0 per axis, in voxels from the centre of the first voxel."""
        return tuple(axis.centre for axis in self.axes)

    def interval(self, unit: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """First and last voxel per axis that a unit sees in an image without ends."""
        return tuple(axis.interval(place) for axis, place in zip(self.axes, unit, strict=True))

    def size_mm(self, spacing_mm: Sequence[float]) -> tuple[float, ...]:
        """The size in millimetres."""
        return tuple(size * spacing for size, spacing in zip(self.size, spacing_mm, strict=True))

    def through(self, windows: Sequence[Window]) -> Self:
        """Fields behind a layer."""
        return type(self)(tuple(axis.through(window) for axis, window in zip(self.axes, windows, strict=True)))

    def joined(self, other: Field) -> Self:
        """Fields of the sum or concatenation of two feature maps."""
        return type(self)(tuple(a.joined(b) for a, b in zip(self.axes, other.axes, strict=True)))


@dataclass(frozen=True, slots=True)
class LayerField:
    """A line of the derivation.

    Attributes:
        name: Name of the layer.
        kind: Class of the layer, such as `Conv3d` or `MaxPool2d`.
        windows: Kernel, stride, dilation and padding along each axis.
        field: Field of the layer's output.
    """

    name: str
    kind: str
    windows: tuple[Window, ...]
    field: Field

    @property
    def kernel(self) -> tuple[int, ...]:
        """Taps per axis."""
        return tuple(window.kernel for window in self.windows)

    @property
    def stride(self) -> tuple[int, ...]:
        """Stride per axis; for an upsampling, its factor."""
        return tuple(window.stride for window in self.windows)

    @property
    def dilation(self) -> tuple[int, ...]:
        """Units from tap to tap per axis."""
        return tuple(window.dilation for window in self.windows)


@dataclass(frozen=True, slots=True)
class ReceptiveFields:
    """Receptive fields of each part of a network.

    Attributes:
        layers: Field of every layer with a window of more than a voxel or a change of grid, and of 1×1 convolutions, in
            the order in which the image passes them.
        modules: Field of the output of every module by its name, in the order in which they end; "" is the network.
        output: Field of the network's output.
        mixers: Names of the layers that also mix the whole image, by the statistics of an instance or group norm or by
            squeeze and excitation; the fields are those of the convolutions alone.
    """

    layers: tuple[LayerField, ...]
    modules: dict[str, Field]
    output: Field
    mixers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of an imagined network.

    Attributes:
        name: Name of the layer.
        kernel: Number of taps along each axis.
        stride: Stride along each axis; None is 1.
        dilation: Dilation along each axis; None is 1.
        padding: Padding along each axis; None keeps the size for an odd kernel.
    """

    name: str
    kernel: tuple[int, ...]
    stride: tuple[int, ...] | None = None
    dilation: tuple[int, ...] | None = None
    padding: tuple[int, ...] | None = None

    @property
    def windows(self) -> tuple[Window, ...]:
        """Window along each axis."""
        ones = (1,) * len(self.kernel)
        dilation = self.dilation or ones
        same = tuple(d * (k - 1) // 2 for k, d in zip(self.kernel, dilation, strict=True))
        padding = same if self.padding is None else self.padding
        return tuple(
            Window(*values) for values in zip(self.kernel, self.stride or ones, dilation, padding, strict=True)
        )


def derive_fields(layers: Sequence[Layer]) -> tuple[LayerField, ...]:
    """Receptive fields of layers that follow each other, step by step.

    Each layer adds `(kernel - 1) · dilation · jump` to the field, where the jump is the product of the strides before
    it; then its own stride multiplies the jump.

    Args:
        layers: Layers in order, the first on the image.

    Source: Araujo et al. 2019, https://distill.pub/2019/computing-receptive-fields, equations 1 and 2.
    """
    rows: list[LayerField] = []
    for layer in layers:
        before = rows[-1].field if rows else Field((AxisField(),) * len(layer.kernel))
        rows.append(LayerField(layer.name, "Layer", layer.windows, before.through(layer.windows)))
    return tuple(rows)


def receptive_fields(network: nn.Module) -> ReceptiveFields:
    """Receptive fields of a network as it is built, every path through it included.

    The fields are derived from the network's own modules: where paths meet (residual and dense blocks, inception
    modules, a UNet's skips), a unit sees from the lowest to the highest voxel that any path sees.

    In a UNet the path through the coarsest stage sees most of the image. Counted back from one unit, w units of a grid
    need `w + kernel - 1` before a convolution and, before a transposed convolution of stride s, between `⌈w / s⌉` and
    `⌈(w - 1) / s⌉ + 1`, depending on their position; the w units of the coarsest stage see `size + (w - 1) · jump`
    voxels. Every position is calculated here, and the widest field gives the `size`.

    Args:
        network: UNet, or any module of PyTorch's layers up to its linear ones. For a classifier only the body is used,
            and names are those within it. Weights have no effect, and may be on the meta device.

    Raises:
        ConfigError: If the window of a layer's kind is not known.
    """
    network = convolutional_part(network)
    axes = _spatial_axes(network)
    traced = trace(network)
    fields: dict[fx.Node, Field | None] = {}
    rows: list[LayerField] = []
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            fields[node] = Field((AxisField(),) * axes)
        elif node.op == "call_module":
            fields[node] = _field_behind(node, traced, fields, rows, axes=axes)
        elif node.op != "output" and node.target not in CONSTANTS:
            seen = [fields[one] for one in node.all_input_nodes]
            known = [field for field in seen if field is not None]
            if known:
                check_pointwise(node)
            fields[node] = reduce(Field.joined, known) if known else None
        else:
            fields[node] = None
    modules = {name: field for name, node in traced.outputs.items() if (field := fields[node]) is not None}
    if "" not in modules:
        fact = f"receptive field: {type(network).__name__} must give out one feature map"
        raise ConfigError(fact, remedy="look at a part of it, such as one of its modules")
    mixers = tuple(name for name, module in traced.modules.items() if sees_whole_image(module))
    return ReceptiveFields(tuple(rows), modules, modules[""], mixers)


def _field_behind(
    node: fx.Node, traced: Trace, fields: dict[fx.Node, Field | None], rows: list[LayerField], *, axes: int
) -> Field | None:
    """Field of a layer's output; None behind a global pooling, which has no window."""
    name = str(node.target)
    module, before = traced.modules[name], fields[node.all_input_nodes[0]]
    if before is None or is_global_pooling(module):
        return None
    windows = layer_windows(module, axes=axes)
    if windows is None:
        return before
    field = before.through(windows)
    rows.append(LayerField(name, type(module).__name__, windows, field))
    return field


def _spatial_axes(network: nn.Module) -> int:
    for module in network.modules():
        if isinstance(module, _ConvNd):
            return len(module.kernel_size)
    raise ConfigError(f"receptive field: {type(network).__name__} must have a convolution, got none")
