"""Networks with half the channels, for measurements that would take too long."""

from __future__ import annotations

from medseg.networks import NetworkConfig
from medseg.networks.classification import ClassifierConfig
from medseg.networks.segmentation import DynUNetConfig, SegResNetConfig, SwinUNETRConfig
from medseg.networks.segmentation.nnunet import PlainConvUNetConfig, ResidualEncoderUNetConfig
from medseg.runs.lens.subject import Networked

_FEWEST_CHANNELS = 4


def narrowed(config: Networked) -> Networked | None:
    """The network with half the channels; None where that cannot be."""
    match config:
        case NetworkConfig():
            step = 4 if config.block == "bottleneck" else 1
            channels = tuple(width // 2 // step * step for width in config.channels)
            return _changed(config, "channels", channels, can_be=min(config.channels) >= 2 * _FEWEST_CHANNELS)
        case DynUNetConfig():
            filters = tuple(width // 2 for width in config.filters)
            return _changed(config, "filters", filters, can_be=min(filters) >= _FEWEST_CHANNELS)
        case SegResNetConfig():
            return _changed(config, "init_filters", config.init_filters // 2, can_be=config.init_filters % 16 == 0)
        case SwinUNETRConfig():
            size = config.feature_size // 2
            has_heads = all(size * 2**stage % heads == 0 for stage, heads in enumerate(config.num_heads))
            return _changed(config, "feature_size", size, can_be=has_heads and size % 12 == 0)
        case PlainConvUNetConfig() | ResidualEncoderUNetConfig():
            return None  # as nnU-Net trained it
        case ClassifierConfig():
            can_be = (config.is_residual or config.is_plain) and config.width >= 2 * _FEWEST_CHANNELS
            return _changed(config, "width", config.width // 2, can_be=can_be)


def width_of(config: Networked) -> int:
    """Channels of the finest stage."""
    return config.width if isinstance(config, ClassifierConfig) else config.widths[0]


def _changed(config: Networked, key: str, value: int | tuple[int, ...], *, can_be: bool) -> Networked | None:
    return config.model_copy(update={key: value}) if can_be else None
