"""The card of a model, from the files of its nnU-Net folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medseg.errors import CheckpointError
from medseg.inference.nnunet.card import AdoptedCard, AdoptedFold
from medseg.inference.nnunet.source_folder import SourceFolder
from medseg.inference.nnunet.source_labels import SourceLabels, channel_names, source_labels
from medseg.inference.nnunet.source_network import source_network
from medseg.inference.nnunet.source_plans import configuration_of, patch_of, source_preprocess
from medseg.inference.nnunet.source_trainer import has_batch_norm
from medseg.networks.segmentation.nnunet import AnyNnunetConfig
from medseg.networks.segmentation.nnunet_checkpoint import NnunetCheckpoint, head_channels


@dataclass(frozen=True, slots=True)
class SourceModel:
    """A model of which everything but the weights is known.

    Attributes:
        folder: Its folder.
        configuration: Configuration of the plans, with what it inherits.
        checkpoint: First of its checkpoints.
        channels: Names of the image channels.
        meaning: Labels or regions of the output.
        network: Shape of the network.
    """

    folder: SourceFolder
    configuration: dict[str, Any]
    checkpoint: NnunetCheckpoint
    channels: tuple[str, ...]
    meaning: SourceLabels
    network: AnyNnunetConfig

    @classmethod
    def of(cls, folder: SourceFolder, checkpoint: NnunetCheckpoint, *, accepts_trainer: bool) -> SourceModel:
        """Bring plans, dataset.json and a checkpoint together.

        Raises:
            CheckpointError: If they do not belong together, or name something that is not nnU-Net's own.
        """
        batch_norm = has_batch_norm(checkpoint.trainer, is_accepted=accepts_trainer)
        configuration = configuration_of(folder.plans, checkpoint.configuration)
        channels, meaning = channel_names(folder.dataset), source_labels(folder.dataset)
        found = head_channels(checkpoint.weights)
        if found not in (0, meaning.channels):
            raise CheckpointError(
                f"dataset.json must name {found} labels or regions as the checkpoint has, got {meaning.channels}",
                remedy="take dataset.json and checkpoint from one and the same training",
            )
        network = source_network(
            configuration,
            in_channels=len(channels) + (_taken_labels(meaning) if "previous_stage" in configuration else 0),
            out_channels=meaning.channels,
            has_batch_norm=batch_norm,
        )
        return cls(folder, configuration, checkpoint, channels, meaning, network)

    @property
    def earlier_stage(self) -> str | None:
        """Configuration of the earlier stage of a cascade."""
        name = self.configuration.get("previous_stage")
        return None if name is None else str(name)

    def card(
        self, folds: Sequence[AdoptedFold], *, version: str, checkpoint: str, step: float, is_mirrored: bool
    ) -> AdoptedCard:
        """The card.

        Args:
            folds: Weights whose logits are averaged.
            version: Version of medseg that adopts the model.
            checkpoint: Name of the checkpoints' files.
            step: Largest distance of neighbouring windows, as a share of their size.
            is_mirrored: Whether mirrored copies are averaged where the training allows it.
        """
        return AdoptedCard(
            medseg_version=version,
            dataset=str(self.folder.plans.get("dataset_name", self.folder.path.resolve().parent.name)),
            trainer=self.checkpoint.trainer,
            plans_name=str(self.folder.plans.get("plans_name", "")),
            configuration=self.checkpoint.configuration,
            checkpoint=checkpoint,
            channels=self.channels,
            labels=self.meaning.labels,
            regions=self.meaning.regions,
            network=self.network,
            preprocess=source_preprocess(self.folder.plans, self.configuration, channels=len(self.channels)),
            patch_size=patch_of(self.configuration),
            step=step,
            mirror_axes=self.checkpoint.mirror_axes if is_mirrored else (),
            precision="fp32",
            folds=tuple(folds),
            has_earlier_stage=self.earlier_stage is not None,
            **self.folder.digests,
        )


def _taken_labels(meaning: SourceLabels) -> int:
    """Input channels that hold the labels of an earlier stage."""
    return sum(value != 0 for value in meaning.label_values)
