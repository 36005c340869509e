"""Part e: the largest patch and batch that fit into GPUs of several sizes, by dry runs of the training step."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from medseg.networks import NetworkConfig
from medseg.networks.precision import to_device
from medseg.networks.segmentation import UNet
from medseg.planning.sizes import RESOURCES, plan_strides
from medseg.training.averaging import averaged_copy
from medseg.training.segmentation import TrainingConfig
from medseg.training.segmentation.loss import SegmentationLoss
from medseg.training.segmentation.step import training_step

from benchmarks.gpu_parts.context import Context
from benchmarks.gpu_parts.meter import GIB, PeakMemory, memory_name
from benchmarks.gpu_parts.subject import sizes

_CARDS_GB = (8, 16, 24, 40, 80)
_CONTEXT_GIB = 0.75  # what CUDA and its libraries take beside the tensors
_SIDES = (96, 128, 160, 192, 224, 256)
_BATCHES = (1, 2, 4, 8, 16, 32)
_BATCHES_2D = (8, 16, 32, 64, 128, 192)
_LABELS = 2


class Load(NamedTuple):
    """One training step's size."""

    patch: tuple[int, int, int]
    batch: int

    @property
    def text(self) -> str:
        """As rows name it."""
        return sizes(self.patch, self.batch)


def run(context: Context) -> None:
    """Climb each ladder until memory or time ends, then say what fits where and what the plan would have taken."""
    for name, planned, ladder in _ladders(context):
        peaks = _climb(context, ladder)
        for card_gb in (1, 2) if context.is_quick else _CARDS_GB:
            _report(context, name, peaks, card_gb, planned)


def _ladders(context: Context) -> Iterator[tuple[str, Load, list[Load]]]:
    """Name, what the plan takes, and rising loads."""
    if context.is_quick:
        yield "cube, batch 2", Load((16, 16, 16), 2), [Load((side,) * 3, 2) for side in (8, 16, 24)]
        return
    volume, flat = RESOURCES["cuda", False], RESOURCES["cuda", True]
    side = round(volume.patch_voxels ** (1 / 3))
    batch = round(volume.step_voxels / volume.patch_voxels)
    planned = Load((side, side, side), batch)
    yield "cube, batch 2", planned, [Load((n, n, n), 2) for n in _SIDES]
    yield f"batch of {side}³", planned, [Load((side, side, side), n) for n in _BATCHES]
    pixels = round(flat.patch_voxels**0.5)
    planned = Load((pixels, pixels, 1), round(flat.step_voxels / flat.patch_voxels))
    yield f"batch of {pixels}²", planned, [Load((pixels, pixels, 1), n) for n in _BATCHES_2D]


def _climb(context: Context, ladder: list[Load]) -> dict[Load, float]:
    """Peak memory of each load until one does not fit."""
    peaks: dict[Load, float] = {}
    took_s = 0.0
    for load in ladder:
        subject = f"training step of {load.text}"
        if not context.has_time_for(2 * took_s, subject):
            break
        start = time.monotonic()
        try:
            peaks[load] = _dry_run(context, load)
        except RuntimeError as error:  # cuDNN and kernels with 32-bit indices say it in other words
            context.rows.note(f"{subject}: does not run, {str(error).splitlines()[0][:200]}")
            break
        took_s = time.monotonic() - start
        context.rows.add(subject, memory_name(context.device), [peaks[load]], "GiB", repeat="dry run")
    return peaks


def _report(context: Context, name: str, peaks: dict[Load, float], card_gb: int, planned: Load) -> None:
    """The largest load whose peak fits, tried again with no more memory than that."""
    room_gib = card_gb * 1e9 / GIB - _CONTEXT_GIB
    fitting = [load for load, peak in peaks.items() if peak <= room_gib]
    verdict = "fits" if planned in fitting else "does not fit"
    subject = f"largest {name} on a GPU of {card_gb} GB, where the plan's {planned.text} {verdict}"
    while fitting and context.has_time_for(0.5, subject):
        best = fitting.pop()
        peak = _held_to(context, best, room_gib)
        if peak is not None:
            quantity = f"{memory_name(context.device)} held to that"
            context.rows.add(f"{subject}: {best.text}", quantity, [peak], "GiB", repeat="dry run")
            return
    context.rows.note(f"{subject}: none, or no time left to try")


def _held_to(context: Context, load: Load, room_gib: float) -> float | None:
    """Peak of a dry run that may take no more memory than a smaller GPU has; None if that is too little."""
    if not context.is_cuda:
        return _dry_run(context, load)
    total = torch.cuda.get_device_properties(context.device).total_memory / GIB
    torch.cuda.set_per_process_memory_fraction(min(1.0, room_gib / total), context.device)
    try:
        return _dry_run(context, load)
    except torch.OutOfMemoryError:
        return None
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, context.device)


def _dry_run(context: Context, load: Load) -> float:
    """GiB at the peak of two steps of the product, optimiser and weight average included."""
    gc.collect()
    if context.is_cuda:
        torch.cuda.empty_cache()
    with PeakMemory(context.device) as memory:
        _step_twice(context, load)
    return memory.gib


def _step_twice(context: Context, load: Load) -> None:
    is_2d = load.patch[2] == 1
    network = UNet(_config(load, is_2d=is_2d, is_quick=context.is_quick))
    to_device(network, context.device, spatial_dims=2 if is_2d else 3)
    average = averaged_copy(network, decay=0.999)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
    config = TrainingConfig(patch_size=load.patch, batch_size=load.batch)
    step = training_step(network, optimiser, SegmentationLoss(), config, context.device, spatial_dims=2 if is_2d else 3)
    shape = (load.batch, 1, *load.patch)
    image = torch.randn(shape, device=context.device)
    label = torch.randint(_LABELS + 1, shape, device=context.device, dtype=torch.int16)
    batch = {"image": image, "label": label}
    for iteration in range(2):
        step(_Engine(iteration), batch)  # type: ignore[arg-type]  # all that the step reads of an engine
        average.update_parameters(network)


class _Engine:
    """As much of Ignite's engine as a step reads."""

    def __init__(self, iteration: int) -> None:
        self.state = self
        self.iteration = iteration


def _config(load: Load, *, is_2d: bool, is_quick: bool) -> NetworkConfig:
    resources = RESOURCES["cuda", is_2d]
    strides, kernels = plan_strides(np.array(load.patch), np.ones(3), is_2d=is_2d)
    width = 4 if is_quick else resources.width
    stages = len(strides)
    return NetworkConfig(
        spatial_dims=2 if is_2d else 3,
        in_channels=1,
        out_channels=_LABELS + 1,
        channels=tuple(min(width * 2**stage, resources.widest) for stage in range(stages)),
        strides=tuple(tuple(axes) for axes in strides),
        kernels=tuple(tuple(axes) for axes in kernels),
        blocks=(1, *(2,) * (stages - 1)),
        decoder_blocks=(1,) * (stages - 1),
        activation="relu",
    )
