"""What a plan's untrained network can see, what it listens to and what it costs."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseg.networks import NetworkConfig, count_multiply_adds, gradient_norms
from medseg.networks.classification import ClassifierConfig, SliceClassifier, smallest_size
from medseg.networks.lens import EffectiveField, ReceptiveFields, Stage, effective_field, receptive_fields, stage_table
from medseg.networks.segmentation import UNet
from medseg.runs.lens.subject import Networked, Subject, load_subject

_FIELD_COST = 40e9  # multiply-adds of all passes that measure the effective field: seconds on two cores
_FLOW_COST = 30e9
_MOST_VOXELS = 128**3
_MOST_IMAGES = 8
_FEWEST_CHANNELS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Lens:
    """Fields, cost and gradients of an untrained network.

    Attributes:
        subject: Network that was measured.
        stages: Table of its stages.
        fields: Receptive fields by theory.
        effective: Effective field of the untrained network.
        flow: Norm of the gradient of each convolution's weights, by its name, shortcuts left out.
        images: Count of the images of noise that the effective field was measured with.
        notes: Sizes that were reduced for the measurements.
    """

    subject: Subject
    stages: tuple[Stage, ...]
    fields: ReceptiveFields
    effective: EffectiveField
    flow: dict[str, float]
    images: int
    notes: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """Parameters of the whole network."""
        return sum(stage.parameters for stage in self.stages)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one patch."""
        return sum(stage.multiply_adds for stage in self.stages)

    @property
    def centre(self) -> tuple[float, ...]:
        """Voxel of the measured image that the effective field lies about."""
        if isinstance(self.subject.config, NetworkConfig):
            return self.effective.unit
        return tuple((first + last) / 2 for first, last in self.effective.theory)

    @property
    def covers(self) -> tuple[bool, ...]:
        """Per axis, whether a unit can see as many voxels as the patch has."""
        sizes = zip(self.fields.output.size, self.subject.patch, strict=True)
        return tuple(size >= patch for size, patch in sizes)


def lens_of(plan: Path, *, seed: int = 0) -> Lens:
    """Calculate what can be calculated of a plan's network, and measure the rest on images of noise.

    Args:
        plan: A plan of either kind, or a run's folder.
        seed: Seed of weights and noise.

    Raises:
        ConfigError: If the plan is missing or broken.
    """
    return look_at(load_subject(plan), seed=seed)


def look_at(subject: Subject, *, seed: int) -> Lens:
    """Calculate what can be calculated, and measure the rest on images of noise."""
    network = _build(subject.config, seed)
    fields = receptive_fields(network)
    stages = stage_table(_weightless(network), subject.patch)
    effective, images, field_notes = _measure_field(subject, network, fields, seed)
    flow, flow_notes = _measure_flow(subject, network, seed)
    return Lens(subject, stages, fields, effective, flow, images, (*field_notes, *flow_notes))


