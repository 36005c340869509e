"""Classes of slices or studies from a CSV file."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.errors import ManifestError, ScanError
from medseg.preprocess.classification.prepare import StoredSlices
from medseg.preprocess.classification.targets import SliceTargets
from medseg.records import Case
from medseg.targets import UNKNOWN, ClassKind

_WORDS = {"1": 1, "0": 0, "true": 1, "false": 0, "yes": 1, "no": 0, "": UNKNOWN, "?": UNKNOWN}
_NO_NAME = {"", "?"}


@dataclass(frozen=True, slots=True)
class TargetTable:
    """A CSV file as rows.

    Attributes:
        classes: Names of the classes, ordered as their columns, or by name where one column names the class.
        kind: `multiclass` where one column names the class, else `multilabel`.
        has_slices: Whether rows are about slices; otherwise about whole cases.
        rows: One value per class, by case and by slice along the scan's own array (-1 for the whole case).
    """

    classes: tuple[str, ...]
    kind: ClassKind
    has_slices: bool
    rows: dict[str, dict[int, tuple[int, ...]]]

    def read(self, stored: StoredSlices, case: Case) -> SliceTargets:
        """The truth about a case; slices without a row are unknown.

        Raises:
            ScanError: If the file has no row of the case, or names a slice that the case does not have.
        """
        given = self.rows.get(case.case_id)
        if given is None:
            raise ScanError(
                "must have a row in the CSV file of classes, got none", remedy="add it", case_id=case.case_id
            )
        truth = np.full((len(stored), len(self.classes)), UNKNOWN, dtype=np.int8)
        if not self.has_slices:
            return SliceTargets(truth, np.array(given[-1], dtype=np.int8))
        for index, values in given.items():
            if not 0 <= index < len(stored):
                raise ScanError(
                    f"slices must be numbered 0 to {len(stored) - 1} along the array's axis {stored.axis}, got {index}",
                    remedy="check the plane and whether the file counts from 1",
                    case_id=case.case_id,
                )
            truth[index] = values
        return SliceTargets(stored.in_scan_order(truth), _study(truth))


def read_target_table(path: Path) -> TargetTable:
    """Read `case_id`, perhaps `slice` (from 0, along the scan's own array), and either `class` or a column per class.

    Values are 1/0, true/false or yes/no; blank or `?` is unknown.

    Raises:
        ManifestError: If a column or value is missing or wrong, or a row stands there twice.
    """
    columns, lines = _read_lines(path)
    _check_columns(columns, path)
    values = [name for name in columns if name not in ("case_id", "slice")]
    is_named = values == ["class"]
    classes = _named_classes(lines, path) if is_named else tuple(values)
    rows: dict[str, dict[int, tuple[int, ...]]] = defaultdict(dict)
    for number, line in enumerate(lines, start=2):
        where = f"classes {path.name}, line {number}"
        index = _index(line["slice"], where) if "slice" in columns else -1
        if index in rows[line["case_id"]]:
            raise ManifestError(f"{where}: a case{' and slice' if index >= 0 else ''} must come once, got it twice")
        rows[line["case_id"]][index] = _values(line, classes, where, is_named=is_named)
    if not rows:
        raise ManifestError(f"classes {path.name}: must have a row for each case, got none")
    return TargetTable(classes, "multiclass" if is_named else "multilabel", "slice" in columns, dict(rows))


def _read_lines(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Column names and lines, without surrounding spaces."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            lines = list(reader)
            columns = [name.strip() for name in reader.fieldnames or []]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(
            f"classes {path.name}: must be a CSV file in UTF-8 with commas, got {error}", remedy="export it so"
        ) from error
    if any(None in line or None in line.values() for line in lines):
        raise ManifestError(f"classes {path.name}: every line must have {len(columns)} cells, got more or fewer in one")
    return columns, [{key.strip(): value.strip() for key, value in line.items()} for line in lines]


def _check_columns(columns: list[str], path: Path) -> None:
    if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
        raise ManifestError(
            f"classes {path.name}: columns must be separated by commas, got {columns[0]!r}", remedy="export it so"
        )
    if "case_id" not in columns or not set(columns) - {"case_id", "slice"}:
        raise ManifestError(
            f"classes {path.name}: must have a column case_id and a column class or one per class, got {columns}"
        )
    if "" in columns:
        raise ManifestError(
            f"classes {path.name}: every column must have a name, got none for column {columns.index('') + 1}",
            remedy="name it or take it out",
        )
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice:
        raise ManifestError(f"classes {path.name}: columns must have different names, got {twice} twice")


def _named_classes(lines: list[dict[str, str]], path: Path) -> tuple[str, ...]:
    """The classes that a column `class` names."""
    found = tuple(sorted({line["class"] for line in lines} - _NO_NAME))
    if lines and len(found) < 2:
        raise ManifestError(
            f"classes {path.name}: column class must name at least two classes, got {', '.join(found) or 'none'}",
            remedy="give a column per class of 1 and 0 instead",
        )
    return found


def _index(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ManifestError(f"{where}: slice must be a whole number from 0, got {text!r}")
    return int(text)


def _values(line: dict[str, str], classes: tuple[str, ...], where: str, *, is_named: bool) -> tuple[int, ...]:
    if is_named:
        return tuple(UNKNOWN if line["class"] in _NO_NAME else int(line["class"] == name) for name in classes)
    wrong = [line[name] for name in classes if line[name].lower() not in _WORDS]
    if wrong:
        raise ManifestError(f"{where}: classes must hold 1, 0 or nothing, got {wrong[0]!r}")
    return tuple(_WORDS[line[name].lower()] for name in classes)


def _study(truth: np.ndarray) -> np.ndarray:
    """1 where any slice shows the class, 0 where no slice shows it and all are known, else unknown."""
    absent = (truth == 0).all(axis=0)
    return np.where((truth == 1).any(axis=0), 1, np.where(absent, 0, UNKNOWN)).astype(np.int8)
