"""The slice classifier: a body of convolutions, a neck that turns its map into features, and a linear layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from medseg.errors import ConfigError
from medseg.networks.classification.alexnet import build_alexnet
from medseg.networks.classification.architecture import Builder
from medseg.networks.classification.backbone import Backbone
from medseg.networks.classification.bn_inception import build_bn_inception
from medseg.networks.classification.config import ClassifierConfig
from medseg.networks.classification.encoder import build_encoder
from medseg.networks.classification.monai_nets import build_densenet121, build_efficientnet_b0
from medseg.networks.classification.resnet import build_resnet
from medseg.networks.classification.study_pooling import (
    GatedAttention,
    largest_per_study,
    mean_per_study,
    weighted_per_study,
)
from medseg.networks.classification.vgg import build_vgg16

_BUILDERS: dict[Builder, Callable[[ClassifierConfig], Backbone]] = {
    "resnet": build_resnet,
    "alexnet": build_alexnet,
    "vgg16": build_vgg16,
    "bn_inception": build_bn_inception,
    "densenet121": build_densenet121,
    "efficientnet_b0": build_efficientnet_b0,
    "encoder": build_encoder,
}


class SliceClassifier(nn.Module):
    """A 2D or 2.5D classifier of slices, and of studies through their slices.

    Args:
        config: Shape of the network.

    Attributes:
        body: Module from a picture to the last convolutional map.
        neck: Module from that map to features.
        head: Linear layer from features to logits.
        attention: Module that weights a study's slices, only with `pooling="attention"`, else None.
    """

    last_map = "body"
    """Name of the module that returns the last convolutional map, for Grad-CAM."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.smallest_size = smallest_size(config)
        backbone = _BUILDERS[config.facts.builder](config)
        self.body, self.neck = backbone.body, backbone.neck
        self.head = nn.Linear(backbone.features, config.out_channels)
        self.attention = GatedAttention(backbone.features) if config.pooling == "attention" else None

    def forward(self, x: Tensor) -> Tensor:
        """Slices `(B, in_channels, H, W)` to logits `(B, out_channels)`.

        Raises:
            ConfigError: If the slices are smaller than the architecture can take.
        """
        return self.classify(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """Slices `(B, in_channels, H, W)` to features `(B, F)`.

        Raises:
            ConfigError: If the slices are smaller than the architecture can take.
        """
        if min(x.shape[2:]) < self.smallest_size:
            raise ConfigError(
                f"{self.config.architecture}: slices must be at least {self.smallest_size} pixels a side, "
                f"got {tuple(x.shape[2:])}",
                remedy="pad or resample them, or choose another architecture",
            )
        features: Tensor = self.neck(self.body(x))
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Features `(B, F)` to logits `(B, out_channels)`."""
        logits: Tensor = self.head(features)
        return logits

    def study_logits(self, features: Tensor, lengths: Sequence[int]) -> Tensor:
        """One answer per study from the features of its slices.

        `max` and `mean` pool the slices' logits class by class; `attention` classifies the weighted sum of features.
        A study of one slice has that slice's logits.

        Args:
            features: Features of all studies' slices, one study after another, `(N, F)`.
            lengths: Number of slices of each study; they add up to N.

        Returns:
            Logits `(studies, out_channels)`.

        Raises:
            ConfigError: If the lengths do not fit, or the network pools nothing.
        """
        if self.config.pooling == "max":
            return largest_per_study(self.classify(features), lengths)
        if self.config.pooling == "mean":
            return mean_per_study(self.classify(features), lengths)
        weights = self.slice_weights(features, lengths)
        return self.classify(weighted_per_study(features, weights, lengths))

    def slice_weights(self, features: Tensor, lengths: Sequence[int]) -> Tensor:
        """Weight of each slice in its study's answer; key slices weigh most.

        Args:
            features: Features of all studies' slices, one study after another, `(N, F)`.
            lengths: Number of slices of each study; they add up to N.

        Returns:
            Weights `(N,)` in [0, 1] that sum to one over each study.

        Raises:
            ConfigError: If the lengths do not fit, or the network has no attention.
        """
        if self.attention is None:
            raise ConfigError(
                f"classifier: pooling must be 'attention', or for a study's logits 'max' or 'mean', got "
                f"{self.config.pooling!r}",
                remedy="build the classifier with one of these",
            )
        weights: Tensor = self.attention(features, lengths)
        return weights


def smallest_size(config: ClassifierConfig) -> int:
    """Fewest pixels along either side of a slice that a network can take.

    A UNet's encoder needs one pixel at its coarsest stage, or two if instance normalisation needs several.
    """
    if config.encoder is None:
        return config.facts.smallest_side
    return max(config.encoder.reduction) * (2 if config.encoder.norm == "instance" else 1)
