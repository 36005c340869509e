"""Names of devices."""

from __future__ import annotations

import platform

import torch


def device_name(device: torch.device) -> str:
    """Name of a device for people, such as `NVIDIA H100` or `CPU with 8 threads (x86_64)`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    count = torch.get_num_threads()
    return f"CPU with {count} thread{'s' if count > 1 else ''} ({platform.machine()})"
