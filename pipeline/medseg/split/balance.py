"""How even the parts of a split are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.split.case_table import ORIGINS, CaseTable, Flags
from medseg.split.config import Feature
from medseg.split.ledger import Counts

Numbers = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """One feature in every column of the balance.

    Attributes:
        kind: Which feature.
        name: The label, site, scanner or modality.
        cases: Cases that have it.
        percent: Their share of the cases of which it is known; None where that is of none.
        mean_ml: Mean volume over cases with the label; only of kind `volume`.
        quartiles_ml: 25th, 50th and 75th percentile of the volume; only of kind `volume`.
        gap: How far the worst part is off all cases, in points of its cases: its share against theirs in per cent, or
            for volumes its median's percentile among all volumes against the 50th, times its share with the label.
        worst: Name of that part.
    """

    kind: Feature
    name: str
    cases: tuple[int, ...]
    percent: Numbers
    gap: float
    worst: str
    mean_ml: Numbers = ()
    quartiles_ml: tuple[tuple[float, float, float] | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Balance:
    """The table that a split is judged by.

    Attributes:
        columns: `all`, then the folds, then `test` where there is one.
        patients: Patients in each column.
        cases: Cases in each column.
        rows: One per feature, the most unbalanced of each kind first.
    """

    columns: tuple[str, ...]
    patients: tuple[int, ...]
    cases: tuple[int, ...]
    rows: tuple[BalanceRow, ...]

    @property
    def largest(self) -> BalanceRow | None:
        """The most unbalanced feature; None where there is none to balance."""
        return max(self.rows, key=lambda row: row.gap, default=None)


def measure_balance(table: CaseTable, part_of: dict[str, str]) -> Balance:
    """Count every feature in every part.

    Args:
        table: The cases.
        part_of: Name of each case's part, by case id: `fold 0`, …, `test`.
    """
    names = sorted(set(part_of.values()), key=lambda name: (name == "test", len(name), name))
    number = {name: index for index, name in enumerate(names)}
    parts = np.array([number[part_of[case.case_id]] for case in table.cases])
    columns = {"all": np.ones(len(parts), dtype=bool)} | {name: parts == index for name, index in number.items()}
    rows = [row for kind_rows in (_labels, _volumes, _origins) for row in kind_rows(table, columns)]
    kinds: list[Feature] = list(dict.fromkeys(row.kind for row in rows))
    return Balance(
        tuple(columns),
        tuple(table.patients_with(flags) for flags in columns.values()),
        tuple(int(flags.sum()) for flags in columns.values()),
        tuple(sorted(rows, key=lambda row: (kinds.index(row.kind), -row.gap, row.name))),
    )


def _labels(table: CaseTable, columns: dict[str, Flags]) -> list[BalanceRow]:
    if not table.is_known.any():
        return []
    counts = np.stack([table.present[flags].sum(axis=0) for flags in columns.values()])
    known = np.array([(table.is_known & flags).sum() for flags in columns.values()])
    return _share_rows("label", table.labels, counts, known, columns)


def _origins(table: CaseTable, columns: dict[str, Flags]) -> list[BalanceRow]:
    rows = []
    for kind in ORIGINS:
        names = tuple(sorted({value for value in table.origins[kind] if value}))
        number = {name: index for index, name in enumerate(names)}
        values = np.array([number.get(value or "", -1) for value in table.origins[kind]])
        counts = np.stack([np.bincount(values[flags] + 1, minlength=len(names) + 1)[1:] for flags in columns.values()])
        rows += _share_rows(kind, names, counts, counts.sum(axis=1), columns)
    return rows


def _share_rows(
    kind: Feature, names: tuple[str, ...], counts: Counts, known: Counts, columns: dict[str, Flags]
) -> list[BalanceRow]:
    """Rows of cases counted by column and name, `(C, names)`, out of those of which it is known, `(C,)`."""
    rows = []
    for name, cases in zip(names, counts.T.tolist(), strict=True):
        percent = tuple(100.0 * n / of if of else None for n, of in zip(cases, known.tolist(), strict=True))
        gap, worst = _largest_gap(percent, tuple(columns))
        rows.append(BalanceRow(kind, name, tuple(cases), percent, gap, worst))
    return rows


def _volumes(table: CaseTable, columns: dict[str, Flags]) -> list[BalanceRow]:
    return [
        _volume_row(name, table.volume_ml[:, index], table.is_known, columns)
        for index, name in enumerate(table.labels)
        if not np.isnan(table.volume_ml[:, index]).all()
    ]


def _volume_row(
    name: str, millilitres: npt.NDArray[np.float64], is_known: Flags, columns: dict[str, Flags]
) -> BalanceRow:
    groups = [millilitres[flags & ~np.isnan(millilitres)] for flags in columns.values()]
    everyone = np.sort(groups[0])
    offsets = [
        (_percentile(float(np.median(group)), everyone) - 50.0) * len(group) / int((is_known & flags).sum())
        if len(group)
        else None
        for group, flags in zip(groups, columns.values(), strict=True)
    ]
    gap, worst = _largest_gap(tuple(offsets), tuple(columns))
    return BalanceRow(
        "volume",
        name,
        tuple(len(group) for group in groups),
        (),
        gap,
        worst,
        tuple(float(group.mean()) if len(group) else None for group in groups),
        tuple(_quartiles(group) if len(group) else None for group in groups),
    )


def _percentile(value: float, ordered: npt.NDArray[np.float64]) -> float:
    """Where a value stands among others, ties in the middle."""
    below, up_to = np.searchsorted(ordered, value, "left"), np.searchsorted(ordered, value, "right")
    return float(50.0 * (below + up_to) / len(ordered))


def _quartiles(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    low, median, high = np.percentile(values, [25, 50, 75])
    return float(low), float(median), float(high)


def _largest_gap(percent: Numbers, columns: tuple[str, ...]) -> tuple[float, str]:
    """The part that is furthest from the first column, and by how much."""
    reference = percent[0]
    gaps = [
        (abs(value - reference), name)
        for value, name in zip(percent[1:], columns[1:], strict=True)
        if value is not None and reference is not None
    ]
    return max(gaps, key=lambda item: item[0], default=(0.0, columns[-1]))
