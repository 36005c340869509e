"""The windows of PyTorch's layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.nn.modules import activation, batchnorm, dropout, instancenorm, normalization
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.padding import _ConstantPadNd
from torch.nn.modules.pooling import _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd, _AvgPoolNd, _MaxPoolNd

from medseg.errors import ConfigError
from medseg.networks.lens.window import Window, WindowKind
from medseg.networks.norm import InstanceNorm

WHOLE_IMAGE_NORMS = (
    InstanceNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.GroupNorm,
)
"""Normalisations that compute with the whole feature map's mean and deviation."""

_POINTWISE_HOMES = {
    *(module.__name__ for module in (activation, batchnorm, dropout, instancenorm, normalization)),
    "monai.networks.blocks.activation",
    "medseg.networks.cut",
    "medseg.networks.norm",
}


def layer_windows(module: nn.Module, *, axes: int) -> tuple[Window, ...] | None:
    """The window of a layer along each axis; None if it works voxel by voxel.

    Normalisations count as voxel by voxel: the statistics that they share are left out.

    Args:
        module: Layer without children.
        axes: Number of spatial axes.

    Raises:
        ConfigError: If the window of such a layer is not known.
    """
    if isinstance(module, _ConvNd):
        return _convolution(module, axes)
    if isinstance(module, _MaxPoolNd | _AvgPoolNd):
        dilation = getattr(module, "dilation", 1)
        return _windows(axes, module.kernel_size, module.stride, dilation, module.padding)
    if isinstance(module, nn.Upsample):
        return _upsampling(module, axes)
    if isinstance(module, _ConstantPadNd):
        return tuple(Window(padding=int(pad)) for pad in tuple(module.padding)[-2::-2])
    if isinstance(module, nn.Identity) or type(module).__module__ in _POINTWISE_HOMES:
        return None
    raise ConfigError(
        f"receptive field: layers must be convolutions, pooling, upsampling, norms or activations, got "
        f"{type(module).__name__}",
        remedy="look at the part of the network before it",
    )


def sees_whole_image(module: nn.Module) -> bool:
    """Whether a layer mixes the whole feature map, by its statistics or by global pooling."""
    return isinstance(module, (*WHOLE_IMAGE_NORMS, _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd))


def is_global_pooling(module: nn.Module) -> bool:
    """Whether a layer pools the whole feature map, whatever its size."""
    return isinstance(module, _AdaptiveAvgPoolNd | _AdaptiveMaxPoolNd)


def per_axis(value: object, axes: int) -> tuple[int, ...]:
    """One number per axis, from one for all axes or one for each."""
    return tuple(int(each) for each in value) if isinstance(value, Sequence) else (int(value),) * axes  # type: ignore[call-overload]  # torch's int or tuple


def _convolution(module: _ConvNd, axes: int) -> tuple[Window, ...]:
    kernel, dilation = module.kernel_size, module.dilation
    padding: Sequence[int]
    if isinstance(module.padding, str):
        is_same = module.padding == "same"
        padding = [d * (k - 1) // 2 if is_same else 0 for k, d in zip(kernel, dilation, strict=True)]
    else:
        padding = module.padding
    if not module.transposed:
        return _windows(axes, kernel, module.stride, dilation, padding)
    windows = _windows(axes, kernel, module.stride, dilation, padding, kind="transposed")
    if any(not window.taps(phase) for window in windows for phase in range(window.stride)):
        raise ConfigError(
            f"receptive field: a transposed convolution's kernel must cover its stride, got kernel {tuple(kernel)} "
            f"and stride {tuple(module.stride)}; some of its units see nothing"
        )
    return windows


def _upsampling(module: nn.Upsample, axes: int) -> tuple[Window, ...]:
    factor, linear = module.scale_factor, ("linear", "bilinear", "trilinear")
    factors = factor if isinstance(factor, tuple) else (factor,) * axes
    if module.mode not in ("nearest", *linear) or module.align_corners or any(f is None or f % 1 for f in factors):
        raise ConfigError(
            f"receptive field: upsampling must be nearest or linear by a whole factor with corners not aligned, got "
            f"{module}",
            remedy="change it or look at the part of the network before it",
        )
    kind: WindowKind = "linear" if module.mode in linear else "nearest"
    return _windows(axes, 1, tuple(int(f or 1) for f in factors), 1, 0, kind=kind)


def _windows(
    axes: int,
    kernel: object,
    stride: object,
    dilation: object,
    padding: object,
    *,
    kind: WindowKind = "convolution",
) -> tuple[Window, ...]:
    columns = (per_axis(value, axes) for value in (kernel, stride, dilation, padding))
    return tuple(Window(k, s, d, p, kind) for k, s, d, p in zip(*columns, strict=True))
