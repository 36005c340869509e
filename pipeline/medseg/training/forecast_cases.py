"""What more labelled cases are expected to bring, from trainings on parts of those that there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.training.forecast import Interval, weighted_interval

_DRAWS = 20_000
_NOISE = 0.02  # relative deviation of the error between trainings alike but for their seed
_MISFIT = 0.1  # relative deviation that is granted to the error with 1/e of the cases


def gain_of_more_cases(
    sizes: Sequence[int], scores: Sequence[float], *, deviations: Sequence[float] | None = None
) -> Interval | None:
    """Expected gain of the score with twice the labelled cases, at the same length of training.

    Powers of the number of cases that fall to some limit are drawn at random and weighted by how well they agree with
    the trainings.

    Args:
        sizes: Number of training cases of each training, rising.
        scores: Score of each over the same validation cases, at most 1.
        deviations: Standard error of each score's difference from the last; none if not given.

    Returns:
        Gain from the largest number of cases to twice that; None with fewer than two trainings, or a perfect last one.

    Source: Hestness et al. 2017, https://arxiv.org/abs/1712.00409, section 3 (errors fall as powers of the data).
    """
    errors = 1 - np.array(scores, float)
    if len(errors) < 2 or not np.isfinite(errors).all() or (errors <= 0).any():
        return None
    rng, last = np.random.default_rng(0), float(errors[-1])
    value = last * np.exp(_NOISE * rng.standard_normal(_DRAWS))
    limit, exponent = value * rng.random(_DRAWS), rng.uniform(0.02, 1, _DRAWS)
    log_likelihood = np.zeros(_DRAWS)
    for place, (size, error) in enumerate(zip(sizes[:-1], errors[:-1], strict=True)):
        ratio = size / sizes[-1]
        paired = (deviations[place] if deviations is not None else 0.0) / float(error)
        deviation = np.sqrt(_NOISE**2 + paired**2 + (_MISFIT * np.log(ratio)) ** 2)
        off = np.log(error) - np.log(limit + (value - limit) * ratio**-exponent)
        log_likelihood -= 0.5 * (off / deviation) ** 2
    weights = np.exp(log_likelihood - log_likelihood.max())
    twice = (limit + (value - limit) * 2**-exponent) * np.exp(_NOISE * rng.standard_normal(_DRAWS))
    return weighted_interval(value - twice, weights / weights.sum())
