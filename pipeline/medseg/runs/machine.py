"""The device and the threads of a run."""

from __future__ import annotations

import os
import platform

import psutil  # type: ignore[import-untyped]  # it ships no types
import torch

from medseg.cohort import ThreadExecutor
from medseg.errors import ConfigError

_MOST_WORKERS = 16


def torch_device(name: str) -> torch.device:
    """The device of that name; `auto` is the GPU where there is one.

    Raises:
        ConfigError: If CUDA is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda needs a CUDA GPU, got none", remedy="choose cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """Name of a device for people, such as `NVIDIA H100` or `CPU with 8 threads (x86_64)`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    count = torch.get_num_threads()
    return f"CPU with {count} thread{'s' if count > 1 else ''} ({platform.machine()})"


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
