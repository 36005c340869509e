"""Results of a run as sections: its last validation and the evaluations that were given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.delivery.report import Block, Section, Text
from medseg.errors import EvaluationError


@dataclass(frozen=True, slots=True)
class Result:
    """Measured cases.

    Attributes:
        section: The part of the report that shows them.
        headline: The result in a sentence; empty where nothing was measured.
        tables: Blocks of the section that a model card repeats.
        warnings: What flatters the numbers, or keeps them from being this model's.
        limits: What the numbers leave out.
        is_of_training_data: Whether some of the cases are of patients that the model was trained on.
        is_elsewhere: Whether the cases are of another dataset than the run's; None where that is not known.
        is_of_run: Whether the model is the run's own; None where that is not known.
    """

    section: Section
    headline: str = ""
    tables: Sequence[Block] = ()
    warnings: Sequence[str] = ()
    limits: Sequence[str] = ()
    is_of_training_data: bool = False
    is_elsewhere: bool | None = False
    is_of_run: bool | None = True


def missing_result(title: str, why: str) -> Result:
    """A result that is not there, with the reason."""
    return Result(Section(title, [Text(why, "missing")]), limits=(why,))


def damaged(folder: Path, detail: str) -> EvaluationError:
    """The error of an evaluation that cannot be read."""
    fact = f"evaluation {folder.name}: its tables must be as evaluate writes them, got: {detail}"
    return EvaluationError(fact, remedy="evaluate again")


def warned(texts: Sequence[str]) -> list[Block]:
    """A paragraph per warning."""
    return [Text(text, "warning") for text in texts]


def number(value: Any) -> float:
    """A number of a JSON file, in which NaN is null."""
    return float("nan") if value is None else float(value)
