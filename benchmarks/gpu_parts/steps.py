"""Part b: the training step of the CUDA plan, ours and nnU-Net's."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import torch
from medseg.geometry import Geometry
from medseg.networks.cost import count_parameters
from medseg.networks.precision import to_device
from medseg.networks.segmentation import UNet
from medseg.planning import Plan
from medseg.preprocess.segmentation import StoredCase
from medseg.preprocess.segmentation.stored_case import open_case, save_case
from medseg.targets import ExclusiveLabels
from medseg.training.averaging import averaged_copy
from medseg.training.batches import Batch, batches
from medseg.training.segmentation.loss import SegmentationLoss
from medseg.training.segmentation.patches import PatchDataset
from medseg.training.segmentation.step import training_step
from torch import Tensor, nn

from benchmarks.gpu_parts import nnunet
from benchmarks.gpu_parts.bare_step import StepSettings, bare_step
from benchmarks.gpu_parts.context import Context
from benchmarks.gpu_parts.meter import Measured, measure, memory_name, synchronise
from benchmarks.gpu_parts.subject import ct_plan, sizes

_LABELS = 2
_COMPILE_S = 35  # what a compilation and its blocks took on an H100


def run(context: Context) -> None:
    """Measure every variant, those that matter most first."""
    plan = ct_plan(labels=_LABELS, is_quick=context.is_quick)
    backend = "aot_eager" if context.is_quick else "inductor"
    has_nnunet = nnunet.is_installed()
    if not has_nnunet:
        context.rows.note("dynamic_network_architectures is not installed: nnU-Net's networks are not measured")
    _ours(context, plan, StepSettings())
    _augmented(context, plan)
    _loaded(context, plan)
    _ours(context, plan, StepSettings(compile_backend=backend))
    for compiled in (None, backend):
        for kind in nnunet.KINDS if has_nnunet else ():
            _nnunet(context, plan, kind, compiled)
    _ours(context, plan, StepSettings(is_channels_last=True))
    _ours(context, plan, StepSettings(number_format="fp32"))


def _ours(context: Context, plan: Plan, settings: StepSettings) -> None:
    """Our network and optimiser on a batch that already lies on the device."""

    def build() -> Callable[[], object]:
        network = UNet(plan.network).to(context.device).train()
        optimiser = torch.optim.AdamW(network.parameters(), plan.training.learning_rate, fused=True)
        return bare_step(network, network.scales, optimiser, *_batch(context, plan), settings)

    subject = f"ours ({_millions(UNet(plan.network))}), {settings.text()}"
    _measure(context, plan, subject, build, settings)


def _nnunet(context: Context, plan: Plan, kind: nnunet.NetworkKind, compile_backend: str | None) -> None:
    """One of nnU-Net's networks as its trainer runs it, but for the loss: ours, on all its scales but the coarsest."""
    settings = StepSettings("fp16" if context.is_cuda else "bf16", False, compile_backend, is_tuned=True)

    def build() -> Callable[[], object]:
        network = nnunet.build_network(kind, plan.network).to(context.device).train()
        optimiser = nnunet.build_optimiser(network)
        return bare_step(network, lambda image: network(image)[:-1], optimiser, *_batch(context, plan), settings)

    subject = f"nnU-Net's {kind} ({_millions(nnunet.build_network(kind, plan.network))}), {settings.text()}"
    _measure(context, plan, subject, build, settings)


def _measure(
    context: Context, plan: Plan, subject: str, build: Callable[[], Callable[[], object]], settings: StepSettings
) -> None:
    """Time one variant, unless too little time is left to compile it."""
    if settings.compile_backend is not None and not context.has_time_for(
        1 if context.is_quick else _COMPILE_S, subject
    ):
        return
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = settings.is_tuned
    try:
        _report(context, plan, subject, build)
    finally:
        torch.backends.cudnn.benchmark = before
        torch.compiler.reset()


def _millions(network: nn.Module) -> str:
    return f"{count_parameters(network) / 1e6:.1f} M parameters"


def _augmented(context: Context, plan: Plan) -> None:
    """The step as `medseg train` does it, augmentation on the device included."""

    def build() -> Callable[[], object]:
        step = _product_step(context, plan)
        image, label = _batch(context, plan)
        batch = {"image": image, "label": label.to(torch.int16)}

        def waiting_step() -> None:
            step(batch)
            synchronise(context.device)

        return waiting_step

    subject = "ours, the step of medseg train with augmentation and weight average, waiting for each"
    _report(context, plan, subject, build)


