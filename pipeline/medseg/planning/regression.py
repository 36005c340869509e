"""The plan of a network that learns quantities."""

from __future__ import annotations

from typing import Any, Self

from pydantic import model_validator

from medseg.errors import ConfigError
from medseg.inference.segmentation import InferenceConfig
from medseg.networks.segmentation import AnyNetwork
from medseg.planning.network_choice import NetworkName
from medseg.planning.plan import PlanFile, check_normalisation, check_patches
from medseg.planning.presets import PresetName
from medseg.planning.quantity_fingerprint import QuantityFingerprint, learned_target
from medseg.planning.segmentation import make_plan
from medseg.planning.sizes import DeviceKind
from medseg.preprocess import PreprocessConfig
from medseg.records import Manifest
from medseg.targets import Quantities
from medseg.training import AugmentConfig
from medseg.training.regression.config import RegressionTrainingConfig

_UNCHANGED = {
    "gamma_share": 0.0,
    "contrast_share": 0.0,
    "brightness": 0.0,
    "blur_share": 0.0,
    "low_resolution_share": 0.0,
    "noise_share": 0.0,
}
_SMALL_TURNS = {"rotation_degrees": 5.0, "scale": 0.05}  # of volumes
_SHARED = ("patch_size", "batch_size", "patches_per_case")


class RegressionPlan(PlanFile):
    """Settings of the stages that make a network of quantities.

    Attributes:
        preprocess: Grid and intensities.
        targets: Quantities, with the numbers that the network learns.
        network: Shape of the network.
        training: Optimisation and loss.
        inference: Sliding window.
    """

    verb = "train"

    preprocess: PreprocessConfig
    targets: Quantities
    network: AnyNetwork
    training: RegressionTrainingConfig
    inference: InferenceConfig

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        patches = {"training": self.training.patch_size, "inference": self.inference.patch_size}
        check_patches(self.network, patches)
        check_normalisation(self.network, self.preprocess)
        if self.preprocess.body is not None:
            raise ValueError("preprocess.body must be left out, since quantities have values outside the body, too")
        if self.network.out_channels != self.targets.channels:
            raise ValueError(
                f"network.out_channels must be the number of quantities {self.targets.channels}, got "
                f"{self.network.out_channels}"
            )
        return self


def make_regression_plan(
    fingerprint: QuantityFingerprint,
    manifest: Manifest,
    *,
    device: DeviceKind,
    spacing_mm: tuple[float, float, float] | None = None,
    network: NetworkName = "unet",
    preset: PresetName | None = None,
) -> RegressionPlan:
    """Decide every setting from the training scans and the device, and say why.

    Grid, patch and network are those of a segmentation of the same scans on their own grid. Changes of intensities are
    left out, because the values may depend on them; volumes are turned and scaled less.

    Args:
        fingerprint: Fingerprint of the training cases.
        manifest: Manifest, for its channels and quantities.
        device: Kind of device that will train, which decides patch, batch and width.
        spacing_mm: Voxel size of the network's grid along R, A and S, where the user sets it.
        network: Name of the network.
        preset: Name of a set of sizes that takes the place of the device's.

    Raises:
        ConfigError: If the network cannot take the scans.
        TrainingError: If a quantity does not vary.
    """
    like = make_plan(
        fingerprint.scans, manifest, device=device, spacing_mm=spacing_mm, network=network, preset=preset, epochs=1
    )
    reasons = dict(like.reasons)
    reasons["training.augment"] = (
        "intensities as they are, and volumes turned and scaled by little, because values may depend on intensities, "
        "directions and distances"
    )
    reasons["training.loss"] = "absolute differences, which far values decide less than squared ones"
    targets = learned_target(fingerprint, manifest, reasons)
    shared: dict[str, Any] = {name: getattr(like.training, name) for name in _SHARED}
    changes = _UNCHANGED if fingerprint.scans.is_2d else _UNCHANGED | _SMALL_TURNS
    augment = AugmentConfig.model_validate(like.training.augment.model_dump() | changes)
    return RegressionPlan(
        dataset=manifest.name,
        preprocess=like.preprocess.model_copy(update={"body": None}),
        targets=targets,
        network=like.network,
        training=RegressionTrainingConfig(**shared, augment=augment),
        inference=like.inference,
        reasons={key: reason for key, reason in reasons.items() if not key.startswith("preprocess.body")},
    )


def check_quantity_plan(plan: RegressionPlan, manifest: Manifest) -> None:
    """Hold a plan to the quantities and channels of a manifest.

    Raises:
        ConfigError: If they differ; a unit that has changed since is named.
    """
    if plan.network.in_channels != len(manifest.channels):
        raise ConfigError(
            f"plan: network.in_channels must be {len(manifest.channels)}, the manifest's channels, got "
            f"{plan.network.in_channels}",
            remedy="plan again",
        )
    if plan.targets.quantities != (manifest.quantities or {}):
        raise ConfigError(
            f"plan: targets.quantities must be those of the manifest, {_text(manifest.quantities or {})}, got "
            f"{_text(plan.targets.quantities)}",
            remedy="plan again",
        )


def _text(quantities: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {quantity.model_dump_json(exclude_defaults=True)}" for name, quantity in quantities.items()
    )
