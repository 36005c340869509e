"""Assignment of patients to parts that balances every stratum."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medseg.split.ledger import UNDECIDED, Counts, Ledger, Numbers, Parts
from medseg.split.refine import level_sizes, refine

_DUE = 0.5  # target of a stratum, in cases, from which a part without any of it takes precedence


def stratify(
    counts: Counts, *, ratios: Numbers, seed: int, given: Parts | None = None, covered: npt.NDArray[np.bool_]
) -> Parts:
    """Iterative stratification of patients: the rarest stratum is assigned first, then the rarest of the rest.

    Each patient goes to a part without any case of the stratum that is being assigned, and among such parts to the one
    that lacks most over all of the patient's strata. (The authors consider that one stratum alone, which suits single
    examples; a patient brings several cases with several strata.) Exchanges and moves then lower the remaining
    imbalance.

    Args:
        counts: Cases of each patient in each stratum, `(P, S)`; the last column counts all cases of the patient.
        ratios: Share of the cases of each part, `(K,)`.
        seed: Seed of the order among equals.
        given: Part of each patient that is decided already, otherwise `UNDECIDED`, `(P,)`.
        covered: Strata of which no part loses its last patient, `(S,)`.

    Returns:
        The part of each patient, `(P,)`. Parts differ from their share by at most the largest patient.

    Source: Sechidis, Tsoumakas and Vlahavas 2011, https://doi.org/10.1007/978-3-642-23808-6_10, algorithm 1.
    """
    rng = np.random.default_rng(seed)
    given = np.full(len(counts), UNDECIDED) if given is None else given
    free = np.flatnonzero(given == UNDECIDED)
    ledger = Ledger(counts, ratios, given)
    _assign(ledger, free, rng)
    refine(ledger, free, covered=covered, rng=rng)
    level_sizes(ledger, free, covered=covered)
    return ledger.parts


def _assign(ledger: Ledger, free: Parts, rng: np.random.Generator) -> None:
    """Put every free patient into a part, rarest stratum first."""
    random_order = rng.permutation(len(ledger.parts))
    has = ledger.counts > 0  # (P, S)
    waiting = np.zeros(len(ledger.parts), dtype=bool)
    waiting[free] = True
    left = has[free].sum(axis=0)  # patients of each stratum that are not assigned yet
    while (left > 0).any():
        stratum = int(np.where(left > 0, left, len(random_order) + 1).argmin())
        patients = np.flatnonzero(waiting & has[:, stratum])
        sizes = ledger.counts[patients]
        order = np.lexsort((random_order[patients], -sizes[:, -1], -sizes[:, stratum]))
        for patient in patients[order].tolist():
            ledger.put(patient, _choose(ledger, patient, stratum, rng))
        waiting[patients] = False
        left = left - has[patients].sum(axis=0)


def _choose(ledger: Ledger, patient: int, stratum: int, rng: np.random.Generator) -> int:
    """The cheapest part, of those without any case of the stratum if there are such; equals are drawn by lot."""
    costs = ledger.cost_to_add(patient)
    is_empty = (ledger.held[:, stratum] == 0) & (ledger.want[:, stratum] >= _DUE)
    if is_empty.any():
        costs = np.where(is_empty, costs, np.inf)
    best = np.flatnonzero(costs == costs.min())
    return int(best[0] if len(best) == 1 else best[rng.integers(len(best))])
