"""Everything that a training needs to continue, in one safetensors file with JSON facts in its header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.errors import CheckpointError
from medseg.networks.weights import write_tensors

CHECKPOINT_NAME = "checkpoint.safetensors"
_FORMAT = 1


def save_checkpoint(
    path: Path, *, network: nn.Module, average: nn.Module, optimiser: Optimizer, facts: dict[str, Any]
) -> None:
    """Write network, average, optimiser state and facts, whole or not at all."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": value for key, value in state.items() if isinstance(value, Tensor)}
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    header = {"format": _FORMAT, "optimiser": type(optimiser).__name__, **facts}
    write_tensors(plain, path, facts={"facts": json.dumps(header)})


def load_checkpoint(path: Path, *, network: nn.Module, average: nn.Module, optimiser: Optimizer) -> dict[str, Any]:
    """Load a checkpoint into a network, average and optimiser of the same shape, and return its facts.

    Raises:
        CheckpointError: If the file is missing, damaged or from another training.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["facts"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        network.load_state_dict(_part(tensors, "network."))
        average.load_state_dict(_part(tensors, "average."))
        if facts["optimiser"] != type(optimiser).__name__:
            raise CheckpointError(
                f"checkpoint {path.name}: optimiser must be {facts['optimiser']}, got {type(optimiser).__name__}",
                remedy="start a new run",
            )
        _load_optimiser(optimiser, _part(tensors, "optimiser."))
    except (OSError, SafetensorError, KeyError, TypeError, RuntimeError, ValueError, IndexError) as error:
        first = str(error).splitlines()[0]
        raise CheckpointError(
            f"checkpoint {path.name}: must fit this training, got: {first}", remedy="start a new run"
        ) from error
    return facts


def checkpoint_facts(path: Path) -> dict[str, Any]:
    """Read the facts of a checkpoint, without its tensors.

    Raises:
        CheckpointError: If the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["facts"])
    except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"checkpoint {path}: must be readable, got: {error}", remedy="start a new run") from error
    return facts


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _load_optimiser(optimiser: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put state tensors back in the memory layout of their parameters."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        parameter = parameters[int(index)]
        if tensor.shape == parameter.shape:
            tensor = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
        state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
