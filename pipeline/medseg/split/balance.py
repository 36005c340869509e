"""The balance of a split: how even its parts are."""

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
        kind: Kind of the feature.
        name: Name of the label, site, scanner or modality.
        cases: Number of cases with the feature.
        percent: Their share of the cases with a known feature; None if there are no such cases.
        gap: Largest difference of a part from all cases, in percentage points: of its share, or for volumes of its
            median's percentile among all volumes from the 50th, times its share with the label.
        worst: Name of the part with that difference.
        mean_ml: Mean volume over cases with the label; only for the kind `volume`.
        quartiles_ml: 25th, 50th and 75th percentile of the volume; only for the kind `volume`.
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
    """The table of features by parts that a split is assessed by.

    Attributes:
        columns: `all`, then the folds, then `test` if there is a test set.
        patients: Number of patients in each column.
        cases: Number of cases in each column.
        rows: One row per feature, the most unbalanced of each kind first.
    """

    columns: tuple[str, ...]
    patients: tuple[int, ...]
    cases: tuple[int, ...]
    rows: tuple[BalanceRow, ...]

    @property
    def largest(self) -> BalanceRow | None:
        """The most unbalanced feature; None if there are no features."""
        return max(self.rows, key=lambda row: row.gap, default=None)


def measure_balance(table: CaseTable, part_of: dict[str, str]) -> Balance:
    """Count every feature in every part.

    Args:
        table: Cases of the manifest.
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
    """Rows of the counts of cases by column and name, `(C, names)`, out of the known cases, `(C,)`."""
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
    """Percentile of a value among others, with ties in the middle."""
    below, up_to = np.searchsorted(ordered, value, "left"), np.searchsorted(ordered, value, "right")
    return float(50.0 * (below + up_to) / len(ordered))


def _quartiles(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    low, median, high = np.percentile(values, [25, 50, 75])
    return float(low), float(median), float(high)


def _largest_gap(percent: Numbers, columns: tuple[str, ...]) -> tuple[float, str]:
    """The largest difference from the first column, and the name of the part with it."""
    reference = percent[0]
    gaps = [
        (abs(value - reference), name)
        for value, name in zip(percent[1:], columns[1:], strict=True)
        if value is not None and reference is not None
    ]
    return max(gaps, key=lambda item: item[0], default=(0.0, columns[-1]))
