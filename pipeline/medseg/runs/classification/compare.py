"""Several networks trained alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from medseg.atomic import check_writable, write_json
from medseg.cohort import iterate_cases
from medseg.delivery.classification import (
    GradientFlow,
    LossCurve,
    save_ball_chart,
    save_depth_chart,
    save_gradient_flow,
    save_loss_curves,
    save_parameter_chart,
)
from medseg.errors import ConfigError
from medseg.networks.classification import ClassifierConfig, smallest_size
from medseg.networks.classification.architecture import NAMED_ARCHITECTURES
from medseg.planning import SlicePlan, override_plan
from medseg.planning.classification import learning_rate_of
from medseg.records import Failure
from medseg.runs.classification.labels import prepare_labelled
from medseg.runs.classification.plan import plan_classifier
from medseg.runs.classification.settings import ClassificationSettings
from medseg.runs.classification.trial import Candidate, Trial, error_name, try_network
from medseg.runs.describe import fold_text
from medseg.runs.machine import torch_device
from medseg.runs.progress import Progress, Silence
from medseg.runs.run_folder import check_empty, spool_of
from medseg.runs.settings import ALL_FOLDS
from medseg.runs.tracking import log_cases, start_tracking, unsent
from medseg.runs.train import merge_failures
from medseg.runs.training_cases import TrainingCases, load_training_cases
from medseg.tracking import TrackedRun


@dataclass(frozen=True, slots=True)
class CompareResult:
    """A comparison of networks.

    Attributes:
        folder: Folder of `comparison.json`, the pictures and a folder per network.
        trials: Networks that were trained.
        failures: Cases that could not be used, and networks that could not be trained, with the reasons.
        warnings: Sentences for the person who started the comparison.
    """

    folder: Path
    trials: tuple[Trial, ...]
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...] = ()


def compare_networks(
    dataset: Path,
    networks: Sequence[str],
    settings: ClassificationSettings,
    *,
    on_trial: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
) -> CompareResult:
    """Train each network with the same slices, steps or seconds, and draw the results.

    Args:
        dataset: A `dataset.json` or the folder that holds one.
        networks: Names of architectures.
        settings: Choices; budget and epochs are those of each network.
        on_trial: Called with a line about each network when it has been measured.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If a name is unknown, the dataset cannot be used, or the output folder holds something.
    """
    if set(networks) - set(NAMED_ARCHITECTURES) or len(set(networks)) < len(networks):
        known = ", ".join(NAMED_ARCHITECTURES)
        raise ConfigError(f"networks must be different ones of {known}, got {', '.join(networks)}")
    if settings.fold in {"all", ALL_FOLDS}:
        raise ConfigError("fold must be a number: networks are compared on validation cases")
    progress = progress or Silence()
    check_empty(settings.out)
    device = torch_device(settings.device)
    cases = load_training_cases(dataset, fold=settings.fold, data_root=settings.data_root)
    check_writable(settings.store, option="store")
    runs = _start_runs(settings, cases, networks)
    with ExitStack() as stack:
        for run in runs.values():
            stack.enter_context(run.recording(system_metrics=False))
        kind = "cuda" if device.type == "cuda" else "cpu"
        result = _compare(cases, networks, settings, kind=kind, runs=runs, on_trial=on_trial, progress=progress)
    return replace(result, warnings=tuple(line for run in runs.values() for line in unsent(run, settings.out)))


def _compare(
    cases: TrainingCases,
    networks: Sequence[str],
    settings: ClassificationSettings,
    *,
    kind: str,
    runs: Mapping[str, TrackedRun],
    on_trial: Callable[[str], None],
    progress: Progress,
) -> CompareResult:
    """Plan, prepare and train within open MLflow runs."""
    folder = settings.out
    planned = plan_classifier(cases, None, settings, device=kind, progress=progress)  # type: ignore[arg-type]  # literal
    plans = {name: _with_network(planned.plan, name) for name in networks}
    largest = max(smallest_size(one.network) for one in plans.values())
    plans = {name: _at_least(one, largest) for name, one in plans.items()}
    slices = prepare_labelled(cases, plans[networks[0]], None, settings, progress=progress)
    failures = merge_failures(planned.failures, slices.failures)
    trials: list[Trial] = []
    work = partial(try_network, slices=slices, settings=settings, progress=progress)
    for outcome in iterate_cases([Candidate(name, one) for name, one in plans.items()], work, stage="compare"):
        if isinstance(outcome.result, Failure):
            failures = (*failures, outcome.result)
            on_trial(outcome.result.reason)
        else:
            trials.append(outcome.result)
            on_trial(outcome.result.line(error_name(planned.plan)))
    if trials:
        pictures = _save_pictures(trials, folder, plans[networks[0]])
        content = {"error": error_name(planned.plan), "networks": [asdict(trial.network) for trial in trials]}
        write_json(folder / "comparison.json", content)
        if runs:
            _log(runs, folder, cases, trials, pictures)
    return CompareResult(folder, tuple(trials), failures)


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


def _save_pictures(trials: Sequence[Trial], folder: Path, plan: SlicePlan) -> list[Path]:
    networks = [trial.network for trial in trials]
    size = "×".join(str(side) for side in plan.slices.size)
    error, title = error_name(plan), f"{plan.dataset}, {plan.slices.plane} slices of {size} pixels"
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


def _start_runs(
    settings: ClassificationSettings, cases: TrainingCases, networks: Sequence[str]
) -> dict[str, TrackedRun]:
    """One MLflow run per network, and one by the name "" that holds table and pictures; none without tracking."""
    stage = "classify compare"
    what = f"{stage} {settings.out.resolve().name}, {fold_text(settings.fold)}"
    parent = start_tracking(settings.tracking, cases.manifest, stage=stage, name=what)
    if parent is None:
        return {}
    tracking = replace(settings.tracking, parent=parent.run_id)
    started = {name: start_tracking(tracking, cases.manifest, stage=stage, name=f"{stage} {name}") for name in networks}
    return {"": parent} | {name: run for name, run in started.items() if run is not None}


def _log(
    runs: Mapping[str, TrackedRun],
    folder: Path,
    cases: TrainingCases,
    trials: Sequence[Trial],
    pictures: Sequence[Path],
) -> None:
    """Size, cost and error of each network in its run; table and pictures in their own."""
    for trial in trials:
        network, run = trial.network, runs[trial.network.name]
        run.begin(spool_of(folder / network.name))
        run.log_parameters({"architecture": network.name, "family": network.family, "depth": network.depth})
        numbers = ("parameters", "multiply_adds", "error", "train_error", "seconds")
        run.log_metrics({name: float(getattr(network, name)) for name in numbers})
        log_cases(run, cases.manifest, training=cases.training, validation=cases.validation)
    runs[""].begin(spool_of(folder))
    runs[""].log_file(folder / "comparison.json")
    for picture in pictures:
        runs[""].log_file(picture, folder="pictures")