def _build(config: Networked, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet(config) if isinstance(config, NetworkConfig) else SliceClassifier(config)


def _measure_field(
    subject: Subject, network: nn.Module, fields: ReceptiveFields, seed: int
) -> tuple[EffectiveField, int, list[str]]:
    """The effective field, on an image no larger than needed, and what had to be cut down."""
    notes = []
    seen = zip(fields.output.size, subject.patch, subject.multiple, strict=True)
    shape = tuple(min(math.ceil(size / step) * step, patch) for size, patch, step in seen)
    small = _shrunk(shape, subject, lambda one: math.prod(one) <= _MOST_VOXELS)
    if small != shape:
        notes.append(f"the effective field was measured on {times(small)} of {times(shape)} voxels")
    config, cost = subject.config, _cost(_weightless(network), small)
    while 2 * cost > _FIELD_COST and (narrow := _narrowed(config)) is not None:
        config, network = narrow, _build(narrow, seed)
        cost = _cost(_weightless(network), small)
    if config is not subject.config:
        widths = f"{_width(config)} channels at the finest stage, where the plan has {_width(subject.config)}"
        notes.append(f"the effective field was measured with {widths}")
    images = int(min(_MOST_IMAGES, max(1, _FIELD_COST // (2 * cost))))
    return effective_field(network, small, samples=images, seed=seed), images, notes


def _measure_flow(subject: Subject, network: nn.Module, seed: int) -> tuple[dict[str, float], list[str]]:
    """Gradients of the cross-entropy of noise against random classes, from input to output."""
    is_unet = isinstance(subject.config, NetworkConfig)
    batch = 1 if is_unet else 4
    weightless = _weightless(network)
    shape = _shrunk(subject.patch, subject, lambda one: 3 * batch * _cost(weightless, one) <= _FLOW_COST)
    generator = torch.Generator().manual_seed(seed)
    channels, classes = subject.config.in_channels, subject.config.out_channels
    images = torch.randn((batch, channels, *shape), generator=generator)
    targets = torch.randint(classes, (batch, *(shape if is_unet else ())), generator=generator)
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy
    if subject.is_multilabel:
        targets = torch.randint(2, (batch, classes), generator=generator).float()
        loss = functional.binary_cross_entropy_with_logits
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # Of dropout.
        norms = gradient_norms(network.train(), images, targets, loss)
    notes = []
    if shape != subject.patch:
        notes.append(f"gradients were measured on {times(shape)} of {times(subject.patch)} voxels")
    return {name: norm.weight for name, norm in norms.items() if "shortcut" not in name}, notes


def _weightless(network: nn.Module) -> nn.Module:
    """A copy that has shapes alone, to count with."""
    return copy.deepcopy(network).to("meta")


def _cost(weightless: nn.Module, shape: Sequence[int]) -> int:
    """Multiply-adds of one image."""
    channels = next(module.in_channels for module in weightless.modules() if isinstance(module, nn.Conv2d | nn.Conv3d))
    return count_multiply_adds(weightless, (1, channels, *shape))


def _shrunk(shape: tuple[int, ...], subject: Subject, fits: Callable[[tuple[int, ...]], bool]) -> tuple[int, ...]:
    """The shape, its longest axes halved until it fits or the network can take no less."""
    least = _least(subject)
    while not fits(shape):
        steps = subject.multiple
        halves = [max(least[a], size // 2 // steps[a] * steps[a]) for a, size in enumerate(shape)]
        longest = max(range(len(shape)), key=lambda axis: (halves[axis] < shape[axis], shape[axis]))
        if halves[longest] >= shape[longest]:
            break
        shape = (*shape[:longest], halves[longest], *shape[longest + 1 :])
    return shape


def _least(subject: Subject) -> tuple[int, ...]:
    """Fewest voxels per axis: for a UNet two at the coarsest stage along the first axis, as its norms need several."""
    if isinstance(subject.config, ClassifierConfig):
        side = max(smallest_size(subject.config), 32)
        return tuple(min(side, size) for size in subject.patch)
    first, *others = subject.config.reduction
    return (min(2 * first, subject.patch[0]), *others)


def _narrowed(config: Networked) -> Networked | None:
    """The network with half the channels; None where that cannot be."""
    if isinstance(config, NetworkConfig):
        if min(config.channels) < 2 * _FEWEST_CHANNELS:
            return None
        step = 4 if config.block == "bottleneck" else 1
        channels = tuple(width // 2 // step * step for width in config.channels)
        return config.model_copy(update={"channels": channels})
    if not (config.is_residual or config.is_plain) or config.width < 2 * _FEWEST_CHANNELS:
        return None
    return config.model_copy(update={"width": config.width // 2})


def _width(config: Networked) -> int:
    return config.channels[0] if isinstance(config, NetworkConfig) else config.width


def times(values: Sequence[float]) -> str:
    """Sizes as in 40×56×40."""
    return "×".join(str(int(value)) if value == int(value) else f"{value:.4g}" for value in values)
