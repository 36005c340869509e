"""Network weights as safetensors."""

from __future__ import annotations

import errno
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medseg.atomic import atomic_path
from medseg.errors import CheckpointError


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


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict that a weights file holds.

    Raises:
        CheckpointError: If it is missing or damaged.
    """
    try:
        state: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"weights {path}: must be readable, got: {error}; train again") from error
    return state


def load_weights(network: nn.Module, path: Path) -> None:
    """Load weights into a network of the same shape.

    Raises:
        CheckpointError: If the file is missing, damaged or from another network.
    """
    state = read_weights(path)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        raise CheckpointError(
            f"weights {path}: must fit the network that is described beside them, got: {first}; train again"
        ) from error
