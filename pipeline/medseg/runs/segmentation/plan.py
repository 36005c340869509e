"""A plan on its own, to be read and changed before anything is trained."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.atomic import check_writable
from medseg.errors import ConfigError
from medseg.inference.device_name import device_name
from medseg.manifest import mixed_channels
from medseg.planning import GridCeiling, Plan, low_ceilings, save_plan
from medseg.planning.expectation import Expectation
from medseg.planning.low_ceilings import with_low_ceilings
from medseg.planning.sizes import DeviceKind
from medseg.planning.spending import seconds_of_steps
from medseg.records import Failure
from medseg.runs.machine import torch_device
from medseg.runs.progress import Progress, Silence
from medseg.runs.segmentation.job import SegmentationJob, spread_cases
from medseg.runs.settings import TrainingSettings
from medseg.runs.training_cases import TrainingCases, load_training_cases
from medseg.training import parse_duration_s
from medseg.training.segmentation import steps_per_epoch
from medseg.training.segmentation.compiled import COMPILING_S

_MEASURING_S = 10.0


@dataclass(frozen=True, slots=True)
class PlanResult:
    """A plan that was made.

    Attributes:
        path: File that holds it.
        plan: The plan, with what it is expected to need and to give.
        parameters: Trainable parameters of its network.
        failures: Cases that could not be read.
        warnings: Sentences for the person who asked for the plan.
    """

    path: Path
    plan: Plan
    parameters: int
    failures: Sequence[Failure]
    warnings: tuple[str, ...]


def plan_dataset(
    job: SegmentationJob,
    dataset: Path,
    settings: TrainingSettings,
    *,
    path: Path,
    started: float | None = None,
    progress: Progress | None = None,
) -> PlanResult:
    """Plan a training as it would be planned, measure what it needs, and write the plan.

    Args:
        job: Kind of training.
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices of the training; its folder is not touched.
        path: File of the plan, which must not exist.
        started: Reading of `time.monotonic()` at which a wall-clock budget would begin; now if not given.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the dataset or a setting is wrong, or the file exists.
    """
    started = time.monotonic() if started is None else started
    if path.exists():
        raise ConfigError(f"plan {path}: must be a new file, got one that exists", remedy="give another, or delete it")
    device = torch_device(settings.device)
    check_writable(path.parent, option="out")
    cases = load_training_cases(dataset, fold=settings.fold, data_root=settings.data_root)
    job.check(cases.manifest)
    seconds = None
    if settings.budget is not None:
        seconds = parse_duration_s(settings.budget) - (time.monotonic() - started)
    kind: DeviceKind = "cuda" if device.type == "cuda" else "cpu"
    planned = job.plan(cases, settings, device=kind, progress=progress or Silence(), seconds=seconds)
    plan = planned.plan
    if plan.expected is None and job.parts.network is None:
        plan = with_low_ceilings(plan.model_copy(update={"expected": _expected(job, plan, cases, settings)}))
    low = low_ceilings(plan)
    save_plan(plan, path)
    return PlanResult(
        path=path,
        plan=plan,
        parameters=job.count_parameters(plan),
        failures=planned.failures,
        warnings=(*(mixed.message for mixed in mixed_channels(cases.manifest)), *([low] if low else [])),
    )


def _expected(job: SegmentationJob, plan: Plan, cases: TrainingCases, settings: TrainingSettings) -> Expectation:
    """What a plan needs for its epochs, or what the budget gives with it."""
    device = torch_device(settings.device)
    per_epoch = steps_per_epoch(len(cases.training), plan.training)
    is_compiled = job.is_compiled(settings, plan, per_epoch)
    cost = job.step_cost(device, settings.store, is_compiled=is_compiled)
    price = cost.measure(plan.network, plan.training, limit_s=_MEASURING_S)
    compiling_s = COMPILING_S * is_compiled
    if settings.budget is None:
        steps = (settings.epochs or plan.training.epochs) * per_epoch
        seconds = steps * price.seconds + compiling_s
    else:
        seconds = parse_duration_s(settings.budget)
        steps = round(seconds_of_steps(seconds - compiling_s) / price.seconds)
    ceiling = GridCeiling(spread_cases(cases.training), cases.manifest, cases.root)
    is_3d = plan.network.spatial_dims > 2
    return Expectation(
        device=device_name(device),
        seconds=round(seconds, 1),
        steps=steps,
        step_seconds=price.seconds,
        memory_bytes=price.memory_bytes,
        views_per_scan=round(steps / per_epoch, 1),
        ceiling={name: round(dice, 4) for name, dice in ceiling.dice(plan.preprocess).items()} if is_3d else {},
    )
