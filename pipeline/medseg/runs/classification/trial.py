"""One network of a comparison: trained under the common budget, with its size, cost and error."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from medseg.delivery.classification import ComparedNetwork
from medseg.evaluation.classification import ClassificationSummary, Measure, summarise_scores
from medseg.networks import count_parameters, load_weights
from medseg.networks.classification import SliceClassifier
from medseg.networks.cost import count_multiply_adds
from medseg.networks.gradient_flow import gradient_norms
from medseg.planning import SlicePlan, save_plan
from medseg.records import SliceScores
from medseg.runs.classification.labels import LabelledSlices
from medseg.runs.classification.settings import ClassificationSettings
from medseg.runs.machine import torch_device
from medseg.runs.progress import Progress
from medseg.runs.run_folder import RunFolder
from medseg.runs.train import make_budget
from medseg.training import parse_duration_s
from medseg.training.classification import ClassificationInputs, ClassificationTask
from medseg.training.classification.loss import ClassLoss
from medseg.training.engine import run_task

_TRAINING_CASES = 40
_GRADIENT_BATCH = 32


@dataclass(frozen=True, slots=True)
class Trial:
    """One network's training.

    Attributes:
        network: Size, cost and error of the network.
        steps: Steps done.
        losses: Loss of each step, where it could be had without waiting for a GPU.
        flow: Gradient norm of each convolution of the fresh network, from input to output.
    """

    network: ComparedNetwork
    steps: int
    losses: tuple[float, ...]
    flow: tuple[float, ...]

    def line(self, error_name: str) -> str:
        """The trial in one line."""
        one = self.network
        interval = f"{one.low:.3f} to {one.high:.3f}" if one.low == one.low else "no interval"
        return (
            f"{one.name:<16} {one.parameters / 1e6:7.2f} M parameters, {one.multiply_adds / 1e9:6.2f} G "
            f"multiply-adds, {self.steps} steps in {one.seconds:.0f} s, {error_name} {one.error:.3f} "
            f"({interval}), on training slices {one.train_error:.3f}"
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network of a comparison, which fails alone as a case does.

    Attributes:
        case_id: Name of the architecture, which also names its folder.
        plan: Plan with that network.
    """

    case_id: str
    plan: SlicePlan


def try_network(
    candidate: Candidate, *, slices: LabelledSlices, settings: ClassificationSettings, progress: Progress
) -> Trial:
    """Train one network and measure its error.

    Args:
        candidate: Network to train.
        slices: Cases that all networks learn from and are measured on.
        settings: Choices of the comparison.
        progress: Follows the work.
    """
    name, plan = candidate.case_id, candidate.plan
    folder = RunFolder(settings.out / name)
    task = ClassificationTask(_inputs(plan, slices, torch_device(settings.device), folder.path))
    flow = _gradient_flow(task)
    started = time.monotonic()
    budget = make_budget(
        settings,
        steps=plan.training.epochs * task.steps_per_epoch,
        steps_per_epoch=task.steps_per_epoch,
        started=started,
        budget_s=parse_duration_s(settings.budget) if settings.budget else None,
    )
    save_plan(plan, folder.plan)
    losses: list[float] = []
    with progress.over_budget(name) as on_step:

        def note(share: float, loss: float) -> None:
            losses.append(loss)
            on_step(share, loss)

        outcome = run_task(task, budget, on_step=note)
    seconds = time.monotonic() - started
    network = _trained_network(task)
    sample = slices.training[:: max(1, len(slices.training) // _TRAINING_CASES)]
    validated = {
        "validation": outcome.last.rows if outcome.last else [],
        "training": task.validate_cases(network, sample),
    }
    errors = {key: _error(_summary(plan, [case.scores for case in rows])) for key, rows in validated.items()}
    compared = ComparedNetwork(
        name=name,
        family=plan.network.facts.family,
        depth=plan.network.depth or plan.network.facts.depth or 0,
        parameters=count_parameters(network),
        multiply_adds=count_multiply_adds(network, (1, plan.slices.channels, *plan.slices.size)),
        error=errors["validation"].value,
        train_error=errors["training"].value,
        low=errors["validation"].low,
        high=errors["validation"].high,
        seconds=seconds,
    )
    return Trial(compared, outcome.steps, tuple(losses), flow)


def error_name(plan: SlicePlan) -> str:
    """Name of the error that networks are compared by."""
    return "top-1 error" if plan.targets.kind == "multiclass" else "1 − AUROC"


def _inputs(plan: SlicePlan, slices: LabelledSlices, device: torch.device, folder: Path) -> ClassificationInputs:
    return ClassificationInputs(
        training=slices.training,
        validation=slices.validation,
        truth=slices.truth,
        targets=plan.targets,
        slices=plan.slices,
        network=plan.network,
        config=plan.training,
        device=device,
        folder=folder,
    )


def _trained_network(task: ClassificationTask) -> SliceClassifier:
    network = SliceClassifier(task.inputs.network)
    load_weights(network, task.folder / "model" / "last.safetensors")
    return network.to(task.device).eval()


def _gradient_flow(task: ClassificationTask) -> tuple[float, ...]:
    """Norms of the weights' gradients of the fresh network on one batch of real slices; shortcuts left out."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.inputs.config.seed)
        network = SliceClassifier(task.inputs.network)
    count = min(_GRADIENT_BATCH, len(task.samples))
    samples = [task.samples[index] for index in range(count)]
    images = torch.stack([sample["image"] for sample in samples])
    targets = torch.stack([sample["target"] for sample in samples])
    loss = ClassLoss(task.inputs.targets.kind, task.weights)
    norms = gradient_norms(network.train(), images, targets, partial(_plain_loss, loss))
    return tuple(norm.weight for name, norm in norms.items() if "shortcut" not in name)


def _plain_loss(loss: ClassLoss, logits: Tensor, targets: Tensor) -> Tensor:
    value: Tensor = loss(logits, targets)
    return value


def _summary(plan: SlicePlan, scores: Sequence[SliceScores]) -> ClassificationSummary:
    return summarise_scores(scores, classes=plan.targets.classes, kind=plan.targets.kind)


def _error(summary: ClassificationSummary) -> Measure:
    """Top-1 error, or one less the mean AUROC where several labels can hold."""
    good = summary.slice.choice.accuracy if summary.slice.choice else summary.slice.means["auroc"]
    return replace(good, value=1 - good.value, low=1 - good.high, high=1 - good.low)
