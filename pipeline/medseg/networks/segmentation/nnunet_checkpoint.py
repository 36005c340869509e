"""Checkpoints of nnU-Net v2: read without running code from them, their weights under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medseg.errors import CheckpointError

_DAMAGED = (OSError, RuntimeError, ValueError, EOFError, KeyError, AttributeError, UnpicklingError)
_WHOLE = "copy the model folder again, whole"
_KEYS = ("network_weights", "trainer_name", "init_args")
_WRAPPERS = ("module.", "_orig_mod.")  # of several processes and of a compiled network
_DOUBLED = re.compile(r"\.all_modules\.|^decoder\.encoder\.")
_RENAMED: tuple[tuple[str, str], ...] = (
    (r"^encoder\.stem\.convs\.0\.", "stem."),
    (r"^encoder\.stages\.(\d+)\.0\.convs\.(\d+)\.", r"encoder.\1.\2."),
    (r"^encoder\.stages\.(\d+)\.blocks\.(\d+)\.", r"encoder.\1.\2."),
    (r"^decoder\.transpconvs\.", "decoder.upsamplings."),
    (r"^decoder\.stages\.(\d+)\.convs\.(\d+)\.", r"decoder.stages.\1.\2."),
    (r"\.conv1\.", ".first."),
    (r"\.conv2\.", ".second."),
    (r"\.skip\.\d+\.", ".skip."),
)
_HEAD = re.compile(r"^decoder\.seg_layers\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class NnunetCheckpoint:
    """What is used of a checkpoint.

    Attributes:
        weights: Weights by nnU-Net's names.
        trainer: Name of the class that trained them.
        configuration: Configuration of the plans, such as `3d_fullres`.
        mirror_axes: Axes of the patch along which flipped copies are predicted too.
    """

    weights: dict[str, Tensor]
    trainer: str
    configuration: str
    mirror_axes: tuple[int, ...]


def read_checkpoint(path: Path) -> NnunetCheckpoint:
    """Read a checkpoint; of its objects only tensors, plain containers and numpy's numbers are rebuilt.

    Raises:
        CheckpointError: If the file is missing or damaged, holds objects of another type, or is not of nnU-Net.
    """
    try:
        with torch.serialization.safe_globals(_numbers()):
            strange = torch.serialization.get_unsafe_globals_in_checkpoint(path)
            content = None if strange else torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"checkpoint {path}: must be readable, got: {first}", remedy=_WHOLE) from error
    if strange:
        raise CheckpointError(
            f"checkpoint {path}: must hold tensors and numbers alone, got objects of {', '.join(sorted(strange))}, "
            "which could run code while they are read",
            remedy="take a checkpoint that nnU-Net itself wrote, from a source that you trust",
        )
    return _parsed(content, path)


def renamed_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the names of our networks, without doubles and without the heads of coarser scales."""
    plain = {_unwrapped(name): tensor for name, tensor in weights.items()}
    heads = [int(match[1]) for match in map(_HEAD.match, plain) if match]
    finest = f"decoder.seg_layers.{max(heads, default=0)}."
    renamed = {}
    for name, tensor in plain.items():
        if _DOUBLED.search(name) or (_HEAD.match(name) and not name.startswith(finest)):
            continue
        new = name.replace(finest, "decoder.head.")
        for pattern, text in _RENAMED:
            new = re.sub(pattern, text, new)
        renamed[new] = tensor.float() if tensor.is_floating_point() else tensor
    return renamed


def head_channels(weights: Mapping[str, Tensor]) -> int:
    """Output channels of the finest head; 0 where there is no head."""
    head = renamed_weights(weights).get("decoder.head.weight")
    return 0 if head is None else len(head)


def load_renamed(network: nn.Module, weights: Mapping[str, Tensor], *, source: Path) -> None:
    """Put a checkpoint's weights into a network.

    Raises:
        CheckpointError: If they belong to another network.
    """
    try:
        network.load_state_dict(renamed_weights(weights))
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:2]] or [str(error)]
        raise CheckpointError(
            f"checkpoint {source}: must fit the network of plans.json, got: {lines[0][:300]}",
            remedy="take plans.json, dataset.json and checkpoint from one and the same training; a trainer class that "
            "builds a network of its own cannot be adopted",
        ) from error


def _parsed(content: Any, path: Path) -> NnunetCheckpoint:
    missing = [key for key in _KEYS if key not in content] if isinstance(content, dict) else list(_KEYS)
    if missing:
        raise CheckpointError(
            f"checkpoint {path}: must be one of nnU-Net v2, got none of the keys {', '.join(missing)}",
            remedy="give the folder of a training of nnU-Net v2; models of version 1 must be trained again",
        )
    axes = content.get("inference_allowed_mirroring_axes")
    return NnunetCheckpoint(
        weights=dict(content["network_weights"]),
        trainer=str(content["trainer_name"]),
        configuration=str(content["init_args"].get("configuration")),
        mirror_axes=tuple(int(axis) for axis in axes or ()),
    )


def _unwrapped(name: str) -> str:
    for prefix in _WRAPPERS:
        name = name.removeprefix(prefix)
    return name


def _numbers() -> list[Any]:
    """What numpy's numbers are rebuilt from, under the names of numpy 1 and 2."""
    kinds = ("Bool", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float16", "Float32")
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]  # its place, and no public one
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    types = [getattr(np.dtypes, f"{kind}DType") for kind in (*kinds, "Float64")]
    return [np.dtype, *types, *((scalar, name) for name in names)]
