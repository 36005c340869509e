"""What a bundle's configuration builds before the first case: the network, and the cases of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn

from medseg.inference import FoundInputs, find_inputs
from medseg.inference.segmentation.card import load_card
from medseg.networks.precision import to_device
from medseg.networks.segmentation import AnyNetwork, build_network
from medseg.networks.small_maps import make_careful
from medseg.networks.weights import load_weights

WEIGHTS_NAME = "model.pt"


def untrained_network(settings: Mapping[str, Any]) -> nn.Module:
    """The network of a bundle, to which the state dict in its `models/model.pt` fits.

    Args:
        settings: Shape of the network, as the card has it.
    """
    network = build_network(TypeAdapter(AnyNetwork).validate_python(dict(settings)))
    make_careful(network)
    return network.eval()


def load_network(network: nn.Module, models: str, device: torch.device) -> nn.Module:
    """The network with its weights, on a device.

    Args:
        network: Network of the bundle.
        models: Folder of the bundle's card and weights.
        device: Device to run on.
    """
    folder = Path(models)
    load_weights(network, folder / WEIGHTS_NAME)
    return to_device(network, device, spatial_dims=load_card(folder).network.spatial_dims)


def found_cases(dataset_dir: str, models: str) -> FoundInputs:
    """The cases of a folder of scans, or of a manifest.

    Args:
        dataset_dir: Folder of scans, DICOM among them, or a manifest.
        models: Folder of the bundle's card and weights.
    """
    return find_inputs([Path(dataset_dir)], channels=load_card(Path(models)).channels)
