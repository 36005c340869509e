"""A training by several processes: the first does all that is done once, the others train and validate with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.errors import ConfigError, TrainingError
from medseg.planning import Plan, RegressionPlan, SlicePlan
from medseg.planning.plan import PlanFile
from medseg.records import Case, Failure
from medseg.runs.job import AnyPlan, AnyTask, Job
from medseg.runs.progress import Silence
from medseg.runs.settings import TrainingSettings
from medseg.runs.training_cases import load_training_cases
from medseg.training import Budget
from medseg.training.engine import Outcome, run_task
from medseg.training.ranks import is_alone, said_by_first_rank, wait_for_all
from medseg.training.share import own_share


@dataclass(frozen=True, slots=True)
class Order:
    """What the first process tells the others when all is planned and prepared.

    Attributes:
        plan: Plan of the training.
        fold: Its validation fold.
        failures: Cases that could not be prepared.
        budget: Budget, of which the first process's clock counts.
        is_resumed: Whether the training continues from the checkpoint.
        cases: Ids of the training cases to learn from; None for all of the fold's.
    """

    plan: PlanFile
    fold: str
    failures: tuple[Failure, ...]
    budget: Budget
    is_resumed: bool
    cases: tuple[str, ...] | None


def check_single_training(asked: str) -> None:
    """Hold several processes to one training of one fold that updates no other.

    Args:
        asked: Name of what was asked for instead.

    Raises:
        ConfigError: If there are several processes.
    """
    if not is_alone():
        raise ConfigError(
            f"processes: several train a single fold together, got {asked}", remedy="start it as one process"
        )


def check_batches(plan: PlanFile) -> None:
    """Hold the batches of a plan to a sample for every process.

    Raises:
        ConfigError: If one is smaller.
    """
    if isinstance(plan, SlicePlan | RegressionPlan):
        own_share(plan.training.batch_size)
    if isinstance(plan, Plan):
        own_share(plan.training.batch_size)
        own_share(plan.training.coarse.batch_size, setting="training.coarse_start.batch_size")


def give_order(order: Order) -> None:
    """Let the other processes begin; a single process has none."""
    said_by_first_rank(order)


def follow_training(job: Job[AnyPlan, AnyTask], dataset: Path, settings: TrainingSettings) -> Outcome:
    """Train and validate with the first process, as every other process does; nothing is written or reported.

    Args:
        job: Kind of training.
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices.

    Raises:
        LostProcessError: If the first process ends before the training does.
        TrainingError: If this process does not find what the first has prepared, or training cannot go on.
    """
    order: Order = said_by_first_rank(None)
    cases = load_training_cases(dataset, fold=order.fold, data_root=settings.data_root, only=order.cases)
    failed = {failure.case_id for failure in order.failures}
    usable = replace(cases, training=_without(cases.training, failed), validation=_without(cases.validation, failed))
    own = replace(settings, fold=order.fold, initial=None)
    plan: AnyPlan = order.plan  # type: ignore[assignment]  # the same job made it in the first process
    prepared = job.prepare(usable, plan, own, progress=Silence())
    if prepared.failures:
        raise TrainingError(
            f"processes: every one must find what the first has prepared, got: {prepared.failures[0].reason}",
            remedy="keep scans, store and the run's folder where all machines find them",
        )
    outcome = run_task(prepared.task, order.budget, attach=job.attach, resume=order.is_resumed)
    wait_for_all()
    return outcome


def _without(cases: Sequence[Case], failed: set[str]) -> tuple[Case, ...]:
    return tuple(case for case in cases if case.case_id not in failed)
