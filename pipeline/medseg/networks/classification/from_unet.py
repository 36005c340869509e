"""A classifier that begins with the weights of a UNet's encoder."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from medseg.configuration import Axis
from medseg.errors import CheckpointError, ConfigError
from medseg.networks.classification.build import SliceClassifier
from medseg.networks.classification.config import ClassifierConfig, PoolingKind
from medseg.networks.classification.first_convolution import spread_slices
from medseg.networks.config import NetworkConfig

_PREFIX = "encoder."


def encoder_classifier(
    network: NetworkConfig, *, out_channels: int, slices: int = 1, pooling: PoolingKind = "none", slice_axis: Axis = 2
) -> ClassifierConfig:
    """Configuration of the classifier that a UNet's encoder fits.

    Args:
        network: The UNet, 2D or 3D; the kernels and strides of a 3D UNet across slices are left out.
        out_channels: Number of classes.
        slices: Neighbouring slices as channels, 1 for 2D.
        pooling: Pooling of a study's slices.
        slice_axis: Axis of a 3D UNet's `(i, j, k)` that its slices are stacked along.
    """
    if network.spatial_dims == 3:
        flat = {
            "spatial_dims": 2,
            "strides": tuple(_without(axes, slice_axis) for axes in network.strides),
            "kernels": tuple(_without(axes, slice_axis) for axes in network.kernels),
        }
        network = NetworkConfig.model_validate(network.model_dump() | flat)
    return ClassifierConfig(
        architecture="encoder",
        in_channels=network.in_channels * slices,
        out_channels=out_channels,
        pooling=pooling,
        encoder=network,
    )


def load_unet_encoder(network: SliceClassifier, weights: Mapping[str, Tensor], *, slice_axis: Axis = 2) -> None:
    """Load the weights of a UNet's encoder; the linear layer and the attention stay untrained.

    A 3D UNet's kernels are summed along the slice axis, so that a slice gives the response of the 3D encoder to a
    volume that is the same in every slice, far from that volume's ends. For neighbouring slices as channels, the
    weights of the layers that read the image are spread by `spread_slices`.

    Args:
        network: Classifier of the shape that `encoder_classifier` gives for the UNet.
        weights: State dict of the UNet; only its encoder is used.
        slice_axis: Axis of a 3D UNet's `(i, j, k)` that its slices are stacked along.

    Raises:
        ConfigError: If the classifier is not a UNet's encoder.
        CheckpointError: If weights of the encoder are missing, unexpected or of another shape.
    """
    unet = network.config.encoder
    if unet is None:
        raise ConfigError(
            f"classifier.architecture must be 'encoder' to begin with a UNet's, got {network.config.architecture!r}"
        )
    found = {
        name.removeprefix(_PREFIX): _flatten(weight, slice_axis)
        for name, weight in weights.items()
        if name.startswith(_PREFIX)
    }
    encoder = network.body.get_submodule("encoder")
    wanted = encoder.state_dict()
    if differing := sorted(set(found) ^ set(wanted)):
        raise CheckpointError(
            f"UNet weights: encoder must have the classifier's layers, differing in {', '.join(differing[:4])}",
            remedy="build the classifier with encoder_classifier()",
        )
    slices = network.config.in_channels // unet.in_channels
    fitted = {name: _fit(weight, wanted[name], slices) for name, weight in found.items()}
    for name, weight in fitted.items():
        if weight.shape != wanted[name].shape:
            raise CheckpointError(
                f"UNet weights: encoder.{name} must have the shape {tuple(wanted[name].shape)}, got "
                f"{tuple(weight.shape)}",
                remedy="build the classifier with encoder_classifier()",
            )
    encoder.load_state_dict(fitted)


def _without(axes: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return axes[:axis] + axes[axis + 1 :]


def _flatten(weight: Tensor, slice_axis: int) -> Tensor:
    """A 3D kernel `(outputs, inputs, i, j, k)` summed along an axis; other weights unchanged."""
    return weight.sum(dim=2 + slice_axis) if weight.ndim == 5 else weight


def _fit(weight: Tensor, wanted: Tensor, slices: int) -> Tensor:
    """A convolution of the image spread over neighbouring slices; other weights unchanged."""
    reads_image = weight.ndim == 4 and weight.shape[1] * slices == wanted.shape[1]
    return spread_slices(weight, slices) if slices > 1 and reads_image else weight
