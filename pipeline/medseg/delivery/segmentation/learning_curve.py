"""Dice over the number of labelled cases, drawn with what is expected of twice as many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.delivery.charts import COLOURS, GREY, new_figure, save_figure, tidy


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One training of a learning curve.

    Attributes:
        cases: Training cases.
        patients: Patients that they belong to.
        steps: Steps of the training.
        seconds: Seconds that it took.
        score: Mean Dice of the validation cases.
        deviation: Standard error of the difference from the training on all cases.
    """

    cases: int
    patients: int
    steps: int
    seconds: float
    score: float
    deviation: float


def save_learning_curve(
    points: Sequence[CurvePoint],
    path: Path,
    *,
    more_cases: tuple[float, float, float] | None = None,
    title: str = "",
) -> None:
    """Write a PNG.

    Args:
        points: Trainings, with rising numbers of cases.
        path: Target file.
        more_cases: Expected gain of twice the cases, and its interval; nothing more is drawn if not given.
        title: Title above the picture.
    """
    figure = new_figure(6.4, 4.4)
    axis = figure.subplots()
    sizes, scores = [point.cases for point in points], [point.score for point in points]
    deviations = [point.deviation for point in points]
    axis.errorbar(sizes, scores, yerr=deviations, color=COLOURS[0], marker="o", capsize=3, label="trained")
    if more_cases is not None:
        middle, low, high = (points[-1].score + gain for gain in more_cases)
        twice = 2 * sizes[-1]
        axis.plot([sizes[-1], twice], [scores[-1], middle], color=GREY, linestyle="--")
        axis.errorbar(
            [twice], [middle], yerr=[[middle - low], [high - middle]], color=GREY, marker="s", capsize=3,
            label="expected (80 %)",
        )  # fmt: skip
    axis.set_xscale("log", base=2)
    shown = [*sizes, 2 * sizes[-1]] if more_cases is not None else sizes
    axis.set_xticks(shown, [str(size) for size in shown])
    tidy(axis, title=title, x="labelled training cases", y="mean Dice of the validation cases")
    axis.legend(frameon=False, fontsize=9, loc="lower right")
    save_figure(figure, path)
