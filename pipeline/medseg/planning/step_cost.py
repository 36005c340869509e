"""What a training step costs on the machine at hand: measured once, then scaled."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

from medseg.atomic import write_text
from medseg.networks.cost import count_multiply_adds
from medseg.networks.precision import to_device
from medseg.networks.segmentation import AnyNetwork, build_network
from medseg.targets import ExclusiveLabels
from medseg.training.averaging import averaged_copy
from medseg.training.segmentation import TrainingConfig
from medseg.training.segmentation.loss import loss_for
from medseg.training.segmentation.step import training_step

NAME = "step_costs.json"
_TIMED_STEPS = 2
_Build = Callable[[AnyNetwork], nn.Module]


class StepCost:
    """Seconds of training steps on one device.

    The first network that is asked for is measured in a dry run on noise: forward, backward and update with
    augmentation. All others are scaled from it by their multiply-adds. Measurements are kept in a file, so that the
    same machine gives the same plan again.

    Args:
        device: Device that will train.
        folder: Folder of the file of earlier measurements; none are kept if not given.
        build: Function that builds the network; `build_network` if not given.
    """

    def __init__(self, device: torch.device, *, folder: Path | None = None, build: _Build = build_network) -> None:
        self.device = device
        self.build = build
        self._path = folder / NAME if folder else None
        self._known: dict[str, float] = {}
        self._reference: tuple[float, int] | None = None  # seconds and multiply-adds of the measured step

    def measure(self, network: AnyNetwork, training: TrainingConfig) -> float:
        """Seconds of a step, measured or as measured before; later estimates are scaled from it."""
        key = _key(network, training, self.device)
        self._known |= self._load()
        if key not in self._known:
            self._known[key] = _dry_run_s(self.build, network, training, self.device)
            self._save()
        self._reference = (self._known[key], self._work(network, training))
        return self._known[key]

    def estimate(self, network: AnyNetwork, training: TrainingConfig) -> float:
        """Seconds of a step, scaled from the last measurement; the first call measures."""
        if self._reference is None:
            return self.measure(network, training)
        seconds, work = self._reference
        return seconds * self._work(network, training) / work

    def _work(self, network: AnyNetwork, training: TrainingConfig) -> int:
        """Multiply-adds of the forward pass of a batch."""
        patch = training.patch_size[: network.spatial_dims]
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            weightless = self.build(network).to("meta")
        return training.batch_size * count_multiply_adds(weightless, (1, network.in_channels, *patch))

    def _load(self) -> dict[str, float]:
        """Earlier measurements; none if the file is missing or broken."""
        if self._path is None:
            return {}
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(key): float(value) for key, value in content.items()} if isinstance(content, dict) else {}

    def _save(self) -> None:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, json.dumps(self._known, indent=1, sort_keys=True))


def _key(network: AnyNetwork, training: TrainingConfig, device: torch.device) -> str:
    """Digest of everything that decides how long a step takes."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    facts = [
        network.model_dump(mode="json"),
        training.patch_size,
        training.batch_size,
        training.precision,
        training.augment.model_dump(mode="json"),
        [device.type, name, platform.node(), os.cpu_count(), torch.get_num_threads(), torch.__version__],
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _dry_run_s(build: _Build, network: AnyNetwork, training: TrainingConfig, device: torch.device) -> float:
    """The faster of a few steps on noise, after one that warms up."""
    with torch.random.fork_rng(devices=[]):
        module = to_device(build(network), device, spatial_dims=network.spatial_dims)
        shape = (training.batch_size, network.in_channels, *training.patch_size)
        label = torch.randint(network.out_channels, (shape[0], 1, *shape[2:]), dtype=torch.int16)
        batch = {"image": torch.randn(shape), "label": label}
    optimiser = torch.optim.AdamW(module.parameters(), training.learning_rate, fused=True)
    target = ExclusiveLabels(labels={f"class {value}": value for value in range(network.out_channels)})
    loss = loss_for(target, dice_weight=training.dice_weight).to(device)
    step = training_step(module, optimiser, loss, training, device, spatial_dims=network.spatial_dims)
    average = averaged_copy(module, decay=training.average_decay)
    seconds = []
    for number in range(1 + _TIMED_STEPS):
        start = time.perf_counter()
        float(step(SimpleNamespace(state=SimpleNamespace(iteration=number)), batch))
        average.update_parameters(module)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
