"""The user's own parts of a segmentation training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from medseg.errors import ConfigError
from medseg.evaluation.segmentation import Metric
from medseg.networks import NetworkConfig
from medseg.networks.segmentation import AnyNetwork, build_network
from medseg.training.engine import Attach
from medseg.training.segmentation.config import TrainingConfig

BuildNetwork = Callable[[NetworkConfig], nn.Module]
BuildLoss = Callable[[TrainingConfig], nn.Module]


class BatchTransform(Protocol):
    """Changes training batches on the device, after the plan's augmentation."""

    def __call__(self, image: Tensor, label: Tensor, /, *, seed: int) -> tuple[Tensor, Tensor]:
        """Change a batch.

        Args:
            image: Batch `(B, C, I, J, K)`, float; K = 1 in 2D.
            label: Encoded labels `(B, 1, I, J, K)`.
            seed: Seed of this batch, the same after a resume.

        Returns:
            Image and label of the same shapes and types.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationParts:
    """The user's own parts, which replace those of medseg or are added to them.

    Attributes:
        network: Builds a network from the plan's settings of medseg's own UNet. It maps images `(B, C, I, J[, K])` to
            logits `(B, channels, I, J[, K])`; a method `scales`, if it has one, gives the logits of all supervised
            scales.
        loss: Builds the loss from the plan's training settings, a module of `(scales, label)`.
        transform: Changes batches after augmentation.
        metrics: Metrics of the validation by name, beside the overlaps.
        attach: Functions that attach handlers to the training's engines.
    """

    network: BuildNetwork | None = None
    loss: BuildLoss | None = None
    transform: BatchTransform | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    attach: Sequence[Attach] = ()

    def __post_init__(self) -> None:
        taken = sorted({"dice", "iou"} & set(self.metrics))
        if taken:
            raise ConfigError(f"metrics: names must be new, got {taken[0]}", remedy="choose another name")

    def build(self, config: AnyNetwork) -> nn.Module:
        """The user's own network, or the one that the plan names.

        Raises:
            ConfigError: If the user's own is given the settings of another network than medseg's UNet.
        """
        if self.network is None:
            return build_network(config)
        if not isinstance(config, NetworkConfig):
            raise ConfigError(
                f"network: your own is built from the settings of medseg's UNet, got those of {config.kind}",
                remedy="plan without naming a network, or leave your own out",
            )
        return self.network(config)

    def names(self) -> tuple[str, ...]:
        """Names of the network, loss and transform that are given, which decide what weights come of a training."""
        given = {"network": self.network, "loss": self.loss, "transform": self.transform}
        return tuple(f"{what} {name_of(part)}" for what, part in given.items() if part is not None)


def name_of(part: object) -> str:
    """Module and name of a part."""
    return f"{getattr(part, '__module__', '')}.{getattr(part, '__qualname__', type(part).__qualname__)}"
