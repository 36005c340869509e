"""MONAI's networks, imported when one of them is built: importing any of MONAI takes seconds."""

from __future__ import annotations

from types import ModuleType

import torch


def load_monai_nets() -> ModuleType:
    """The module `monai.networks.nets`, imported as on the CPU, whatever device networks are being built on."""
    with torch.device("cpu"):
        from monai.networks import nets
    module: ModuleType = nets
    return module
