"""What every part needs: the device, the sizes and where rows go."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import torch

from benchmarks.gpu_parts.row import Rows

ABSENT = ("SimpleITK", "pydicom", "mlflow", "pandas")


@dataclass(frozen=True, slots=True)
class Context:
    """Settings of a part.

    Attributes:
        device: Device that does the work.
        is_quick: Whether sizes are tiny, to try the script itself.
        store: Folder that `gpu.py --prepare` wrote.
        scratch: Folder for files that are thrown away.
        out: Folder of the results.
        rows: Record that measured numbers go to.
        deadline: Reading of `time.monotonic()` at which the part is ended from outside.
    """

    device: torch.device
    is_quick: bool
    store: Path
    scratch: Path
    out: Path
    rows: Rows
    deadline: float

    def left_s(self) -> float:
        """Seconds that the part still has."""
        return self.deadline - time.monotonic()

    def has_time_for(self, seconds: float, what: str) -> bool:
        """Whether the part may still take that long; if not, a note says what is left out."""
        left_s = self.left_s()
        if left_s < seconds:
            self.rows.note(f"{what}: left out, about {seconds:.0f} s needed and {left_s:.0f} s left")
        return left_s >= seconds

    @property
    def is_cuda(self) -> bool:
        """Whether the device is a CUDA GPU."""
        return self.device.type == "cuda"


def forbid_imports() -> None:
    """Make an import of what a bare CUDA machine lacks fail here too, wherever it is installed.

    MONAI takes pydicom, MLflow and pandas along where they are present and does without them where they are not, so
    that this also keeps its import as short as it will be there.
    """
    for name in ABSENT:
        sys.modules[name] = None  # type: ignore[assignment]  # how Python marks a module that must not be found
    if find_spec("httpx") is None:
        # blosc2 imports it at once, for tables that lie on a server; none does here.
        sys.modules["httpx"] = ModuleType("httpx")


def device_name(device: torch.device) -> str:
    """The name under which numbers are quoted."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def describe_machine(device: torch.device) -> dict[str, object]:
    """Versions and hardware that the numbers depend on."""
    facts: dict[str, object] = {
        "device": device_name(device),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cpu_cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "packages": {name: version(name) for name in ("numpy", "monai", "pytorch-ignite")},
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        facts |= {
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "capability": f"{properties.major}.{properties.minor}",
            "memory_bytes": properties.total_memory,
            "driver": _driver(),
        }
    return facts


def _driver() -> str:
    """Driver, largest clock and power limit as nvidia-smi says them; empty without it."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return ""
    query = "--query-gpu=driver_version,clocks.max.sm,power.limit"
    done = subprocess.run([command, query, "--format=csv,noheader"], capture_output=True, text=True, check=False)
    return done.stdout.strip()
