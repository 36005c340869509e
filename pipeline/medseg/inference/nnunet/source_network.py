"""The network that nnU-Net's plans describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import ValidationError

from medseg.configuration import describe_problems
from medseg.errors import CheckpointError
from medseg.networks.segmentation.nnunet import (
    AnyNnunetConfig,
    NnunetLayers,
    PlainConvUNetConfig,
    ResidualEncoderUNetConfig,
)

_PLAIN, _RESIDUAL = "PlainConvUNet", "ResidualEncoderUNet"
_HOME = "dynamic_network_architectures.architectures."
_SHARED = (
    "n_stages", "features_per_stage", "conv_op", "kernel_sizes", "strides", "n_conv_per_stage_decoder", "conv_bias",
    "norm_op", "norm_op_kwargs", "dropout_op", "dropout_op_kwargs", "nonlin", "nonlin_kwargs", "deep_supervision",
)  # fmt: skip
_OWN = {
    _PLAIN: ("n_conv_per_stage", "nonlin_first"),
    _RESIDUAL: ("n_blocks_per_stage", "block", "bottleneck_channels", "stem_channels"),
}


def source_network(
    configuration: Mapping[str, Any], *, in_channels: int, out_channels: int, has_batch_norm: bool = False
) -> AnyNnunetConfig:
    """Shape of a network from a configuration of the plans, in nnU-Net's present or earlier form.

    Args:
        configuration: Configuration with what it inherits.
        in_channels: Input channels.
        out_channels: Labels or regions.
        has_batch_norm: Whether the trainer replaces the norm by batch norm.

    Raises:
        CheckpointError: If the class or one of its settings is not one of nnU-Net's.
    """
    name, settings = _architecture(configuration)
    strange = sorted(set(settings) - {*_SHARED, *_OWN[name]})
    if strange:
        raise _unknown(f"settings of {name}", ", ".join(strange))
    dims = _dims(settings.get("conv_op"))
    stages = int(settings["n_stages"])
    shape: dict[str, Any] = {
        "spatial_dims": dims,
        "in_channels": in_channels,
        "out_channels": out_channels,
        "features": _per_stage(settings["features_per_stage"], stages),
        "kernels": _per_stage(settings["kernel_sizes"], stages, dims=dims),
        "strides": _per_stage(settings["strides"], stages, dims=dims),
        "decoder_convs": _per_stage(settings["n_conv_per_stage_decoder"], stages - 1),
        "layers": _layers(settings, dims, has_batch_norm=has_batch_norm),
    }
    if name == _PLAIN:
        return _checked(PlainConvUNetConfig, shape | {"convs": _per_stage(settings["n_conv_per_stage"], stages)})
    _check_blocks(settings)
    own = {
        "blocks": _per_stage(settings["n_blocks_per_stage"], stages),
        "stem_features": settings.get("stem_channels") or shape["features"][0],
    }
    return _checked(ResidualEncoderUNetConfig, shape | own)


def _architecture(configuration: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name of the class and its settings."""
    if "architecture" not in configuration:
        return _earlier_form(configuration)
    architecture = configuration["architecture"]
    path = str(architecture["network_class_name"])
    name = path.rpartition(".")[2]
    if not path.startswith(_HOME) or name not in _OWN:
        raise _unknown("network", path)
    return name, dict(architecture["arch_kwargs"])


def _earlier_form(configuration: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The same from plans before nnU-Net 2.5, which name the parts of the network one by one."""
    name = str(configuration.get("UNet_class_name"))
    if name not in _OWN:
        raise _unknown("network", name)
    encoder = configuration["n_conv_per_stage_encoder"]
    first, most = configuration["UNet_base_num_features"], configuration["unet_max_num_features"]
    dims = len(configuration["patch_size"])
    return name, {
        "n_stages": len(encoder),
        "features_per_stage": [min(first * 2**stage, most) for stage in range(len(encoder))],
        "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
        "kernel_sizes": configuration["conv_kernel_sizes"],
        "strides": configuration["pool_op_kernel_sizes"],
        _OWN[name][0]: encoder,
        "n_conv_per_stage_decoder": configuration["n_conv_per_stage_decoder"],
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }


def _layers(settings: Mapping[str, Any], dims: int, *, has_batch_norm: bool) -> NnunetLayers:
    norms = {f"InstanceNorm{dims}d": "instance", f"BatchNorm{dims}d": "batch", "None": "none"}
    norm = norms.get(_last(settings.get("norm_op")))
    if norm is None:
        raise _unknown("norm", str(settings.get("norm_op")))
    given = dict(settings.get("norm_op_kwargs") or {})
    if given.pop("affine", norm == "batch") is not True and norm != "none":
        raise _unknown("norm", "one without learned scale and shift")
    if given.pop("track_running_stats", norm == "batch") != (norm == "batch"):
        raise _unknown("norm", f"track_running_stats of {settings.get('norm_op')}")
    given.pop("momentum", None)  # of training alone
    eps = given.pop("eps", 1e-5)
    activation, slope = _activation(settings)
    if given:
        raise _unknown("settings of the norm", ", ".join(given))
    return NnunetLayers(
        conv_bias=bool(settings.get("conv_bias", False)),
        norm="batch" if has_batch_norm else norm,
        norm_eps=1e-5 if has_batch_norm else eps,
        activation=activation,
        negative_slope=slope,
        is_activated_first=bool(settings.get("nonlin_first", False)),
    )


def _activation(settings: Mapping[str, Any]) -> tuple[Literal["leaky_relu", "relu"], float]:
    name = _last(settings.get("nonlin"))
    given = dict(settings.get("nonlin_kwargs") or {})
    given.pop("inplace", None)
    slope = float(given.pop("negative_slope", 0.01))
    if given or name not in ("LeakyReLU", "ReLU"):
        raise _unknown("activation", f"{settings.get('nonlin')} {given or ''}".strip())
    return ("relu" if name == "ReLU" else "leaky_relu"), slope


def _check_blocks(settings: Mapping[str, Any]) -> None:
    if _last(settings.get("block")) not in ("None", "BasicBlockD") or settings.get("bottleneck_channels"):
        raise _unknown("residual block", str(settings.get("block")))


def _dims(operation: Any) -> int:
    dims = {"Conv2d": 2, "Conv3d": 3}.get(_last(operation))
    if dims is None:
        raise _unknown("convolution", str(operation))
    return dims


def _per_stage(value: Any, stages: int, *, dims: int | None = None) -> tuple[Any, ...]:
    """A value for each stage, and for each axis if dimensions are given, from one number or a list."""
    listed = list(value) if isinstance(value, list | tuple) else [value] * stages
    if dims is None:
        return tuple(listed)
    return tuple(tuple(one) if isinstance(one, list | tuple) else (one,) * dims for one in listed)


def _checked(kind: Callable[..., AnyNnunetConfig], content: dict[str, Any]) -> AnyNnunetConfig:
    try:
        return kind(**content)
    except ValidationError as error:
        problems = "; ".join(describe_problems(kind, error))  # type: ignore[arg-type]  # both are settings models
        raise CheckpointError(
            f"plans.json must describe a network, got: {problems}", remedy="take the plans.json of the training"
        ) from error


def _last(path: Any) -> str:
    """Last part of a dotted name."""
    return str(path).rpartition(".")[2]


def _unknown(what: str, found: str) -> CheckpointError:
    return CheckpointError(
        f"plans.json must describe nnU-Net's {_PLAIN} or {_RESIDUAL}, got an unknown {what}: {found}",
        remedy="adopt models with nnU-Net's own networks; others need nnU-Net itself",
    )
