"""The card of a model that nnU-Net trained: `model.json` beside its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from medseg.configuration import Config, Voxels, describe_problems
from medseg.inference.card import model_folder, read_card, write_card
from medseg.inference.precision_record import PrecisionCheck
from medseg.inference.segmentation.card import CARD_NAME
from medseg.networks.precision import PrecisionKind
from medseg.networks.segmentation import AnyNetwork
from medseg.preprocess.nnunet import NnunetPreprocess
from medseg.targets import ExclusiveLabels, WrittenRegions

KIND = "nnunet"
EARLIER = "previous"


class AdoptedFold(Config):
    """Weights of one fold.

    Attributes:
        name: Number of the fold, or `all`.
        weights_digest: SHA-256 of the file of its weights.
        trained_on: Ids of the cases that it was trained on; empty where they are not known.
    """

    name: str
    weights_digest: str
    trained_on: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """Name of the file of its weights."""
        return f"fold_{self.name}.safetensors"


class RegionRule(Config):
    """Overlapping regions.

    Attributes:
        regions: Label values that make up the region of each channel.
        order: Value that each channel writes; later channels write over earlier ones.
    """

    regions: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]


class AdoptedCard(Config):
    """Everything about a model of nnU-Net except its weights.

    Attributes:
        kind: Tag of this kind of card.
        medseg_version: Version of medseg that adopted the model.
        dataset: Name that nnU-Net gave to the dataset.
        trainer: Class that trained the model.
        plans_name: Name of its plans.
        configuration: Configuration of the plans, such as `3d_fullres`.
        checkpoint: Name of the checkpoint's file.
        channels: Names of the image channels, in order.
        labels: Value of each label by name.
        regions: Regions, where the model finds these instead of labels.
        network: Shape of the network.
        preprocess: Grid and intensities of its input.
        patch_size: Voxels of the window along the axes of the network's grid; a last axis of 1 for a 2D network.
        step: Largest distance of neighbouring windows, as a share of their size.
        mirror_axes: Axes along which flipped copies are predicted too and averaged.
        precision: Number format that decides as float32 does: `auto` for the device's own, or `fp32`.
        precision_check: Comparison that the precision was chosen by; None where it was asked for.
        folds: Weights whose logits are averaged.
        has_earlier_stage: Whether the labels of an earlier stage are among the inputs, as in a cascade.
        dataset_digest: SHA-256 of dataset.json.
        plans_digest: SHA-256 of plans.json.
    """

    kind: Literal["nnunet"] = "nnunet"
    medseg_version: str
    dataset: str
    trainer: str
    plans_name: str
    configuration: str
    checkpoint: str
    channels: tuple[str, ...]
    labels: dict[str, int]
    regions: RegionRule | None = None
    network: AnyNetwork
    preprocess: NnunetPreprocess
    patch_size: tuple[Voxels, Voxels, Voxels]
    step: float = Field(0.5, gt=0, le=1)
    mirror_axes: tuple[int, ...] = ()
    precision: PrecisionKind = "auto"
    precision_check: PrecisionCheck | None = None
    folds: tuple[AdoptedFold, ...] = Field(min_length=1)
    has_earlier_stage: bool = False
    dataset_digest: str
    plans_digest: str

    @model_validator(mode="after")
    def _channels_have_a_meaning(self) -> Self:
        try:
            channels = self.target.channels
        except ValidationError as error:
            raise ValueError("; ".join(describe_problems(ExclusiveLabels, error))) from error
        if channels != self.network.out_channels:
            raise ValueError(
                f"network.out_channels must be the number of labels or regions {channels}, "
                f"got {self.network.out_channels}"
            )
        dims = self.network.spatial_dims
        fits = all(size % step == 0 for size, step in zip(self.patch_size, self.network.reduction, strict=False))
        if len(self.preprocess.spacing_mm) != dims or not fits:
            raise ValueError(
                f"patch_size must be a multiple of {self.network.reduction} for a {dims}D network, got "
                f"{self.patch_size} at {self.preprocess.spacing_mm} mm"
            )
        return self

    @property
    def target(self) -> ExclusiveLabels:
        """Meaning of the network's channels."""
        if self.regions is None:
            return ExclusiveLabels(labels=self.labels)
        return WrittenRegions(labels=self.labels, regions=self.regions.regions, order=self.regions.order)

    @property
    def label_values(self) -> tuple[int, ...]:
        """Every value that a label file of the training has but 0."""
        regions = () if self.regions is None else self.regions.regions
        return tuple(sorted({*self.labels.values(), *(value for region in regions for value in region)} - {0}))

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Ids of the cases that some fold was trained on, as far as they are known."""
        return tuple(dict.fromkeys(case_id for fold in self.folds for case_id in fold.trained_on))


def save_adopted_card(card: AdoptedCard, folder: Path) -> None:
    """Write `model.json`."""
    write_card(card, folder / CARD_NAME)


def load_adopted_card(run: Path) -> AdoptedCard:
    """Read `model.json` of an adopted run or of its `model` folder; see `read_card`."""
    return read_card(AdoptedCard, model_folder(run) / CARD_NAME, verb="adopt")


def is_adopted(run: Path) -> bool:
    """Whether a run's card is that of an adopted model; False where there is no card that can be read."""
    try:
        content = json.loads((model_folder(run) / CARD_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND
