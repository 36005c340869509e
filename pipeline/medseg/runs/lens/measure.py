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

from medseg.errors import ConfigError
from medseg.networks import count_multiply_adds, count_parameters, gradient_norms
from medseg.networks.classification import ClassifierConfig, SliceClassifier, smallest_size
from medseg.networks.lens import EffectiveField, ReceptiveFields, Stage, effective_field, receptive_fields, stage_table
from medseg.networks.segmentation import build_network
from medseg.runs.lens.narrow import narrowed, width_of
from medseg.runs.lens.subject import Networked, Subject, load_subject

_FIELD_COST = 40e9  # multiply-adds of all passes that measure the effective field: seconds on two cores
_FLOW_COST = 30e9
_MOST_VOXELS = 128**3
_MOST_IMAGES = 8


@dataclass(frozen=True, slots=True, eq=False)
class Lens:
    """Fields, cost and gradients of an untrained network.

    Attributes:
        subject: Network that was measured.
        stages: Table of its stages; the whole network is one where it has no theoretical field.
        fields: Receptive fields by theory; None where the network has none.
        obstacle: Why it has none; empty otherwise.
        effective: Effective field of the untrained network.
        flow: Norm of the gradient of each convolution's weights, by its name, shortcuts left out.
        images: Count of the images of noise that the effective field was measured with.
        notes: Sizes that were reduced for the measurements.
    """

    subject: Subject
    stages: tuple[Stage, ...]
    fields: ReceptiveFields | None
    obstacle: str
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
        if self.effective.theory is None or not isinstance(self.subject.config, ClassifierConfig):
            return self.effective.unit
        return tuple((first + last) / 2 for first, last in self.effective.theory)

    @property
    def covers(self) -> tuple[bool, ...]:
        """Per axis, whether a unit can see as many voxels as the patch has; empty where no field is known."""
        if self.fields is None:
            return ()
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
    fields, obstacle = _fields_of(network)
    weightless = _weightless(network)
    stages = stage_table(weightless, subject.patch) if fields else (_whole(weightless, subject),)
    effective, images, field_notes = _measure_field(subject, network, fields, seed)
    flow, flow_notes = _measure_flow(subject, network, seed)
    return Lens(subject, stages, fields, obstacle, effective, flow, images, (*field_notes, *flow_notes))


def _build(config: Networked, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SliceClassifier(config) if isinstance(config, ClassifierConfig) else build_network(config)


def _fields_of(network: nn.Module) -> tuple[ReceptiveFields | None, str]:
    """The theoretical fields, or the reason that there are none."""
    try:
        return receptive_fields(network), ""
    except ConfigError as error:
        return None, error.fact


def _whole(weightless: nn.Module, subject: Subject) -> Stage:
    """The network as a single stage."""
    cost = _cost(weightless, subject.patch)
    return Stage("network", subject.config.out_channels, subject.patch, None, count_parameters(weightless), cost)


def _measure_field(
    subject: Subject, network: nn.Module, fields: ReceptiveFields | None, seed: int
) -> tuple[EffectiveField, int, list[str]]:
    """The effective field, on an image no larger than needed, and what had to be cut down."""
    notes = []
    sizes = fields.output.size if fields else subject.patch
    seen = zip(sizes, subject.patch, subject.multiple, strict=True)
    shape = tuple(min(math.ceil(size / step) * step, patch) for size, patch, step in seen)
    small = _shrunk(shape, subject, lambda one: math.prod(one) <= _MOST_VOXELS)
    if small != shape:
        notes.append(f"the effective field was measured on {times(small)} of {times(shape)} voxels")
    config, cost = subject.config, _cost(_weightless(network), small)
    while 2 * cost > _FIELD_COST and (narrow := narrowed(config)) is not None:
        config, network = narrow, _build(narrow, seed)
        cost = _cost(_weightless(network), small)
    if config is not subject.config:
        widths = f"{width_of(config)} channels at the finest stage, where the plan has {width_of(subject.config)}"
        notes.append(f"the effective field was measured with {widths}")
    images = int(min(_MOST_IMAGES, max(1, _FIELD_COST // (2 * cost))))
    return effective_field(network, small, samples=images, seed=seed), images, notes


def _measure_flow(subject: Subject, network: nn.Module, seed: int) -> tuple[dict[str, float], list[str]]:
    """Gradients of the cross-entropy of noise against random classes, from input to output."""
    is_classifier = isinstance(subject.config, ClassifierConfig)
    batch = 4 if is_classifier else 1
    weightless = _weightless(network)
    shape = _shrunk(subject.patch, subject, lambda one: 3 * batch * _cost(weightless, one) <= _FLOW_COST)
    generator = torch.Generator().manual_seed(seed)
    channels, classes = subject.config.in_channels, subject.config.out_channels
    images = torch.randn((batch, channels, *shape), generator=generator)
    targets = torch.randint(classes, (batch, *(() if is_classifier else shape)), generator=generator)
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
    """Fewest voxels per axis: for masks two at the coarsest stage along the first axis, as norms need several."""
    if isinstance(subject.config, ClassifierConfig):
        side = max(smallest_size(subject.config), 32)
        return tuple(min(side, size) for size in subject.patch)
    first, *others = subject.config.reduction
    return (min(2 * first, subject.patch[0]), *others)


def times(values: Sequence[float]) -> str:
    """Sizes as in 40×56×40."""
    return "×".join(str(int(value)) if value == int(value) else f"{value:.4g}" for value in values)
