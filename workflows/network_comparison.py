"""The stages of `medseg classify compare`."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch
from medseg.atomic import write_json
from medseg.delivery.classification import (
    ComparedNetwork,
    GradientFlow,
    LossCurve,
    save_ball_chart,
    save_depth_chart,
    save_gradient_flow,
    save_loss_curves,
    save_parameter_chart,
)
from medseg.errors import PipelineError
from medseg.evaluation.classification import ClassificationSummary, Measure, summarise_scores
from medseg.networks import count_parameters
from medseg.networks.classification import ClassifierConfig, SliceClassifier, smallest_size
from medseg.networks.classification.architecture import NAMED_ARCHITECTURES
from medseg.networks.cost import count_multiply_adds
from medseg.networks.gradient_flow import gradient_norms
from medseg.planning import SlicePlan, override_plan, save_plan
from medseg.planning.classification import learning_rate_of
from medseg.records import Failure, SliceScores
from medseg.tracking import TrackedRun
from medseg.training import parse_duration_s
from medseg.training.classification import ClassificationInputs, ClassificationTask
from medseg.training.classification.loss import ClassLoss
from medseg.training.engine import run_task
from medseg.workflows.classifier_run import ClassifierArguments, LabelledSlices, plan_classifier, prepare_labelled
from medseg.workflows.console import advancing, empty_folder, report_failures
from medseg.workflows.options import torch_device
from medseg.workflows.run_stages import Cohort, load_cohort, log_cohort, make_budget, merge_failures
from torch import Tensor

_TRAINING_CASES = 40
_GRADIENT_BATCH = 32


@dataclass(frozen=True, slots=True)
class Trial:
    """One network's training.

    Attributes:
        network: What is compared.
        losses: Of each step, where they could be had without waiting for a GPU.
        flow: Gradient norm of each convolution of the fresh network, from input to output.
    """

    network: ComparedNetwork
    losses: tuple[float, ...]
    flow: tuple[float, ...]


def compare_networks(arguments: ClassifierArguments, names: Sequence[str]) -> None:
    """Train each network with the same slices, steps or seconds, and draw what came of it."""
    unknown = sorted(set(names) - set(NAMED_ARCHITECTURES))
    if unknown or len(set(names)) < len(names):
        raise click.UsageError(f"--networks must be different ones of {', '.join(NAMED_ARCHITECTURES)}, got {names}")
    if arguments.fold == "all":
        raise click.UsageError("--fold must be a number: networks are compared on validation cases")
    folder = empty_folder(arguments.folder)
    device = torch_device(arguments.device)
    cohort = load_cohort(arguments)
    plan, failures = plan_classifier(arguments, cohort, None, device.type)
    plans = {name: _with_network(plan, name) for name in names}
    largest = max(smallest_size(one.network) for one in plans.values())
    plans = {name: _at_least(one, largest) for name, one in plans.items()}
    slices = prepare_labelled(arguments, cohort, plans[names[0]], None)
    failures = merge_failures(failures, slices.failures)
    trials: list[Trial] = []
    for name, one in plans.items():
        try:
            trials.append(_try_network(name, one, arguments, slices, device))
        except (PipelineError, MemoryError, RuntimeError) as error:
            failures = (*failures, Failure.of(name, "compare", error))
            click.echo(f"{name}: {error}", err=True)
    if trials:
        pictures = _save_pictures(trials, folder, plans[names[0]])
        content = {"error": _error_name(plan), "networks": [asdict(trial.network) for trial in trials]}
        write_json(folder / "comparison.json", content)
        if not arguments.no_tracking:
            _track(arguments, cohort, trials, folder, pictures)
        click.echo(f"table and pictures in {folder}")
    report_failures(failures)


def _with_network(plan: SlicePlan, name: str) -> SlicePlan:
    """The plan with a network as it was published, but for channels and classes."""
    network = ClassifierConfig.model_validate(
        {"architecture": name, "in_channels": plan.network.in_channels, "out_channels": plan.network.out_channels}
    )
    reasons = {key: why for key, why in plan.reasons.items() if not key.startswith("network.")}
    training = plan.training
    if "training.learning_rate" not in reasons:  # set by no one
        training = training.model_copy(update={"learning_rate": learning_rate_of(network.architecture)})
    return plan.model_copy(update={"network": network, "training": training, "reasons": reasons})


def _at_least(plan: SlicePlan, pixels: int) -> SlicePlan:
    """Slices that every network of the comparison can take."""
    if min(plan.slices.size) >= pixels:
        return plan
    size = [max(side, math.ceil(pixels / 16) * 16) for side in plan.slices.size]
    return override_plan(plan, {"slices": {"size": size}}, source="the largest need of the compared networks")


def _try_network(
    name: str, plan: SlicePlan, arguments: ClassifierArguments, slices: LabelledSlices, device: torch.device
) -> Trial:
    folder = arguments.folder / name
    task = ClassificationTask(_inputs(plan, slices, device, folder))
    flow = _gradient_flow(task)
    started = time.monotonic()
    budget = make_budget(
        replace(arguments, folder=folder),
        epochs=plan.training.epochs,
        steps_per_epoch=task.steps_per_epoch,
        started=started,
        budget_s=parse_duration_s(arguments.budget) if arguments.budget else None,
    )
    save_plan(plan, folder / "plan.yaml")
    losses: list[float] = []
    with advancing(name) as on_step:

        def note(progress: float, loss: float) -> None:
            losses.append(loss)
            on_step(progress, loss)

        outcome = run_task(task, budget, on_step=note)
    seconds = time.monotonic() - started
    network = _trained_network(task)
    sample = slices.training[:: max(1, len(slices.training) // _TRAINING_CASES)]
    judged = {"validation": outcome.last.rows if outcome.last else [], "training": task.validate_cases(network, sample)}
    errors = {key: _error(_summary(plan, [case.scores for case in rows])) for key, rows in judged.items()}
    shape = (1, plan.slices.channels, *plan.slices.size)
    compared = ComparedNetwork(
        name=name,
        family=plan.network.facts.family,
        depth=plan.network.depth or plan.network.facts.depth or 0,
        parameters=count_parameters(network),
        multiply_adds=count_multiply_adds(network, shape),
        error=errors["validation"].value,
        train_error=errors["training"].value,
        low=errors["validation"].low,
        high=errors["validation"].high,
        seconds=seconds,
    )
    click.echo(
        f"{name:<16} {compared.parameters / 1e6:7.2f} M parameters, {compared.multiply_adds / 1e9:6.2f} G "
        f"multiply-adds, {outcome.steps} steps in {seconds:.0f} s, {_error_name(plan)} {compared.error:.3f} "
        f"({compared.low:.3f} to {compared.high:.3f}), on training slices {compared.train_error:.3f}"
    )
    return Trial(compared, tuple(losses), flow)


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
    from medseg.networks import load_weights

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


def _error_name(plan: SlicePlan) -> str:
    return "top-1 error" if plan.targets.kind == "multiclass" else "1 − AUROC"


def _save_pictures(trials: Sequence[Trial], folder: Path, plan: SlicePlan) -> list[Path]:
    networks = [trial.network for trial in trials]
    size = "×".join(str(side) for side in plan.slices.size)
    error, title = _error_name(plan), f"{plan.dataset}, {plan.slices.plane} slices of {size} pixels"
    names = ("error_against_cost", "error_against_parameters", "error_against_depth", "training_loss", "gradient_flow")
    paths = [folder / f"{name}.png" for name in names]
    save_ball_chart(networks, paths[0], error_name=error, title=title)
    save_parameter_chart(networks, paths[1], error_name=error, title=title)
    deep = [trial for trial in trials if trial.network.family in ("plain", "residual")]
    if not deep:
        return paths[:2]
    save_depth_chart([trial.network for trial in deep], paths[2], error_name=error, title=title)
    curves = [
        LossCurve(t.network.name, t.network.family, np.arange(1, len(t.losses) + 1), np.array(t.losses)) for t in deep
    ]
    save_loss_curves(curves, paths[3], title=title)
    flows = [GradientFlow(t.network.name, t.network.family, np.array(t.flow)) for t in deep]
    save_gradient_flow(flows, paths[4], title=f"{title}, before the first step")
    return paths


def _track(
    arguments: ClassifierArguments, cohort: Cohort, trials: Sequence[Trial], folder: Path, pictures: Sequence[Path]
) -> None:
    """One run per network, and one that holds table and pictures."""
    for trial in trials:
        network = trial.network
        tags = {"medseg.stage": "classify compare", "mlflow.source.name": "medseg classify compare"}
        run = _start(arguments, cohort, f"classify compare {network.name}", tags)
        with run.recording(system_metrics=False):
            run.log_parameters({"architecture": network.name, "family": network.family, "depth": network.depth})
            numbers = ("parameters", "multiply_adds", "error", "train_error", "seconds")
            run.log_metrics({name: float(getattr(network, name)) for name in numbers})
            log_cohort(run, cohort)
    run = _start(arguments, cohort, "classify compare", {"medseg.stage": "classify compare"})
    with run.recording(system_metrics=False):
        run.log_file(folder / "comparison.json")
        for picture in pictures:
            run.log_file(picture, folder="pictures")


def _start(arguments: ClassifierArguments, cohort: Cohort, name: str, tags: dict[str, str]) -> TrackedRun:
    return TrackedRun.start(experiment=cohort.manifest.name, name=name, tracking_uri=arguments.tracking_uri, tags=tags)
