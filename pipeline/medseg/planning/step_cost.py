"""What a training step costs on the machine at hand: measured once, then scaled."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from medseg.atomic import write_text
from medseg.networks import NetworkConfig
from medseg.networks.cost import count_multiply_adds
from medseg.networks.precision import to_device
from medseg.networks.segmentation import AnyNetwork, build_network
from medseg.planning.peak_memory import PeakMemory
from medseg.targets import ExclusiveLabels, LabelMap, Regions
from medseg.training.averaging import averaged_copy
from medseg.training.segmentation import TrainingConfig
from medseg.training.segmentation.loss import loss_for
from medseg.training.segmentation.step import training_step

NAME = "step_costs.json"
_FEWEST_TIMED, _MOST_TIMED = 3, 12  # steps of a dry run beside the first
_TIMED_S = 1.5  # after which no further step is timed: a burst of other work on the machine must not fill the dry run
_AROUND_STEP = 1.2  # a step of a training beside one of a dry run: its batch is read, its loss followed (measured)
_GUESS_WORK_PER_S = 3e10  # multiply-adds of the forward pass in a second's step, by two cores (measured)
_LONGEST_STEP = 5  # times the time that there is for a measurement
_REVISION = 3  # of the step and its timing: prices of another are not known
_USUAL_FIXED_S = 0.02  # of a step, for calls, weights and the moving average
_MOST_FIXED = 0.8  # of a step's seconds
_Build = Callable[[AnyNetwork], nn.Module]


class StepPrice(NamedTuple):
    """What a step costs.

    Attributes:
        seconds: Seconds of a step.
        memory_bytes: Memory of network, optimiser, average and a step, beside what the process held before.
    """

    seconds: float
    memory_bytes: int


class StepCost:
    """Seconds and memory of training steps on one device.

    The networks that are asked for are measured in a dry run on noise: forward, backward and update with augmentation.
    All others are estimated from the last two measurements: seconds by multiply-adds beside a constant, memory by the
    values that the features of a step hold. A step that does not fit, or would take many times the time for it, is
    estimated from one of fewer or smaller patches. Measurements are kept in a file, so that the same machine gives the
    same plan again.

    Args:
        device: Device that will train.
        folder: Folder of the file of earlier measurements; none are kept if not given.
        build: Function that builds the network; `build_network` if not given.
        name: Name of what it builds, where that is the user's own: measurements of different networks are kept apart.
        most_bytes: Memory beyond which no step is tried; a GPU refuses such a step by itself.
        share: Share of the seconds of a dry run's step that one of the training takes, where its network is compiled.
    """

    def __init__(
        self,
        device: torch.device,
        *,
        folder: Path | None = None,
        build: _Build = build_network,
        name: str = "",
        most_bytes: float = math.inf,
        share: float = 1.0,
    ) -> None:
        self.device = device
        self._share = share
        self.most_bytes = most_bytes
        self.build = build
        self._name = name
        self._path = folder / NAME if folder else None
        self._known: dict[str, StepPrice] = {}
        self._sizes: dict[tuple[str, tuple[int, ...]], _Size] = {}
        self._references: list[tuple[StepPrice, _Size]] = []

    def measure(self, network: AnyNetwork, training: TrainingConfig, *, limit_s: float = math.inf) -> StepPrice:
        """Price of a step, measured or as measured before; later estimates are scaled from it.

        Args:
            network: Network to measure.
            training: Patch, batch and augmentation of the step.
            limit_s: Seconds after which no further step is begun; one is always made.

        Raises:
            OutOfMemoryError: If the smallest step does not fit into the GPU.
        """
        key = _key(self._name, network, training, self.device)
        self._known |= self._load()
        size = self._size(network, training)
        price = self._known.get(key)
        if price is None:
            dry = self._try_step(network, training, limit_s)
            if isinstance(dry, TrainingConfig):
                self.measure(network, dry, limit_s=limit_s)
                return self.estimate(network, training)
            price = StepPrice(dry.seconds, self._memory_bytes(dry, size))
            if dry.is_warm:
                self._known[key] = price
                self._save()
        self._references = [*self._references[-1:], (price, size)]
        return self._of_training(price)

    def _of_training(self, dry: StepPrice) -> StepPrice:
        """Price of a training's step by that of a dry run's."""
        return dry._replace(seconds=self._share * dry.seconds)

    def _try_step(self, network: AnyNetwork, training: TrainingConfig, limit_s: float) -> _DryRun | TrainingConfig:
        """A dry run, or a smaller step to try where this one is out of question or does not fit."""
        smaller = _smaller_step(network, training)
        if smaller is not None and self._is_out_of_question(network, training, limit_s):
            return smaller
        try:
            return _dry_run(self.build, network, training, self.device, limit_s=limit_s)
        except torch.OutOfMemoryError:
            if smaller is None:
                raise
        torch.cuda.empty_cache()
        return smaller

    def _is_out_of_question(self, network: AnyNetwork, training: TrainingConfig, limit_s: float) -> bool:
        """Whether a dry run of a step would end the process or take many times the time that there is."""
        size = self._size(network, training)
        if size.weight_bytes + size.feature_bytes > self.most_bytes:
            return True
        if self.device.type == "cuda":
            return False
        seconds = self.estimate(network, training).seconds if self._references else size.work / _GUESS_WORK_PER_S
        return seconds > _LONGEST_STEP * limit_s

    def _memory_bytes(self, dry: _DryRun, size: _Size) -> int:
        """Memory of a step; a GPU counts its own, and holds less than is counted here."""
        if self.device.type == "cuda":
            return dry.memory_bytes
        # What an earlier dry run has left in the allocator is not seen to grow: the memory is what is counted then.
        return max(dry.memory_bytes, size.weight_bytes + size.feature_bytes)

    def estimate(self, network: AnyNetwork, training: TrainingConfig) -> StepPrice:
        """Price of a step from the last measurements; before the first, seconds are 0 and memory is counted."""
        size = self._size(network, training)
        if not self._references:
            return StepPrice(0.0, size.weight_bytes + size.feature_bytes)
        price, measured = self._references[-1]
        share = (price.memory_bytes - measured.weight_bytes) / measured.feature_bytes
        memory = size.weight_bytes + max(0.0, share) * size.feature_bytes
        fixed_s = self._fixed_s()
        seconds = fixed_s + (price.seconds - fixed_s) * size.work / measured.work
        return self._of_training(StepPrice(seconds, int(memory)))

    def _fixed_s(self) -> float:
        """Seconds of a step that do not grow with its multiply-adds, by the last two measurements."""
        (first, small), (last, large) = self._references[0], self._references[-1]
        if small.work == large.work:
            return min(_USUAL_FIXED_S, _MOST_FIXED * last.seconds)
        per_work = (last.seconds - first.seconds) / (large.work - small.work)
        return min(max(0.0, last.seconds - per_work * large.work), _MOST_FIXED * min(first.seconds, last.seconds))

    def _size(self, network: AnyNetwork, training: TrainingConfig) -> _Size:
        """Work and memory of a step, counted without computing it; each patch of a network once."""
        patch = training.patch_size[: network.spatial_dims]
        key = (network.model_dump_json(), patch)
        if key not in self._sizes:
            self._sizes[key] = _sample_size(self.build, network, patch)
        sample = self._sizes[key]
        batch = training.batch_size
        return _Size(batch * sample.work, sample.weight_bytes, batch * sample.feature_bytes)

    def _load(self) -> dict[str, StepPrice]:
        """Earlier measurements; none if the file is missing or broken."""
        if self._path is None:
            return {}
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(key): StepPrice(float(seconds), int(size)) for key, (seconds, size) in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _save(self) -> None:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, json.dumps(self._known, indent=1, sort_keys=True))


class _DryRun(NamedTuple):
    """Seconds and memory of a step, and whether it was timed after one that warms up."""

    seconds: float
    memory_bytes: int
    is_warm: bool


class _Size(NamedTuple):
    """Multiply-adds of a step, bytes of all that is kept per weight, and bytes of its features."""

    work: int
    weight_bytes: int
    feature_bytes: int


_BYTES_PER_WEIGHT = 24  # weight, gradient, two moments, average and a copy in half precision, in float32 or less
_BYTES_PER_FEATURE = 3  # kept in half precision for the backward pass, some of them twice
_BYTES_PER_LOGIT = 10  # logits and their gradient in half precision, probabilities in float32 (measured: 8)


def _sample_size(build: _Build, network: AnyNetwork, patch: tuple[int, ...]) -> _Size:
    """Work and memory of a step on one patch, from the shapes that its layers put out."""
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        weightless = build(network)
    work = features = 0

    def count(layer: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal work, features
        if isinstance(output, Tensor):
            features += output.numel()
            work += _multiply_adds(layer, inputs[0], output)

    layers = [layer for layer in weightless.modules() if not any(True for _ in layer.children())]
    for layer in layers:
        layer.register_forward_hook(count)
    shape = (1, network.in_channels, *patch)
    if isinstance(network, NetworkConfig):
        with torch.no_grad():
            weightless(torch.zeros(shape, device="meta"))
    else:
        work = count_multiply_adds(weightless, shape)  # attention too, but several times as slow
    weights = sum(parameter.numel() for parameter in weightless.parameters())
    logits = network.out_channels * math.prod(patch)
    return _Size(max(1, work), weights * _BYTES_PER_WEIGHT, features * _BYTES_PER_FEATURE + logits * _BYTES_PER_LOGIT)


def _multiply_adds(layer: nn.Module, image: Tensor, output: Tensor) -> int:
    """Multiply-adds of a convolution; none of other layers."""
    if isinstance(layer, nn.ConvTranspose2d | nn.ConvTranspose3d):
        return layer.weight.numel() * math.prod(image.shape[2:])
    return layer.weight.numel() * math.prod(output.shape[2:]) if isinstance(layer, nn.Conv2d | nn.Conv3d) else 0


def _key(own_network: str, network: AnyNetwork, training: TrainingConfig, device: torch.device) -> str:
    """Digest of everything that decides how long a step takes."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    facts = [
        _REVISION,
        own_network,
        network.model_dump(mode="json"),
        training.patch_size,
        training.batch_size,
        training.precision,
        training.augment.model_dump(mode="json"),
        [device.type, name, platform.node(), os.cpu_count(), torch.get_num_threads(), torch.__version__],
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _smaller_step(network: AnyNetwork, training: TrainingConfig) -> TrainingConfig | None:
    """A step of half the patches, or of one patch halved along its longest axis; None where there is none."""
    if training.batch_size > 1:
        return training.model_copy(update={"batch_size": training.batch_size // 2})
    patch = list(training.patch_size)
    coarsest = [math.ceil(size / step) for size, step in zip(patch, network.reduction, strict=False)]
    axis = max(range(len(coarsest)), key=lambda n: (coarsest[n] > 1, patch[n]))
    if coarsest[axis] < 2 or math.prod(coarsest) <= 2:
        return None
    patch[axis] = coarsest[axis] // 2 * network.reduction[axis]
    return training.model_copy(update={"patch_size": tuple(patch), "coarse_start": None})


def _dry_run(
    build: _Build, network: AnyNetwork, training: TrainingConfig, device: torch.device, *, limit_s: float
) -> _DryRun:
    """The usual time of a step on noise, if possible after one that warms up, and the most memory that it took."""
    with PeakMemory(device) as memory, torch.random.fork_rng(devices=[]):
        module = to_device(build(network), device, spatial_dims=network.spatial_dims)
        shape = (training.batch_size, network.in_channels, *training.patch_size)
        classes = max(2, network.out_channels)
        label = torch.randint(classes, (shape[0], 1, *shape[2:]), dtype=torch.int16)
        batch = {"image": torch.randn(shape), "label": label}
        optimiser = torch.optim.AdamW(module.parameters(), training.learning_rate, fused=True)
        target: LabelMap = ExclusiveLabels(labels={f"class {value}": value for value in range(classes)})
        if network.out_channels == 1:  # of regions; more of them cost about as much as labels do
            target = Regions(labels=target.labels, regions={"region": (1,)}, order=(1,))
        loss = loss_for(target, dice_weight=training.dice_weight).to(device)
        step = training_step(module, optimiser, loss, training, device, spatial_dims=network.spatial_dims)
        average = averaged_copy(module, decay=training.average_decay)
        seconds: list[float] = []
        untimed = int(device.type == "cuda")  # a GPU's first step loads its libraries, which takes seconds
        for number in range(1 + _MOST_TIMED):
            spent = sum(seconds[untimed:])
            if (len(seconds) > untimed and spent > limit_s) or (len(seconds) > _FEWEST_TIMED and spent > _TIMED_S):
                break
            start = time.perf_counter()
            float(step(SimpleNamespace(state=SimpleNamespace(iteration=number)), batch))
            average.update_parameters(module)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - start)
    return _DryRun(_AROUND_STEP * _usual(seconds[1:] or seconds), memory.bytes, is_warm=len(seconds) > 1)


def _usual(seconds: Sequence[float]) -> float:
    """Mean of the faster half: other work on the machine makes single steps slower, and none faster."""
    fast = sorted(seconds)[: (len(seconds) + 1) // 2]
    return fmean(fast)
