"""What a training is, in the words of those who look through runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from medseg.evaluation.segmentation.summary import MEAN_NAME
from medseg.inference.device_name import device_name
from medseg.runs.machine import torch_device
from medseg.runs.settings import TrainingSettings
from medseg.runs.training_cases import TrainingCases
from medseg.training.engine import Outcome
from medseg.training.task import Validation

_MOST_DIFFERENCES = 3
_SEVERAL = {"all": "all cases", "all-folds": "all folds"}


def fold_text(fold: str) -> str:
    """Name of a training's validation cases."""
    return _SEVERAL.get(fold) or f"fold {fold}"


def length_text(budget: str | None, epochs: int | None) -> str:
    """Budget or epochs, as the user gave them."""
    return budget or (f"{epochs} epochs" if epochs else "planned epochs")


def forecast_notes(validation: Validation | None) -> tuple[str, ...]:
    """What a training of twice the length is expected to gain, for the person who started this one."""
    if validation is None or validation.forecast is None:
        return ()
    middle, low, high = validation.forecast.gain
    text = (
        f"a training of twice this length is expected to change the score by {middle:+.3f} ({low:+.3f} to {high:+.3f}, "
        "four times out of five)"
    )
    return (text,)


def size_text(sizes: Sequence[float]) -> str:
    """Sizes along the axes, such as `96 x 80 x 48`."""
    return " x ".join(f"{size:g}" for size in sizes)


def shortened(table: str, *, most: int = 30) -> str:
    """A table with so few lines that a description in MLflow, or a screen, holds it; means over structures stay.

    Args:
        table: Lines.
        most: Most lines, beside one that says how many are left out.
    """
    lines = table.splitlines()
    if len(lines) <= most:
        return table
    means = [line for line in lines if line.lstrip().startswith(MEAN_NAME)]
    others = [line for line in lines if line not in means]
    first = others[: max(0, most - len(means))]
    return "\n".join([*first, f"... and {len(others) - len(first)} lines more, in the tables", *means])


def run_name(stage: str, settings: TrainingSettings, choices: Mapping[str, str]) -> str:
    """A name that tells runs apart: command, folder, fold, length, and what differs from the default plan.

    Args:
        stage: Command of the training.
        settings: Choices of the training.
        choices: Choices of this kind of training that are not the default, by their names.
    """
    length = length_text(settings.budget, settings.epochs)
    parts = [f"{stage} {settings.out.resolve().name}", fold_text(settings.fold), length]
    differing = differences(settings, choices)
    parts += [f"{key} {value}" for key, value in list(differing.items())[:_MOST_DIFFERENCES]]
    more = len(differing) - _MOST_DIFFERENCES
    return ", ".join([*parts, f"{more} more"] if more > 0 else parts)


def renamed(name: str, stage: str, settings: TrainingSettings, earlier: tuple[str | None, int | None]) -> str:
    """The name of a run that is resumed with another budget or other epochs; a name that the user gave stays.

    Args:
        name: Name of the run now.
        stage: Command of the training.
        settings: Choices of the resumed training.
        earlier: Budget and epochs that it had before.
    """
    begun = f"{stage} {settings.out.resolve().name}, {fold_text(settings.fold)}, "
    before = begun + length_text(*earlier)
    if name != before and not name.startswith(f"{before}, "):
        return name
    return begun + length_text(settings.budget, settings.epochs) + name.removeprefix(before)


def differences(settings: TrainingSettings, choices: Mapping[str, str]) -> dict[str, str]:
    """What a training has that the default plan has not, by the names of settings."""
    found = dict(choices)
    if settings.update is not None:
        found["updates"] = settings.update.resolve().name
    elif settings.plan is not None:
        plan, own = settings.plan.resolve(), settings.out.resolve()
        if plan.parent.parent != own.parent:  # else it is that of another fold
            found["plan"] = f"{plan.parent.name}/{plan.name}"
    if settings.initial is not None and settings.update is None:
        found["from"] = settings.initial.resolve().name
    if settings.seed is not None:
        found["seed"] = str(settings.seed)
    for section, values in settings.changes.items():
        nested = values if isinstance(values, Mapping) else {"": values}
        found |= {key or section: _value_text(value) for key, value in nested.items()}
    return found


def differences_text(settings: TrainingSettings, choices: Mapping[str, str]) -> str:
    """What a training has that the default plan has not, in one line."""
    return ", ".join(f"{key} {value}" for key, value in differences(settings, choices).items()) or "nothing"


def training_parameters(
    settings: TrainingSettings, plan: Mapping[str, Any], choices: Mapping[str, str], *, parameters: int, failed: int
) -> dict[str, Any]:
    """The few settings by which trainings are compared; the whole plan is an artefact of the run.

    Args:
        settings: Choices of the training.
        plan: Readable settings of the plan.
        choices: Choices of this kind of training that are not the default.
        parameters: Trainable parameters of the network.
        failed: Count of cases that could not be used.
    """
    return {
        "fold": settings.fold,
        **plan,
        "parameters": parameters,
        "failed_cases": failed,
        "differs_from_default": differences_text(settings, choices),
    }


def training_tags(settings: TrainingSettings) -> dict[str, str]:
    """Tags that a resumed run sets again, because they may have changed."""
    return {
        "medseg.length": length_text(settings.budget, settings.epochs),
        "medseg.device": device_name(torch_device(settings.device)),
        "medseg.torch": torch.__version__,
    }


def describe_training(settings: TrainingSettings, cases: TrainingCases, outcome: Outcome, summary: object) -> str:
    """What was trained on what, what came out, and what to do next.

    Args:
        settings: Choices of the training.
        cases: Training and validation cases.
        outcome: Steps and seconds.
        summary: Numbers of the last validation; its text is a table.
    """
    folder = settings.out.resolve().name
    parts = [
        (
            f"**{cases.manifest.name}**, {fold_text(settings.fold)}: {len(cases.training)} training and "
            f"{len(cases.validation)} validation cases; {outcome.steps:,} steps in {outcome.seconds:.0f} s "
            f"({length_text(settings.budget, settings.epochs)})."
        ),
        f"```\n{shortened(str(summary))}\n```" if cases.validation and summary is not None else "No validation cases.",
        "The plan, with the reason of each setting, is the artefact `plan.yaml`.",
        f"Next: `medseg predict {folder} …`, then `medseg evaluate …`.",
    ]
    return "\n\n".join(parts)


def _value_text(value: object) -> str:
    """A changed setting as text."""
    if isinstance(value, list | tuple) and all(isinstance(size, int | float) for size in value):
        return size_text(value)
    return str(value)
