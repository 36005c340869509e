"""A loaded network of quantities, for any number of scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from medseg.errors import CheckpointError
from medseg.inference.loaded_model import LoadedModel
from medseg.inference.model_identity import ModelIdentity
from medseg.inference.regression.card import QuantityCard, load_quantity_card
from medseg.inference.regression.volumes import predicted_values
from medseg.inference.segmentation.memory import check_memory
from medseg.inference.segmentation.windows import lay_out_windows
from medseg.networks.precision import PrecisionKind
from medseg.networks.segmentation import build_weightless
from medseg.preprocess import network_grid, preprocess_scan
from medseg.records import Array, Scan
from medseg.targets import Quantities


class ValuePredictor(LoadedModel[nn.Module, QuantityCard]):
    """Predicts quantities on the scans' own grids.

    Args:
        network: Trained network, which is put into evaluation mode.
        card: Card of its weights.
        device: Device to run on.
        precision: Number format; `auto` takes that of the card.
    """

    def __init__(
        self, network: nn.Module, card: QuantityCard, *, device: torch.device, precision: PrecisionKind = "auto"
    ) -> None:
        super().__init__(network, card, device=device, precision=card.precision if precision == "auto" else precision)

    @property
    def identity(self) -> ModelIdentity:
        """The model behind the network."""
        card = self.card
        return ModelIdentity(
            dataset=card.dataset,
            manifest_digest=card.manifest_digest,
            plan_digest=card.plan_digest,
            run_id=card.mlflow_run_id,
            weights=self.weights or None,
            weights_digest=self.weights_digest or None,
            medseg_version=card.medseg_version,
            cost=card.cost,
            trained_on=card.trained_on,
        )

    def values(self, scan: Scan) -> Array:
        """Values in units on the scan's own grid, float32 of shape `(Q, I, J, K)`.

        Args:
            scan: Scan as it was read.

        Raises:
            ScanError: If the scan needs more memory than is free.
        """
        card, native = self.card, scan.geometry
        grid = network_grid(native, card.preprocess)
        layout = lay_out_windows(grid.shape, card.inference)
        check_memory(
            layout,
            native,
            native,
            channels=len(scan.array),
            classes=card.targets.channels,
            device=self.device,
        )
        image = preprocess_scan(scan, card.preprocess)[0]
        return predicted_values(
            self.network,
            image,
            grid,
            native,
            card.inference,
            target=card.targets,
            device=self.device,
            precision=self.precision,
        )

    @classmethod
    def _read_card(cls, folder: Path, weights: str) -> QuantityCard:
        return load_quantity_card(folder)

    @classmethod
    def _build(cls, card: QuantityCard) -> nn.Module:
        return build_weightless(card.network)


class ValueModel:
    """One network of quantities or several, of which the mean counts.

    Args:
        members: Loaded networks of the same channels and quantities.

    Raises:
        CheckpointError: If they differ in channels, quantities or units.
    """

    def __init__(self, members: Sequence[ValuePredictor]) -> None:
        self.members = tuple(members)
        first = self.members[0].card
        for member in self.members[1:]:
            for name, theirs, ours in (
                ("channels", member.card.channels, first.channels),
                ("quantities", member.card.targets.quantities, first.targets.quantities),
            ):
                if theirs != ours:
                    raise CheckpointError(
                        f"models must have the same {name}, got {theirs} beside {ours}",
                        remedy="predict with each apart, into folders of their own",
                    )

    @classmethod
    def load(cls, runs: Sequence[Path], *, weights: str = "last", device: torch.device) -> ValueModel:
        """Load the models of some runs.

        Args:
            runs: Folders of the runs, or their `model` folders.
            weights: `last`, or `best` for the weights of the best validation.
            device: Device to run on.

        Raises:
            CheckpointError: If a card or weights cannot be used, or the models do not fit each other.
        """
        return cls([ValuePredictor.load(run, weights=weights, device=device) for run in runs])

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the image channels, in order."""
        return self.members[0].card.channels

    @property
    def target(self) -> Quantities:
        """Quantities and their units."""
        return self.members[0].card.targets

    @property
    def device(self) -> torch.device:
        """Device of the networks."""
        return self.members[0].device

    @property
    def identities(self) -> tuple[ModelIdentity, ...]:
        """Model behind each network."""
        return tuple(member.identity for member in self.members)

    @property
    def seen_cases(self) -> frozenset[str]:
        """Ids of the cases that some network was trained on."""
        return frozenset(case_id for member in self.members for case_id in member.card.trained_on)

    def values(self, scan: Scan) -> Array:
        """Values in units on the scan's own grid, float32 of shape `(Q, I, J, K)`; the mean over the networks."""
        first, *others = self.members
        total = first.values(scan)
        for member in others:
            total += member.values(scan)
        return total if not others else np.asarray(total / np.float32(len(self.members)))
