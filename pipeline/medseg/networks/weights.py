"""Network weights: written as safetensors, and read from any file of tensors that cannot run code."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medseg.atomic import atomic_path
from medseg.errors import CheckpointError

_SUFFIXES = (".safetensors", ".pt", ".pth")
_WRAPPER = "state_dict"
_DAMAGED = (OSError, SafetensorError, UnpicklingError, RuntimeError, ValueError, EOFError, KeyError)


def save_weights(state: Mapping[str, Tensor], path: Path, *, facts: dict[str, str] | None = None) -> None:
    """Write a state dict and facts about it, whole or not at all."""
    write_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, path, facts=facts)


def weights_facts(path: Path) -> dict[str, str]:
    """Facts that were written with weights; none where the file has none or cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):
        return {}


def write_tensors(tensors: dict[str, Tensor], path: Path, *, facts: dict[str, str] | None = None) -> None:
    """Write tensors and facts as one safetensors file, whole or not at all.

    Raises:
        DeliveryError: If the file cannot be written, as on a full disk.
    """
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=facts)
        except SafetensorError as error:
            raise OSError(errno.ENOSPC if "No space left" in str(error) else errno.EIO, str(error)) from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name, on the CPU.

    Args:
        path: File `.safetensors`, or `.pt` or `.pth` with a state dict, alone or under the key `state_dict` of a
            training's checkpoint.

    Raises:
        CheckpointError: If the file is missing, damaged or of another kind, or holds more than tensors by name.
    """
    if path.suffix not in _SUFFIXES:
        raise _unreadable(path, f"a file {f'of {path.suffix}' if path.suffix else 'without ending'}")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _load_pickled(path)
    except _DAMAGED as error:
        raise _unreadable(path, (str(error).splitlines() or [type(error).__name__])[0]) from error
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise _unreadable(path, "something else than tensors by name")
    return dict(content)


def weights_digest(path: Path) -> str:
    """SHA-256 of a file of weights.

    Raises:
        CheckpointError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


def load_weights(network: nn.Module, path: Path) -> None:
    """Load weights into a network of the same shape, which may have been built without any, on the device `meta`.

    Raises:
        CheckpointError: If the file is missing, damaged or from another network.
    """
    state = read_weights(path)
    is_weightless = any(parameter.is_meta for parameter in network.parameters())
    if is_weightless:  # what is read becomes its weights, in memory and not as a part of the file
        own = network.state_dict()
        state = {name: read.to(own.get(name, read).dtype, copy=True) for name, read in state.items()}
    try:
        network.load_state_dict(state, assign=is_weightless)
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        raise CheckpointError(
            f"weights {path}: must fit the network that is described beside them, got: {first}",
            remedy="copy the whole run again, or train again",
        ) from error


def _load_pickled(path: Path) -> object:
    """Content of a file of torch; for a checkpoint only its state dict."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    return content[_WRAPPER] if isinstance(content, dict) and _WRAPPER in content else content


def _unreadable(path: Path, found: str) -> CheckpointError:
    return CheckpointError(
        f"weights {path}: must be readable as tensors by name ({', '.join(_SUFFIXES)}), got: {found}",
        remedy="copy the file whole, or save the state dict again",
    )
