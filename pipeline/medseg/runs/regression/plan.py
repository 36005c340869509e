"""A plan of quantities on its own, to be read and changed before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.atomic import check_writable
from medseg.errors import ConfigError
from medseg.manifest import mixed_channels
from medseg.planning import RegressionPlan, save_plan
from medseg.records import Failure
from medseg.runs.machine import torch_device
from medseg.runs.progress import Progress, Silence
from medseg.runs.regression.job import RegressionJob
from medseg.runs.settings import TrainingSettings
from medseg.runs.training_cases import load_training_cases


@dataclass(frozen=True, slots=True)
class QuantityPlanResult:
    """A plan that was made.

    Attributes:
        path: File that holds it.
        plan: The plan.
        parameters: Trainable parameters of its network.
        failures: Cases that could not be read.
        warnings: Sentences for the person who asked for the plan.
    """

    path: Path
    plan: RegressionPlan
    parameters: int
    failures: Sequence[Failure]
    warnings: tuple[str, ...]


def plan_quantities(
    job: RegressionJob, dataset: Path, settings: TrainingSettings, *, path: Path, progress: Progress | None = None
) -> QuantityPlanResult:
    """Plan a training as it would be planned, and write the plan.

    Args:
        job: Training of quantities.
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices of the training; its folder is not touched.
        path: File of the plan, which must not exist.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the dataset or a setting is wrong, or the file exists.
    """
    if path.exists():
        raise ConfigError(f"plan {path}: must be a new file, got one that exists", remedy="give another, or delete it")
    device = torch_device(settings.device)
    check_writable(path.parent, option="out")
    cases = load_training_cases(dataset, fold=settings.fold, data_root=settings.data_root)
    job.check(cases.manifest)
    planned = job.plan(
        cases, settings, device="cuda" if device.type == "cuda" else "cpu", progress=progress or Silence()
    )
    save_plan(planned.plan, path)
    return QuantityPlanResult(
        path=path,
        plan=planned.plan,
        parameters=job.count_parameters(planned.plan),
        failures=planned.failures,
        warnings=tuple(mixed.message for mixed in mixed_channels(cases.manifest)),
    )
