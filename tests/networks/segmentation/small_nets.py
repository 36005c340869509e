"""Networks of every kind, as small as they can be."""

from __future__ import annotations

from typing import Any, Literal

from medseg.networks import NetworkConfig
from medseg.networks.segmentation import AnyNetwork, DynUNetConfig, SegResNetConfig, SwinUNETRConfig

KINDS = ("unet", "dynunet", "segresnet", "swinunetr")


def small_net(kind: str, *, spatial_dims: Literal[2, 3] = 3, out_channels: int = 3, **changes: Any) -> AnyNetwork:
    """Settings of a network of a kind, with some changed."""
    axes = spatial_dims
    shape: dict[str, Any] = {"spatial_dims": axes, "in_channels": 1, "out_channels": out_channels}
    strides = ((1,) * axes, (2,) * axes, (2,) * axes)
    match kind:
        case "unet":
            stages: dict[str, Any] = {"channels": (4, 8, 8), "blocks": (1, 1, 1), "decoder_blocks": (1, 1)}
            return NetworkConfig(**shape | stages | {"strides": strides, "kernels": ((3,) * axes,) * 3} | changes)
        case "dynunet":
            stages = {"kernel_size": ((3,) * axes,) * 3, "strides": strides, "filters": (4, 8, 8)}
            return DynUNetConfig(**shape | stages | changes)
        case "segresnet":
            return SegResNetConfig(
                **shape | {"init_filters": 8, "blocks_down": (1, 1, 1), "blocks_up": (1, 1)} | changes
            )
        case _:
            return SwinUNETRConfig(**shape | {"feature_size": 12, "depths": (1, 1, 1, 1), "window_size": 3} | changes)


def settings_of(kind: str, *, spatial_dims: Literal[2, 3] = 3) -> dict[str, Any]:
    """The own settings of a small network, as a YAML file of settings would change a plan by."""
    shared = ("spatial_dims", "in_channels", "out_channels")
    content = small_net(kind, spatial_dims=spatial_dims).model_dump(mode="json")
    return {key: value for key, value in content.items() if key not in shared}
