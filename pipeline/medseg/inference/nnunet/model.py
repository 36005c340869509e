"""A model that nnU-Net trained, which draws masks like any other."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import nn

from medseg.errors import CheckpointError
from medseg.inference.card import model_folder
from medseg.inference.nnunet.averaged import AveragedNetwork
from medseg.inference.nnunet.card import EARLIER, AdoptedCard, load_adopted_card
from medseg.inference.nnunet.prepared import PreparedAdopted
from medseg.inference.record import ModelIdentity
from medseg.inference.slab import Slab
from medseg.networks.precision import PrecisionKind, to_device
from medseg.networks.segmentation import build_network
from medseg.networks.weights import load_weights, weights_digest
from medseg.records import Labelmap, Scan
from medseg.targets import ExclusiveLabels


class AdoptedModel:
    """Draws masks on the scans' own grids as nnU-Net does.

    Args:
        network: Mean of the folds and mirrored copies, which is put into evaluation mode.
        card: Card of its weights.
        device: Device to run on.
        precision: Number format; `auto` takes that of the card.
        earlier: Model of the earlier stage of a cascade.
    """

    def __init__(
        self,
        network: AveragedNetwork,
        card: AdoptedCard,
        *,
        device: torch.device,
        precision: PrecisionKind = "auto",
        earlier: AdoptedModel | None = None,
    ) -> None:
        self.card = card
        self.device = device
        self.precision = card.precision if precision == "auto" else precision
        self.earlier = earlier
        self.network = network.eval()
        to_device(network, device, spatial_dims=card.network.spatial_dims)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the image channels, in order."""
        return self.card.channels

    @property
    def labels(self) -> dict[str, int]:
        """Value of each label by name, the background included."""
        return self.card.labels

    @property
    def target(self) -> ExclusiveLabels:
        """Meaning of the network's channels."""
        return self.card.target

    @property
    def seen_cases(self) -> tuple[str, ...]:
        """Ids of the cases that some fold was trained on, as far as they are known."""
        earlier = self.earlier.seen_cases if self.earlier is not None else ()
        return tuple(dict.fromkeys((*self.card.trained_on, *earlier)))

    @property
    def identities(self) -> tuple[ModelIdentity, ...]:
        """The one model behind all folds."""
        card = self.card
        return (
            ModelIdentity(
                dataset=card.dataset,
                manifest_digest=card.dataset_digest,
                plan_digest=card.plans_digest,
                weights="+".join(f"fold_{fold.name}" for fold in card.folds),
                weights_digest=self._digest(),
                medseg_version=card.medseg_version,
                trained_on=self.seen_cases,
            ),
        )

    @property
    def statistics(self) -> None:
        """Nothing: nnU-Net keeps no statistics of its training cases that masks could be compared with."""

    @property
    def member_statistics(self) -> tuple[None]:
        """Nothing of the one model."""
        return (None,)

    @property
    def head(self) -> None:
        """Nothing: it finds masks alone."""
        return None

    @property
    def postprocessing(self) -> None:
        """Nothing: the mask stays as it is decided."""

    def faster(self) -> AdoptedModel:
        """The same folds with less work per scan: windows overlap by a quarter at most, and nothing is mirrored."""
        card = self.card.model_copy(update={"step": max(self.card.step, 0.75), "mirror_axes": ()})
        network = AveragedNetwork(list(self.network.networks), ())
        earlier = self.earlier.faster() if self.earlier is not None else None
        return AdoptedModel(network, card, device=self.device, precision=self.precision, earlier=earlier)

    def mask(self, scan: Scan, *, slab: Slab | None = None) -> Labelmap:
        """Label values on the scan's own grid, `(I, J, K)`; see `prepare`."""
        return self.prepare(scan, slab=slab).draw().mask

    def prepare(self, scan: Scan, *, slab: Slab | None = None) -> PreparedAdopted:
        """Bring a scan onto the network's grid; the earlier stage of a cascade is drawn here.

        Args:
            scan: Scan as it was read; its array is not changed, nor kept.
            slab: Slices to segment; all if not given. The mask is 0 outside, and everywhere if the slab is empty.

        Raises:
            GeometryError: If the slab reaches beyond the scan.
            ScanError: If the scan needs more memory than is free.
        """
        return PreparedAdopted(self, scan, slab)

    def _digest(self) -> str:
        """One digest of all files of weights: that of the file itself where there is one alone."""
        digests = [fold.weights_digest for fold in self.card.folds]
        if self.earlier is not None:
            digests.append(self.earlier._digest())
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def load_adopted(run: Path, *, device: torch.device, precision: PrecisionKind = "auto") -> AdoptedModel:
    """Load an adopted model.

    Args:
        run: Folder of the run, or its `model` folder.
        device: Device to run on.
        precision: Number format; `auto` takes that which the card found to decide as float32 does.

    Raises:
        CheckpointError: If card or weights are missing or damaged, or do not fit each other.
    """
    folder = model_folder(run)
    card = load_adopted_card(folder)
    earlier = load_adopted(folder / EARLIER, device=device, precision=precision) if card.has_earlier_stage else None
    networks = [_fold(card, folder / fold.file, fold.weights_digest) for fold in card.folds]
    network = AveragedNetwork(networks, card.mirror_axes)
    return AdoptedModel(network, card, device=device, precision=precision, earlier=earlier)


def _fold(card: AdoptedCard, path: Path, digest: str) -> nn.Module:
    network = build_network(card.network)
    load_weights(network, path)
    if weights_digest(path) != digest:
        raise CheckpointError(
            f"weights {path}: must be those of the card beside them, got another file",
            remedy="copy the whole run again, or adopt the model again",
        )
    return network
