"""Running totals of a split: the content of each part, its target, and the cost of one more patient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Parts = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

# Weight of the number of cases, against 1 of each stratum: parts of even size matter more than any one stratum.
SIZE_WEIGHT = 5.0
UNDECIDED = -1


class Ledger:
    """Running totals of a split; its cost is Pearson's chi-squared of the parts against their ideal shares.

    Args:
        counts: Cases of each patient in each stratum, `(P, S)`; the last column counts all cases of the patient.
        ratios: Share of the cases that each part should have, `(K,)`, adding up to 1.
        parts: Part of each patient, `(P,)`, or `UNDECIDED`.
    """

    def __init__(self, counts: Counts, ratios: Numbers, parts: Parts) -> None:
        self.counts = counts.astype(np.float64)
        self.parts = parts.copy()
        self.want: Numbers = np.outer(ratios, self.counts.sum(axis=0))  # (K, S)
        self.held: Numbers = np.stack([self.counts[parts == part].sum(axis=0) for part in range(len(ratios))])
        self._weights = 1.0 / np.maximum(self.want, 1e-9)
        self._weights[:, -1] *= SIZE_WEIGHT
        self._squares = self.counts**2 @ self._weights.T  # (P, K)
        self._slopes = 2.0 * (self.held - self.want) * self._weights  # (K, S)

    @property
    def surplus(self) -> Numbers:
        """Number of cases that each part holds beyond its target, `(K,)`."""
        return np.asarray(self.held[:, -1] - self.want[:, -1])

    def put(self, patient: int, part: int) -> None:
        """Put a patient into a part, and remove it from the one before."""
        before = int(self.parts[patient])
        if before != UNDECIDED:
            self._change(before, -self.counts[patient])
        self._change(part, self.counts[patient])
        self.parts[patient] = part

    def cost_to_add(self, patients: Parts | int) -> Numbers:
        """Change of the cost if one of these patients were added to each part, `(…, K)`."""
        return rounded(self.counts[patients] @ self._slopes.T + self._squares[patients])

    def cost_to_remove(self, patients: Parts) -> Numbers:
        """Change of the cost if each of these patients were removed from its part, `(P,)`."""
        parts = self.parts[patients]
        slopes = np.einsum("ps,ps->p", self.counts[patients], self._slopes[parts])
        return rounded(self._squares[patients, parts] - slopes)

    def cost_of_both(self, patients: Parts) -> Numbers:
        """Additional cost of each pair of patients in the part of the first, `(P, P)`."""
        counts = self.counts[patients]
        return rounded(2.0 * (counts * self._weights[self.parts[patients]]) @ counts.T)

    def sole_holders(self, patients: Parts, columns: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Whether each of these patients is the only one of its part in one of these strata, `(P,)`."""
        counts = self.counts[patients][:, columns]
        held = self.held[self.parts[patients]][:, columns]
        return np.asarray(((counts > 0) & (counts == held)).any(axis=1))

    def _change(self, part: int, counts: Numbers) -> None:
        self.held[part] += counts
        self._slopes[part] = 2.0 * (self.held[part] - self.want[part]) * self._weights[part]


def rounded(costs: Numbers) -> Numbers:
    """Costs without their last digits, so that equal ones are equal on every machine."""
    return np.round(costs, 9)
