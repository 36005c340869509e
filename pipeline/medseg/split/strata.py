"""The strata that a split balances: cases of one label, class of volume, site, scanner or modality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medseg.split.case_table import ORIGINS, CaseTable, Flags
from medseg.split.config import Feature
from medseg.split.ledger import Counts

VOLUME_CLASSES = 4
MOST_ORIGINS = 100  # number of values of a kind with a stratum of their own; rarer ones share one


class Stratum(NamedTuple):
    """One group of cases: its kind, its name, and a flag for each case, `(N,)`."""

    kind: Feature
    name: str
    has: Flags


class Strata(NamedTuple):
    """The strata of a cohort, counted by patient.

    Attributes:
        strata: The S strata.
        counts: Number of cases of each patient in each stratum and, in the last column, in all, `(P, S + 1)`.
        covered: Whether each column is a label, which every part should hold, `(S + 1,)`.
    """

    strata: tuple[Stratum, ...]
    counts: Counts
    covered: npt.NDArray[np.bool_]


def make_strata(table: CaseTable, by: Sequence[Feature], *, parts: int) -> Strata:
    """Form the strata.

    Args:
        table: Cases of the manifest.
        by: Kinds of strata to form.
        parts: Number of parts of the split; values of fewer patients share a stratum.
    """
    strata = tuple(
        stratum
        for stratum in (*_labels(table, by), *_volumes(table, by, parts), *_origins(table, by, parts))
        if stratum.has.any()
    )
    counts = np.zeros((len(table.patients), len(strata) + 1), dtype=np.int64)
    for column, stratum in enumerate(strata):
        counts[:, column] = np.bincount(table.patient_of[stratum.has], minlength=len(table.patients))
    counts[:, -1] = np.bincount(table.patient_of, minlength=len(table.patients))
    return Strata(strata, counts, np.array([*(stratum.kind == "label" for stratum in strata), False]))


def _labels(table: CaseTable, by: Sequence[Feature]) -> Iterator[Stratum]:
    """A stratum for each label, and one for cases with unknown labels."""
    if "label" not in by:
        return
    for column, name in enumerate(table.labels):
        yield Stratum("label", name, table.present[:, column])
    if table.is_known.any():
        yield Stratum("label", "not known", ~table.is_known)


def _volumes(table: CaseTable, by: Sequence[Feature], parts: int) -> Iterator[Stratum]:
    """Quantile classes of the volume of each label, fewer if a class would not reach every part."""
    if "volume" not in by:
        return
    for column, name in enumerate(table.labels):
        millilitres = table.volume_ml[:, column]
        measured = ~np.isnan(millilitres)
        classes = min(VOLUME_CLASSES, table.patients_with(measured) // parts)
        if classes > 1:
            edges = np.quantile(millilitres[measured], np.linspace(0, 1, classes + 1)[1:-1])
            number = np.searchsorted(edges, millilitres)
            for index in range(classes):
                yield Stratum("volume", f"{name} {index + 1}/{classes}", measured & (number == index))


def _origins(table: CaseTable, by: Sequence[Feature], parts: int) -> Iterator[Stratum]:
    """A stratum for each site, scanner and modality; one for all that are rare or not given."""
    for kind in ORIGINS:
        values = table.origins[kind]
        if kind not in by or not any(values):
            continue
        kept = _common(values, table.patient_of.tolist(), at_least=parts)
        number = np.array([kept.get(value, -1) for value in values])
        for value, index in kept.items():
            yield Stratum(kind, str(value), number == index)
        yield Stratum(kind, "others", number == -1)


def _common(values: Sequence[str | None], patients: Sequence[int], *, at_least: int) -> dict[str | None, int]:
    """The values of most patients, numbered by name."""
    counts = Counter(value for value, _ in set(zip(values, patients, strict=True)) if value)
    common = sorted((-count, value) for value, count in counts.items() if count >= at_least)
    return {value: index for index, value in enumerate(sorted(value for _, value in common[:MOST_ORIGINS]))}
