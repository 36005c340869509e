"""Refinement of a split: one patient is moved, or two are exchanged, as long as that lowers the imbalance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medseg.split.ledger import Ledger, Parts

SAMPLE = 300  # number of patients with all exchanges tried; the cost of a step is quadratic in it
STEPS = 200
_GAIN = 1e-6

Covered = npt.NDArray[np.bool_]


def refine(ledger: Ledger, free: Parts, *, covered: Covered, rng: np.random.Generator) -> None:
    """Take the best step among all patients, or among a new sample of many, until none helps.

    Args:
        ledger: Complete split.
        free: Patients that may be moved.
        covered: Strata of which no part may lose its last patient.
        rng: Generator of the samples.
    """
    for _ in range(STEPS):
        is_sampled = len(free) > SAMPLE
        chosen = np.sort(rng.choice(free, SAMPLE, replace=False)) if is_sampled else free
        chosen = chosen[~ledger.sole_holders(chosen, covered)]
        if not (len(chosen) and _take_best_step(ledger, chosen)) and not is_sampled:
            return


def _take_best_step(ledger: Ledger, patients: Parts) -> bool:
    """Move one of these patients, or exchange two, whichever gains most; False if nothing gains."""
    parts = ledger.parts[patients]
    leaving = ledger.cost_to_remove(patients)
    moving = ledger.cost_to_add(patients) + leaving[:, None]  # (P, K)
    moving[np.arange(len(patients)), parts] = 0.0
    both = ledger.cost_of_both(patients)
    arriving = moving[:, parts]  # cost of the row's patient in the part of the column's
    exchanging = arriving + arriving.T - both - both.T
    exchanging[parts[:, None] == parts[None, :]] = 0.0
    if min(moving.min(), exchanging.min()) > -_GAIN:
        return False
    if moving.min() <= exchanging.min():
        patient, part = np.unravel_index(moving.argmin(), moving.shape)
        ledger.put(int(patients[patient]), int(part))
    else:
        first, second = np.unravel_index(exchanging.argmin(), exchanging.shape)
        ledger.put(int(patients[first]), int(parts[second]))
        ledger.put(int(patients[second]), int(parts[first]))
    return True


def level_sizes(ledger: Ledger, free: Parts, *, covered: Covered) -> None:
    """Move patients from the fullest to the emptiest part until the two differ by no more than the largest patient.

    This ends, since every move is smaller than the difference and so makes the sizes more even.
    """
    largest = int(ledger.counts[free, -1].max(initial=0))
    while True:
        fullest, emptiest = int(ledger.surplus.argmax()), int(ledger.surplus.argmin())
        movable = free[ledger.parts[free] == fullest]
        if ledger.surplus[fullest] - ledger.surplus[emptiest] <= largest + 1e-9 or not len(movable):
            return
        costs = ledger.cost_to_add(movable)[:, emptiest] + ledger.cost_to_remove(movable)
        costs = costs + np.where(ledger.sole_holders(movable, covered), np.abs(costs).max() + 1.0, 0.0)
        ledger.put(int(movable[costs.argmin()]), emptiest)
