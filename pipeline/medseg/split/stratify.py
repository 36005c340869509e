"""Deal patients to parts so that every stratum is shared out evenly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medseg.split.ledger import UNDECIDED, Counts, Ledger, Numbers, Parts
from medseg.split.refine import level_sizes, refine

_DUE = 0.5  # cases of a stratum that a part must be due before it is served first


def stratify(
    counts: Counts, *, ratios: Numbers, seed: int, given: Parts | None = None, covered: npt.NDArray[np.bool_]
) -> Parts:
    """Iterative stratification of patients: the rarest stratum is dealt first, then the rarest of what is left.

    Each patient goes to the part that holds nothing yet of the stratum being dealt, and among such parts to the one
    that lacks most over all of the patient's strata. (The authors look at the stratum being dealt alone, which suits
    single examples; a patient brings several cases with several strata.) Exchanges and moves then lower what imbalance
    is left.

    Args:
        counts: Cases of each patient in each stratum, `(P, S)`; the last column counts all cases of the patient.
        ratios: Share of the cases of each part, `(K,)`.
        seed: Of the order among equals.
        given: Part of each patient that is decided already, else `UNDECIDED`, `(P,)`.
        covered: Strata that no part gives up once it has them, `(S,)`.

    Returns:
        The part of each patient, `(P,)`. Parts differ from their share by at most the largest patient.

    Source: Sechidis, Tsoumakas and Vlahavas 2011, https://doi.org/10.1007/978-3-642-23808-6_10, algorithm 1.
    """
    rng = np.random.default_rng(seed)
    given = np.full(len(counts), UNDECIDED) if given is None else given
    free = np.flatnonzero(given == UNDECIDED)
    ledger = Ledger(counts, ratios, given)
    _deal(ledger, free, rng)
    refine(ledger, free, covered=covered, rng=rng)
    level_sizes(ledger, free, covered=covered)
    return ledger.parts


def _deal(ledger: Ledger, free: Parts, rng: np.random.Generator) -> None:
    """Give every free patient a part, rarest stratum first."""
    luck = rng.permutation(len(ledger.parts))
    has = ledger.counts > 0  # (P, S)
    waiting = np.zeros(len(ledger.parts), dtype=bool)
    waiting[free] = True
    left = has[free].sum(axis=0)  # patients of each stratum that are still to be dealt
    while (left > 0).any():
        stratum = int(np.where(left > 0, left, len(luck) + 1).argmin())
        patients = np.flatnonzero(waiting & has[:, stratum])
        sizes = ledger.counts[patients]
        order = np.lexsort((luck[patients], -sizes[:, -1], -sizes[:, stratum]))
        for patient in patients[order].tolist():
            ledger.put(patient, _choose(ledger, patient, stratum, rng))
        waiting[patients] = False
        left = left - has[patients].sum(axis=0)


def _choose(ledger: Ledger, patient: int, stratum: int, rng: np.random.Generator) -> int:
    """The cheapest part, among those that lack the stratum wholly if there are any; equals are drawn."""
    costs = ledger.cost_to_add(patient)
    is_empty = (ledger.held[:, stratum] == 0) & (ledger.want[:, stratum] >= _DUE)
    if is_empty.any():
        costs = np.where(is_empty, costs, np.inf)
    best = np.flatnonzero(costs == costs.min())
    return int(best[0] if len(best) == 1 else best[rng.integers(len(best))])
