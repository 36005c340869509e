"""One kind of training, as `train` drives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from medseg.planning.plan import PlanFile
from medseg.planning.sizes import DeviceKind
from medseg.records import Failure, Manifest
from medseg.runs.progress import Progress
from medseg.runs.run_folder import RunFolder
from medseg.runs.settings import TrainingSettings
from medseg.runs.training_cases import TrainingCases
from medseg.tracking import TrackedRun
from medseg.training.engine import Attach, Outcome
from medseg.training.task import Task

AnyPlan = TypeVar("AnyPlan", bound=PlanFile)
AnyTask = TypeVar("AnyTask", bound=Task)


@dataclass(frozen=True, slots=True)
class Planned(Generic[AnyPlan]):
    """A plan, and the cases that could not be read for it."""

    plan: AnyPlan
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared(Generic[AnyTask]):
    """A task ready to train.

    Attributes:
        task: The task.
        failures: Cases that could not be prepared for it.
        warnings: Sentences for the person who started the training.
        notes: Facts for that person.
        parameters: Parameters of the MLflow run, beside those of the plan.
        tags: Tags of the MLflow run.
    """

    task: AnyTask
    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finished(Generic[AnyPlan, AnyTask]):
    """A training that has ended, for `Job.deliver`.

    Attributes:
        folder: Folder of the run.
        cases: Cases of the fold.
        plan: Plan of the training.
        task: Task that was trained.
        outcome: Steps, seconds and last validation.
        failures: Cases that could not be used.
        run: MLflow run; None without tracking.
        run_id: MLflow run that the training has, also where it was resumed without tracking.
        name: Name of the model.
    """

    folder: RunFolder
    cases: TrainingCases
    plan: AnyPlan
    task: AnyTask
    outcome: Outcome
    failures: tuple[Failure, ...]
    run: TrackedRun | None
    run_id: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a finished training was found to be worth.

    Attributes:
        summary: Numbers of the validation cases; its text is a table.
        warnings: Sentences for the person who started the training.
        notes: Facts beside the summary.
    """

    summary: Any
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Job(Protocol[AnyPlan, AnyTask]):
    """A kind of training: how it plans, prepares and delivers.

    Attributes:
        stage: Name of the command, which also names MLflow runs.
        labels_digest: SHA-256 of labels that lie outside the manifest; None without any.
        own_parts: Names of the parts that a resumed run must be given again.
        attach: Functions that attach the user's handlers to the training's engines.
        named_choices: What differs from the default of this kind of training, by its names.
    """

    stage: str
    labels_digest: str | None
    own_parts: tuple[str, ...]
    attach: Sequence[Attach]
    named_choices: Mapping[str, str]

    def check(self, manifest: Manifest) -> None:
        """Refuse a dataset that this kind of training cannot use.

        Raises:
            ManifestError: With the reason.
        """

    def plan(
        self,
        cases: TrainingCases,
        settings: TrainingSettings,
        *,
        device: DeviceKind,
        progress: Progress,
        seconds: float | None = None,
    ) -> Planned[AnyPlan]:
        """Read the plan that is given, or make one, and apply the asked changes.

        Args:
            cases: Cases of the fold.
            settings: Choices.
            device: Kind of device that will train.
            progress: Follows the work.
            seconds: What is left of a wall-clock budget; None where epochs are counted.
        """

    def prepare(
        self, cases: TrainingCases, plan: AnyPlan, settings: TrainingSettings, *, progress: Progress
    ) -> Prepared[AnyTask]:
        """Bring the cases into the store and build the task.

        Raises:
            TrainingError: If no training case is left.
        """

    def count_parameters(self, plan: AnyPlan) -> int:
        """Trainable parameters of the plan's network."""

    def readable(self, plan: AnyPlan) -> dict[str, Any]:
        """The few settings of a plan by which trainings are compared, as people write them."""

    def save_card(
        self,
        folder: RunFolder,
        cases: TrainingCases,
        plan: AnyPlan,
        task: AnyTask,
        *,
        is_resumed: bool,
        run_id: str | None,
    ) -> None:
        """Write what must be known to use the weights, and the MLflow run that they come from."""

    def deliver(self, done: Finished[AnyPlan, AnyTask]) -> Delivered:
        """Measure the delivered weights, and write and log tables, pictures and the model."""
