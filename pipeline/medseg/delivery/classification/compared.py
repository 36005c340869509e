"""Records of networks that are compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from medseg.delivery.charts import COLOURS
from medseg.records import Array

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class ComparedNetwork:
    """One trained network.

    Attributes:
        name: Name beside the ball.
        family: Family, which has one colour and one line over depth.
        depth: Number of layers with weights.
        parameters: Number of weights.
        multiply_adds: Multiply-adds of one forward pass of one slice.
        error: Validation error in [0, 1]: top-1 error, or 1 − AUROC.
        train_error: Training error of the same kind; NaN if unknown.
        low: Lower end of the error's 95 % interval; NaN if unknown.
        high: Upper end of the interval; NaN if unknown.
        seconds: Training time; NaN if unknown.
    """

    name: str
    family: str
    depth: int
    parameters: int
    multiply_adds: int
    error: float
    train_error: float = NAN
    low: float = NAN
    high: float = NAN
    seconds: float = NAN


@dataclass(frozen=True, slots=True, eq=False)
class LossCurve:
    """Training loss of one network.

    Attributes:
        name: Name in the legend.
        family: Family, which has one colour.
        steps: Rising step numbers, shape `(N,)`.
        losses: Losses, shape `(N,)`; NaN breaks the line.
    """

    name: str
    family: str
    steps: Array
    losses: Array


@dataclass(frozen=True, slots=True, eq=False)
class GradientFlow:
    """Gradient norm of every layer's weights of one network.

    Attributes:
        name: Name in the legend.
        family: Family, which has one colour.
        norms: Norms from the input to the output, not negative, shape `(layers,)`.
    """

    name: str
    family: str
    norms: Array


def family_colours(families: Iterable[str]) -> dict[str, str]:
    """A colour per family in order of first appearance; ten differ."""
    names = dict.fromkeys(families)
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}
