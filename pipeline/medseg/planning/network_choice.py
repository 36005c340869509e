"""The network that a name asks for, with settings for the same scans, patch and device."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from medseg.errors import ConfigError
from medseg.networks.segmentation import AnyNetwork, DynUNetConfig, SegResNetConfig, SwinUNETRConfig, unet_2015
from medseg.planning.coarse_start import plan_coarse_start
from medseg.planning.plan import Plan
from medseg.planning.presets import PresetName, resources_of
from medseg.planning.sizes import DeviceKind, Resources
from medseg.training.segmentation import CoarseStart

NetworkName = Literal["unet", "unet_2015", "dynunet", "segresnet", "swinunetr"]
_SUPERVISED = 3  # scales besides the finest, as in MONAI's tutorial


@dataclass(frozen=True, slots=True)
class _Choice:
    """A network with the reasons for its settings.

    Attributes:
        network: Settings of the network.
        reasons: Reasons by the dotted names of the plan's settings.
    """

    network: AnyNetwork
    reasons: dict[str, str]


def with_network(plan: Plan, name: NetworkName, *, device: DeviceKind, preset: PresetName | None = None) -> Plan:
    """A plan with the network of a name in place of the planned UNet.

    Patches become multiples of the network's reduction, no larger than the largest one of the device or preset
    where that can be; larger ones leave fewer of them in a step.

    Args:
        plan: Plan with medseg's UNet.
        name: Name of the network.
        device: Kind of device that will train.
        preset: Name of a set of sizes that takes the place of the device's.

    Raises:
        ConfigError: If the network cannot take the scans.
    """
    if name == "unet":
        return plan
    resources = resources_of(device, is_2d=plan.network.spatial_dims == 2, preset=preset)
    choice = _CHOICES[name](plan, resources)
    before = plan.training.patch_size
    most = max(resources.patch_voxels, math.prod(before))
    patch = _fitted(before, choice.network.reduction, voxels=most)
    batch = max(1, min(plan.training.batch_size, plan.training.batch_size * math.prod(before) // math.prod(patch)))
    reasons = {key: why for key, why in plan.reasons.items() if not key.startswith("network.")} | choice.reasons
    if patch != before:
        steps = "×".join(str(step) for step in choice.network.reduction)
        for key in ("training.patch_size", "training.batch_size"):
            reasons[key] = f"{reasons[key]}; then in multiples of {steps} voxels, the reduction of {name}"
    sizes = {"patch_size": patch, "batch_size": batch}
    start = _coarse_start(plan, patch, choice.network, reasons)
    return Plan(
        dataset=plan.dataset,
        preprocess=plan.preprocess,
        network=choice.network,
        training=plan.training.model_copy(update={**sizes, "coarse_start": start}),
        inference=plan.inference.model_copy(update=sizes),
        reasons=reasons,
    )


def _coarse_start(
    plan: Plan, patch: tuple[int, int, int], network: AnyNetwork, reasons: dict[str, str]
) -> CoarseStart | None:
    """The coarse start of a plan with another patch and network, if the plan has one and the network can."""
    reasons.pop("training.coarse_start", None)
    share = plan.training.coarse_start.share if plan.training.coarse_start else 0.0
    spacing = np.array(plan.preprocess.spacing_mm or (1.0, 1.0, 1.0))
    return plan_coarse_start(patch, spacing, network, share=share, reasons=reasons)


def _fitted(patch: Sequence[int], steps: Sequence[int], *, voxels: int) -> tuple[int, int, int]:
    """The patch rounded up to multiples, then shortened along its longest axes until it has no more voxels than given.

    At least two voxels remain at the coarsest stage, because norms need several.
    """
    step = np.array([*steps, 1][:3])
    counts = np.maximum(1, np.ceil(np.array(patch) / step)).astype(int)
    while (counts * step).prod() > voxels and counts.prod() > 2:
        counts[np.argmax(np.where(counts > 1, counts * step, 0))] -= 1
    if counts.prod() == 1:
        counts[np.argmax(patch)] = 2
    i, j, k = (int(size) for size in counts * step)
    return i, j, k


def _shared(plan: Plan) -> dict[str, Any]:
    network = plan.network
    return {
        "spatial_dims": network.spatial_dims,
        "in_channels": network.in_channels,
        "out_channels": network.out_channels,
    }


def _unet_2015(plan: Plan, resources: Resources) -> _Choice:
    if plan.network.spatial_dims != 2:
        raise ConfigError(
            "network unet_2015: scans must be pictures, as it is 2D, got volumes",
            remedy="choose unet, dynunet, segresnet or swinunetr",
        )
    network = unet_2015(in_channels=plan.network.in_channels, out_channels=plan.network.out_channels)
    source = "as Ronneberger et al. 2015 have it, for every device"
    keys = ("channels", "strides", "kernels", "blocks", "norm", "activation", "downsampling")
    return _Choice(network, {f"network.{key}": source for key in keys})


def _dynunet(plan: Plan, resources: Resources) -> _Choice:
    axes = plan.network.spatial_dims
    kernels, strides = _dynunet_stages(
        plan.training.patch_size[:axes], (plan.preprocess.spacing_mm or (1.0, 1.0, 1.0))[:axes]
    )
    stages, widest = len(strides), 320 if axes == 3 else 512
    network = DynUNetConfig(
        **_shared(plan),
        kernel_size=kernels,
        strides=strides,
        filters=tuple(min(32 * 2**stage, widest) for stage in range(stages)),
        deep_supervision=True,
        deep_supr_num=min(_SUPERVISED, stages - 2),
    )
    reasons = {
        "network.kernel_size": "1 along axes more than twice as coarse as the finest, else 3, as in nnU-Net",
        "network.strides": f"{stages} stages: halved while 8 voxels remain and no axis is more than twice as coarse",
        "network.filters": f"32 at full resolution, doubled per stage up to {widest}, as in nnU-Net, on every device",
        "network.deep_supervision": "as in nnU-Net and in MONAI's tutorial",
        "network.deep_supr_num": f"{_SUPERVISED} as in MONAI's tutorial, or all that {stages} stages have",
    }
    return _Choice(network, reasons)


def _dynunet_stages(
    patch: Sequence[int], spacing_mm: Sequence[float]
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """Kernels and strides per stage, at least three stages.

    Source: the rule of MONAI's tutorial `dynunet_pipeline`, `create_network.py`.
    """
    size, spacing = np.array(patch, dtype=float), np.array(spacing_mm, dtype=float)
    kernels, strides = [], [np.ones(len(patch))]
    while True:
        is_fine = spacing <= 2 * spacing.min()
        stride = np.where(is_fine & (size >= 8), 2, 1)
        if stride.max() == 1:
            if len(strides) >= 3:
                break
            stride = np.where(is_fine, 2, 1)  # a patch so small grows to hold three stages
        kernels.append(np.where(is_fine, 3, 1))
        strides.append(stride)
        size, spacing = size / stride, spacing * stride
    kernels.append(np.full(len(patch), 3))
    return _as_tuples(kernels), _as_tuples(strides)


def _as_tuples(stages: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(n) for n in axes) for axes in stages)


def _segresnet(plan: Plan, resources: Resources) -> _Choice:
    width = resources.width
    network = SegResNetConfig(**_shared(plan), init_filters=width)
    reasons = {
        "network.init_filters": f"{width} at full resolution {resources.where}, doubled per stage; the paper has 32",
        "network.blocks_down": "as in the paper (Myronenko 2018), each stage half the size of the one before",
        "network.blocks_up": "as in the paper",
    }
    return _Choice(network, reasons)


def _swinunetr(plan: Plan, resources: Resources) -> _Choice:
    size = 3 * resources.width // 2  # 48 beside 32 channels of medseg's own; a multiple of 12
    network = SwinUNETRConfig(**_shared(plan), feature_size=size)
    reasons = {
        "network.feature_size": f"{size} {resources.where}; the paper has 48",
        "network.depths": "as in the paper (Hatamizadeh et al. 2022)",
        "network.num_heads": "as in the paper",
        "network.window_size": "as in the paper",
    }
    return _Choice(network, reasons)


_CHOICES: dict[str, Callable[[Plan, Resources], _Choice]] = {
    "unet_2015": _unet_2015,
    "dynunet": _dynunet,
    "segresnet": _segresnet,
    "swinunetr": _swinunetr,
}
