"""Weights from a local file that can hold nothing but tensors."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from medseg.errors import CheckpointError

_DAMAGED = (OSError, SafetensorError, UnpicklingError, RuntimeError, ValueError, EOFError, KeyError)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name from `.safetensors`, or from `.pth` read so that it cannot run code.

    Raises:
        CheckpointError: If the file is missing, damaged, of another kind, or holds more than tensors by name.
    """
    if path.suffix not in (".safetensors", ".pth"):
        raise CheckpointError(f"weights {path}: file must be .safetensors or .pth, got {path.suffix or 'no suffix'}")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _load_pth(path)
    except _DAMAGED as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"weights {path}: must be a readable file of tensors, got: {first}") from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"weights {path}: must hold tensors by name and nothing else; save the state dict alone")
    return dict(content)


def _load_pth(path: Path) -> object:
    return torch.load(path, map_location="cpu", weights_only=True)
