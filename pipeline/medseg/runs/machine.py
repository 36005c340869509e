"""The device and the threads of a run."""

from __future__ import annotations

import os
from typing import Literal

import psutil  # type: ignore[import-untyped]  # it ships no types
import torch

from medseg.cohort import ThreadExecutor
from medseg.errors import ConfigError

DeviceName = Literal["auto", "cpu", "cuda"]
_MOST_WORKERS = 16


def torch_device(name: DeviceName) -> torch.device:
    """The device of that name; `auto` is the GPU where there is one, that of this process if it has chosen one.

    Raises:
        ConfigError: If CUDA is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda needs a CUDA GPU, got none", remedy="choose cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and (number := torch.cuda.current_device()):
        return torch.device(name, number)
    return torch.device(name)


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def threads(asked: int | None) -> ThreadExecutor:
    """The asked number of threads, or one per core up to 16."""
    return ThreadExecutor(worker_count(asked))


def worker_count(asked: int | None) -> int:
    """The asked number of workers, or one per core up to 16."""
    return asked or min(_MOST_WORKERS, os.cpu_count() or 1)
