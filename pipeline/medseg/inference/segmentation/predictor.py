"""A loaded segmentation network, for any number of scans."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from medseg.errors import CheckpointError
from medseg.inference.loaded_model import LoadedModel
from medseg.inference.record import ModelIdentity
from medseg.inference.segmentation.card import ModelCard, load_card
from medseg.inference.segmentation.head.card import HeadCard
from medseg.inference.segmentation.postprocess import Postprocessing
from medseg.inference.segmentation.prepared_scan import PreparedScan
from medseg.inference.segmentation.quality.statistics import TrainingStatistics
from medseg.inference.segmentation.sliding import whole_volume_probabilities
from medseg.inference.slab import Slab
from medseg.networks.precision import PrecisionKind
from medseg.networks.segmentation import build_weightless
from medseg.records import Labelmap, Scan
from medseg.targets import VoxelTarget


class Predictor(LoadedModel[nn.Module, ModelCard]):
    """Draws masks on the scans' own grids.

    Args:
        network: Trained network, which is put into evaluation mode.
        card: Card of its weights.
        device: Device to run on.
        precision: Number format; `auto` takes that of the card.
    """

    def __init__(
        self, network: nn.Module, card: ModelCard, *, device: torch.device, precision: PrecisionKind = "auto"
    ) -> None:
        super().__init__(network, card, device=device, precision=card.precision if precision == "auto" else precision)

    @property
    def target(self) -> VoxelTarget:
        """Meaning of the network's channels."""
        return self.card.target

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the image channels, in order."""
        return self.card.channels

    @property
    def labels(self) -> dict[str, int]:
        """Value of each label by name, the background included."""
        return self.card.labels

    @property
    def seen_cases(self) -> tuple[str, ...]:
        """Ids of the cases from which the weights come."""
        return self.card.seen_cases

    @property
    def identities(self) -> tuple[ModelIdentity, ...]:
        """The one model behind the network."""
        card = self.card
        return (
            ModelIdentity(
                dataset=card.dataset,
                manifest_digest=card.manifest_digest,
                plan_digest=card.plan_digest,
                run_id=card.mlflow_run_id,
                weights=self.weights or None,
                weights_digest=self.weights_digest or None,
                medseg_version=card.medseg_version,
                cost=card.cost,
                trained_on=card.seen_cases,
            ),
        )

    @property
    def statistics(self) -> TrainingStatistics | None:
        """Statistics of the training cases; None where the card has none."""
        return self.card.training_statistics

    @property
    def member_statistics(self) -> tuple[TrainingStatistics | None, ...]:
        """The same, as the only one."""
        return (self.statistics,)

    @property
    def postprocessing(self) -> Postprocessing | None:
        """Rules of the card that change a mask after it is decided."""
        return self.card.postprocessing

    @property
    def head(self) -> HeadCard | None:
        """Classes that the network finds beside the mask; None for masks alone."""
        return self.card.head

    def faster(self) -> Predictor:
        """The same network with less work per scan; see `InferenceConfig.faster`."""
        inference = self.card.inference.faster()
        if self.card.own_network is not None:  # nobody knows which sizes it takes
            inference = inference.model_copy(update={"is_cut_to_image": False})
        card = self.card.model_copy(update={"inference": inference})
        model = Predictor(self.network, card, device=self.device, precision=self.precision)
        model.weights, model.weights_digest = self.weights, self.weights_digest
        return model

    def mask(self, scan: Scan, *, slab: Slab | None = None) -> Labelmap:
        """Label values on the scan's own grid, shape `(I, J, K)`, drawn with the memory of a few slices.

        Within a slab the mask is that of the whole scan: the whole scan's statistics normalise it, and all of the whole
        scan's windows that touch the slab are predicted, but nothing else is resampled, predicted or restored. Where
        scans are cropped to the body, that is the whole scan for the network, and the mask is 0 outside.

        Args:
            scan: Scan as it was read.
            slab: Slices to segment; all if not given. The mask is 0 outside, and everywhere if the slab is empty.

        Raises:
            GeometryError: If the slab reaches beyond the scan.
            ScanError: If the scan needs more memory than is free.
        """
        return self.prepare(scan, slab=slab).draw().mask

    def prepare(self, scan: Scan, *, slab: Slab | None = None) -> PreparedScan:
        """Bring a scan, or what a slab needs of it, onto the network's grid; see `mask`."""
        return PreparedScan(self, scan, slab)

    def probabilities(self, image: Tensor) -> Tensor:
        """Class probabilities on the whole of the network's grid, which `mask` never holds.

        Args:
            image: Preprocessed image, `(C, I, J, K)`.

        Returns:
            Probabilities `(classes, I, J, K)`, float32.
        """
        return whole_volume_probabilities(
            self.network,
            image,
            self.card.inference,
            target=self.target,
            device=self.device,
            precision=self.precision,
        )

    @classmethod
    def _read_card(cls, folder: Path, weights: str) -> ModelCard:
        return load_card(folder)

    @classmethod
    def _build(cls, card: ModelCard) -> nn.Module:
        if card.own_network is not None:
            raise CheckpointError(
                f"model of {card.dataset}: was trained with the network {card.own_network}, which must be given",
                remedy="load it in Python, by Predictor.load with the function that builds that network as build",
            )
        return build_weightless(card.network)
