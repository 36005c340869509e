"""A trained network with its card, loaded alike for every task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import nn

from medseg.inference.card import model_folder
from medseg.networks.precision import PrecisionKind, to_device
from medseg.networks.weights import load_weights, weights_digest


class _Shape(Protocol):
    @property
    def spatial_dims(self) -> int: ...


class _Card(Protocol):
    @property
    def network(self) -> _Shape: ...


AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)
AnyCard = TypeVar("AnyCard", bound=_Card)


class LoadedModel(ABC, Generic[AnyNetwork, AnyCard]):
    """The shared part of the predictors of all tasks.

    Args:
        network: Trained network, which is put into evaluation mode.
        card: Card of its weights.
        device: Device to run on.
        precision: Number format.

    Attributes:
        weights: Name of the weights, `last` or `best`; "" where they were not loaded from a run.
        weights_digest: SHA-256 of the file of the weights; "" where they were not loaded from a run.
    """

    def __init__(
        self, network: AnyNetwork, card: AnyCard, *, device: torch.device, precision: PrecisionKind = "auto"
    ) -> None:
        self.card = card
        self.weights = self.weights_digest = ""
        self.device = device
        self.precision = precision
        self.network = network.eval()
        to_device(network, device, spatial_dims=card.network.spatial_dims)

    @classmethod
    def load(
        cls,
        run: Path,
        *,
        weights: str = "last",
        device: torch.device,
        precision: PrecisionKind = "auto",
        build: Callable[[Any], AnyNetwork] | None = None,
    ) -> Self:
        """Load the model of a run.

        Args:
            run: Folder of the run, or its `model` folder.
            weights: `last`, or `best` for the weights of the best validation.
            device: Device to run on.
            precision: Number format.
            build: Function that builds the untrained network from the card's settings, for a run that was trained with
                a network of the user's own.

        Raises:
            CheckpointError: If card or weights are missing or damaged, or do not fit each other.
        """
        folder = model_folder(run)
        card = cls._read_card(folder, weights)
        network = build(card.network) if build is not None else cls._build(card)
        load_weights(network, folder / f"{weights}.safetensors")
        loaded = cls(network, card, device=device, precision=precision)
        loaded.weights, loaded.weights_digest = weights, weights_digest(folder / f"{weights}.safetensors")
        return loaded

    @classmethod
    @abstractmethod
    def _read_card(cls, folder: Path, weights: str) -> AnyCard:
        """The card of some weights of a model folder."""

    @classmethod
    @abstractmethod
    def _build(cls, card: AnyCard) -> AnyNetwork:
        """The network that a card describes, untrained."""
