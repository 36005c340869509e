"""What a training is, in Markdown for those who look through runs."""

from __future__ import annotations

from medseg.runs.settings import TrainingSettings
from medseg.runs.training_cases import TrainingCases
from medseg.training.engine import Outcome


def fold_text(fold: str) -> str:
    """Name of a training's validation cases."""
    return "all cases" if fold == "all" else f"fold {fold}"


def length_text(settings: TrainingSettings) -> str:
    """Budget or epochs, as the user gave them."""
    return settings.budget or (f"{settings.epochs} epochs" if settings.epochs else "planned epochs")


def describe_training(settings: TrainingSettings, cases: TrainingCases, outcome: Outcome, summary: object) -> str:
    """What was trained on what, what came out, and what to do next.

    Args:
        settings: Choices of the training.
        cases: Training and validation cases.
        outcome: Steps and seconds.
        summary: Numbers of the last validation; its text is a table.
    """
    parts = [
        (
            f"**{cases.manifest.name}**, {fold_text(settings.fold)}: {len(cases.training)} training and "
            f"{len(cases.validation)} validation cases; {outcome.steps:,} steps in {outcome.seconds:.0f} s "
            f"({length_text(settings)})."
        ),
        f"```\n{summary}\n```" if cases.validation else "No validation cases.",
        "The plan, with the reason of each setting, is the artefact `plan.yaml`; pictures are in `overlays`.",
        f"Next: `medseg predict {settings.out.resolve().name} …`, then `medseg evaluate …`.",
    ]
    return "\n\n".join(parts)
