"""How a training's score is expected to go on, from its validations so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from medseg.records import Array

COVERAGE = 0.8  # of the intervals
_DRAWS = 20_000
_FEWEST = 3  # validations, before which nothing can be said
_DECLINE = (0.03, 0.08)  # exponent of what is learnt slowly, mean and deviation
_SHARE_OF_STEEP = 0.03  # of the curves: their exponent may be anything from 0 to 1
_AGEING = 0.3  # relative deviation that is granted to a validation made at 1/e of the steps of the last
_SURPRISE = 0.04  # relative deviation of the error that no curve tells, for each doubling of the steps


class Interval(NamedTuple):
    """A number and its interval, which is to hold the truth four times out of five.

    Attributes:
        middle: Median.
        low: 10th percentile.
        high: 90th percentile.
    """

    middle: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """How a training is expected to go on.

    Attributes:
        score: Score at the end of the budget; None at the end itself.
        gain: What twice the budget would add to the score at its end.
    """

    score: Interval | None
    gain: Interval

    @property
    def values(self) -> dict[str, float]:
        """Numbers by name, for tracking."""
        gain = {"gain_if_doubled": self.gain.middle, "gain_low": self.gain.low, "gain_high": self.gain.high}
        if self.score is None:
            return {f"forecast_{name}": value for name, value in gain.items()}
        score = {"score": self.score.middle, "score_low": self.score.low, "score_high": self.score.high}
        return {f"forecast_{name}": value for name, value in (score | gain).items()}


def forecast_score(
    steps: Sequence[float], scores: Sequence[float], *, end: float, settled_from: float = 0
) -> Forecast | None:
    """Continue a learning curve to the end of its budget, and to twice that.

    Curves of the error (1 − score), each the sum of a slow power of the steps and of a fast exponential, are drawn at
    random and weighted by how well they agree with the validations, the later ones above all. What no curve tells (the
    gain of the last, small learning rates; overfitting) widens the interval with every doubling of the steps. How often
    it held the truth is in `benchmarks/README.md`.

    Args:
        steps: Step of each validation, rising.
        scores: Score of each validation over the same cases, at most 1; those that are not finite are passed over.
        end: Steps at the end of the budget.
        settled_from: Step of the first validation that belongs to the curve; those before it, on coarser voxels say,
            tell nothing of its course.

    Returns:
        The forecast; None with fewer than three usable validations, or none that belongs to the curve.

    Source: parametric curves after Domhan et al. 2015, https://www.ijcai.org/Proceedings/15/Papers/487.pdf, section 3.
    """
    known = [(step, 1 - score) for step, score in zip(steps, scores, strict=True) if 0 < 1 - score <= 1 and step > 0]
    settled = [(step, error) for step, error in known if step >= settled_from]
    if len(known) < _FEWEST or not settled:
        return None
    at, errors = np.array(settled).T
    rng = np.random.default_rng(0)
    draws = _Draws.draw(rng, last=float(errors[-1]))
    weights = draws.weights(at / at[-1], errors)
    ends = max(1.0, end / float(at[-1]))
    surprise = _SURPRISE * rng.standard_normal((2, _DRAWS))
    error_at_end = draws.errors(ends) * np.exp(surprise[0] * np.log2(ends))
    error_doubled = error_at_end * draws.errors(2 * ends) / draws.errors(ends) * np.exp(surprise[1])
    return Forecast(
        score=weighted_interval(1 - np.minimum(error_at_end, 1), weights) if ends > 1 else None,
        gain=weighted_interval(error_at_end - error_doubled, weights),
    )


@dataclass(frozen=True, slots=True)
class _Draws:
    """Curves of the error over steps, in units of those of the last validation; each `(draws,)`.

    A curve is `slow * x ** -decline + fast * exp(rise - rise * x ** shape)`: what is learnt fast, whose course may
    begin late, above what is learnt slowly (or lost, to overfitting, where the decline is negative).

    Attributes:
        slow: Slow part of the error at the last validation.
        fast: The other part of it.
        decline: Exponent of the slow part.
        rise: Number of times by which the fast part has fallen to 1/e.
        shape: Exponent of its course.
        noise: Relative deviation of a validation from the curve.
    """

    slow: Array
    fast: Array
    decline: Array
    rise: Array
    shape: Array
    noise: Array

    @classmethod
    def draw(cls, rng: np.random.Generator, *, last: float) -> _Draws:
        """Curves that pass near the last validation."""
        noise = np.exp(rng.uniform(np.log(0.003), np.log(0.03), _DRAWS))
        value = last * np.exp(noise * rng.standard_normal(_DRAWS))
        share = rng.random(_DRAWS) ** 2  # of the fast part
        return cls(
            slow=value * (1 - share),
            fast=value * share,
            decline=np.where(
                rng.random(_DRAWS) < _SHARE_OF_STEEP, rng.uniform(0, 1, _DRAWS), rng.normal(*_DECLINE, _DRAWS)
            ),
            rise=np.exp(rng.uniform(np.log(0.3), np.log(10), _DRAWS)),
            shape=rng.uniform(0.5, 3, _DRAWS),
            noise=noise,
        )

    def errors(self, at: float) -> Array:
        """Errors after so many times the steps of the last validation."""
        fast = self.fast * np.exp(self.rise * (1 - at**self.shape))
        found: Array = self.slow * at**-self.decline + fast
        return found

    def weights(self, at: Array, errors: Array) -> Array:
        """Likelihood of validations, `(draws,)`, its sum 1."""
        log_likelihood = np.zeros(_DRAWS)
        for place, error in zip(at[:-1], errors[:-1], strict=True):
            deviation = np.hypot(self.noise, _AGEING * np.log(place))
            off = np.log(error) - np.log(self.errors(float(place)))
            log_likelihood -= 0.5 * (off / deviation) ** 2 + np.log(deviation)
        weights = np.exp(log_likelihood - log_likelihood.max())
        shares: Array = weights / weights.sum()
        return shares


def weighted_interval(values: Array, weights: Array) -> Interval:
    """Weighted median, and the bounds that leave out as much on either side."""
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    outside = (1 - COVERAGE) / 2
    low, middle, high = np.interp([outside, 0.5, 1 - outside], below, values[order])
    return Interval(float(middle), float(low), float(high))
