"""What is known of a network when several are compared."""

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
        name: As it is written beside its ball.
        family: Networks of one family share a colour, and a line over depth.
        depth: Layers with weights.
        parameters: Number of weights.
        multiply_adds: Of one forward pass of one slice.
        error: On validation, in [0, 1]: top-1 error, or 1 − AUROC.
        train_error: The same on training slices; NaN if unknown.
        low: Lower end of the error's 95 % interval; NaN if unknown.
        high: Upper end.
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
        name: In the legend.
        family: For the colour.
        steps: Rising, shape `(N,)`.
        losses: Shape `(N,)`; NaN breaks the line.
    """

    name: str
    family: str
    steps: Array
    losses: Array


@dataclass(frozen=True, slots=True, eq=False)
class GradientFlow:
    """Gradient norm of every layer's weights of one network.

    Attributes:
        name: In the legend.
        family: For the colour.
        norms: From the input to the output, not negative, shape `(layers,)`.
    """

    name: str
    family: str
    norms: Array


def family_colours(families: Iterable[str]) -> dict[str, str]:
    """A colour per family in order of first appearance; ten differ."""
    names = dict.fromkeys(families)
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}
