"""Network weights as safetensors."""

from __future__ import annotations

import errno
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipeline.atomic import atomic_path
from pipeline.errors import CheckpointError


def save_weights(state: dict[str, Tensor], path: Path) -> None:
    """Write a state dict, whole or not at all."""
    write_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, path)


def write_tensors(tensors: dict[str, Tensor], path: Path, *, facts: dict[str, str] | None = None) -> None:
    """Write tensors and facts as one safetensors file, whole or not at all.

    Raises:
        DeliveryError: If it cannot be written, as on a full disk.
    """
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=facts)
        except SafetensorError as error:
            raise OSError(errno.ENOSPC if "No space left" in str(error) else errno.EIO, str(error)) from error


def load_weights(network: nn.Module, path: Path) -> None:
    """Load weights into a network of the same shape.

    Raises:
        CheckpointError: If the file is missing, damaged or from another network.
    """
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        first = str(error).splitlines()[0]
        raise CheckpointError(
            f"weights {path}: must fit the network of model.json, got: {first}; train again"
        ) from error