def _loaded(context: Context, plan: Plan) -> None:
    """The same with patches read from a store, and the share of time in which no batch was ready."""
    step = _product_step(context, plan)
    target = ExclusiveLabels(labels={f"label {value}": value for value in range(_LABELS + 1)})
    dataset = PatchDataset([_stored_case(context, plan)], plan.training, target=target)
    loaders = 8 if context.is_cuda else 1
    stream = batches(dataset, first_step=0, device=context.device, loaders=loaders)
    waits: list[float] = []
    milliseconds: list[float] = []
    blocks, steps = _repeats(context)
    for block in range(blocks + 1):  # the first warms up
        waited, started = 0.0, time.perf_counter()
        for _ in range(steps):
            waited += _next_and_step(stream, step, context)
        took = time.perf_counter() - started
        if block:
            waits.append(100 * waited / took)
            milliseconds.append(1000 * took / steps)
    stream.close()
    subject = f"ours, the step of medseg train fed from a store by {loaders} threads, {_sizes(plan)}"
    repeat = f"block of {steps} steps"
    context.rows.add(subject, "time per step", milliseconds, "ms", repeat=repeat)
    context.rows.add(subject, "share of time waiting for data", waits, "%", repeat=repeat)


def _next_and_step(stream: Iterator[Batch], step: Callable[[Batch], Tensor], context: Context) -> float:
    """Do one step and wait for its end; seconds in which the next batch was not ready."""
    start = time.perf_counter()
    batch = next(stream)
    waited = time.perf_counter() - start
    step(batch)
    synchronise(context.device)
    return waited


def _product_step(context: Context, plan: Plan) -> Callable[[Batch], Tensor]:
    """The product's own step and its average of the weights, with a counter in place of Ignite's engine."""
    network = UNet(plan.network)
    to_device(network, context.device, spatial_dims=3)
    optimiser = torch.optim.AdamW(network.parameters(), plan.training.learning_rate, fused=True)
    step = training_step(network, optimiser, SegmentationLoss(), plan.training, context.device, spatial_dims=3)
    average = averaged_copy(network, decay=plan.training.average_decay)
    engine = SimpleNamespace(state=SimpleNamespace(iteration=0))

    def numbered(batch: Batch) -> Tensor:
        engine.state.iteration += 1
        loss = step(engine, batch)
        average.update_parameters(network)
        return loss

    return numbered


def _report(context: Context, plan: Plan, subject: str, build: Callable[[], Callable[[], object]]) -> None:
    """Time blocks of steps, and record milliseconds, patches per second and memory."""
    blocks, steps = _repeats(context)
    subject = f"{subject}, {_sizes(plan)}"
    try:
        step = build()
        step()  # compiles, and lets cuDNN choose

        def block() -> None:
            for _ in range(steps):
                step()

        measured: Measured = measure(block, context.device, repeats=blocks)
    except Exception as error:  # compilers fail in ways of their own, and the other variants go on
        context.rows.note(f"{subject}: failed, {type(error).__name__}: {str(error).splitlines()[0][:300]}")
        return
    finally:
        step = None
        gc.collect()
        if context.is_cuda:
            torch.cuda.empty_cache()
    rows, repeat = context.rows, f"block of {steps} steps"
    rows.add(subject, "time per step", [1000 * s / steps for s in measured.seconds], "ms", repeat=repeat)
    patches = plan.training.batch_size * steps
    rows.add(subject, "throughput", [patches / s for s in measured.seconds], "patches/s", repeat=repeat)
    rows.add(subject, memory_name(context.device), measured.peak_gib, "GiB", repeat=repeat)


def _repeats(context: Context) -> tuple[int, int]:
    """Blocks, and steps in each."""
    return (3, 2) if context.is_quick else (4, 5)


def _batch(context: Context, plan: Plan) -> tuple[Tensor, Tensor]:
    """Noise and random classes."""
    generator = torch.Generator().manual_seed(0)
    shape = (plan.training.batch_size, 1, *plan.training.patch_size)
    image = torch.randn(shape, generator=generator)
    label = torch.randint(_LABELS + 1, shape, generator=generator).float()
    return image.to(context.device), label.to(context.device)


def _stored_case(context: Context, plan: Plan) -> StoredCase:
    """A smooth made-up volume in a store, as large as two patches along every axis."""
    rng = np.random.default_rng(0)
    shape = tuple(2 * size for size in plan.training.patch_size)
    grid = Geometry((shape[0], shape[1], shape[2]), np.eye(4))
    ramp = np.add.outer(np.add.outer(*(np.linspace(0, 9, n) for n in shape[:2])), np.linspace(0, 9, shape[2]))
    label = (np.floor(ramp) % (_LABELS + 1)).astype(np.uint8)
    image = np.sin(ramp) + rng.normal(0, 0.1, shape)
    found = np.flatnonzero(label)[:: max(1, label.size // 4096)]
    voxels = np.stack(np.unravel_index(found, shape), axis=1)
    foreground = np.concatenate([label[tuple(voxels.T)][:, None], voxels], axis=1)
    folder = context.scratch / "made_up_case"
    save_case(folder, image=image[None], label=label, native_label=label, foreground=foreground, grid=grid, native=grid)
    return open_case(folder, case_id="made up")


def _sizes(plan: Plan) -> str:
    return sizes(plan.training.patch_size, plan.training.batch_size)
