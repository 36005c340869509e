"""Single cases of a result: those that failed, those that went worst, and their pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medseg.delivery.report import Block, Bullets, Row, Table, Text
from medseg.evaluation.segmentation import ranked_cases
from medseg.records import CaseMetrics
from medseg.runs.report.pictures import gallery
from medseg.runs.report.plain import count, without_folders

_WORST = 6
_MOST_FAILURES = 20
_ORDER = ("worst", "median", "best")


def failed_cases(failures: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    """The cases that failed with their reasons, in which no folder of this machine stands."""
    if not failures:
        yield Text("No case failed.")
        return
    verb = "is" if len(failures) == 1 else "are"
    yield Text(f"{count(len(failures), 'case')} failed and {verb} in no number:", "warning")
    lines = [without_folders(str(failure["reason"])) for failure in failures[:_MOST_FAILURES]]
    more = len(failures) - len(lines)
    yield Bullets([*lines, *([f"and {more} more"] if more else [])])


def failed_limits(failures: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    """A sentence about the cases of an evaluation that failed; none without any."""
    return (
        [f"{count(len(failures), 'case')} of the evaluation {name} failed and were not measured."] if failures else []
    )


def worst_cases(rows: Sequence[CaseMetrics]) -> Iterator[Block]:
    """Dice of the cases that went worst: of every structure, or of the worst one where there are many.

    Args:
        rows: Metrics per case and structure.

    Raises:
        KeyError: If a row has no Dice.
    """
    ranked = ranked_cases(rows)[:_WORST]
    if not ranked:
        return
    values = {(row.case_id, row.label): row.values["dice"] for row in rows if row.values["dice"] == row.values["dice"]}
    labels = list(dict.fromkeys(row.label for row in rows))
    columns = labels if len(labels) <= _WORST else ["Worst structure"]
    lines = []
    for case_id, mean in ranked:
        found = {label: values[case_id, label] for label in labels if (case_id, label) in values}
        cells = [f"{found[label]:.4f}" if label in found else "" for label in labels]
        if columns is not labels:
            name = min(found, key=lambda label: found[label])
            cells = [f"{name} {found[name]:.4f}"]
        lines.append(Row((case_id, f"{mean:.4f}", *cells)))
    yield Table("Cases that went worst", ("Case", "Mean Dice", *columns), lines)


def case_pictures(folder: Path) -> Iterator[Block]:
    """Pictures of the cases that represent the masks, the worst first."""
    title = "Reference and mask of the cases that represent them"
    paths = sorted(folder.glob("*.png"), key=_rank)
    yield from gallery(title, paths, _caption, none="There are no pictures of the cases.")


def _rank(path: Path) -> tuple[int, int, str]:
    """The worst cases by their number, then the median and the best."""
    word, place = _place(path)
    return (_ORDER.index(word) if word in _ORDER else len(_ORDER), int(place or 1), path.name)


def _caption(path: Path) -> str:
    """`worst2_a` as `Worst 2: a`, and `worst-Liver_a` as `Worst of Liver: a`."""
    name, _, case_id = path.stem.partition("_")
    _, is_of_structure, structure = name.partition("worst-")
    title = f"Worst of {structure}" if is_of_structure else " ".join(_place(path)).strip().capitalize()
    return f"{title}: {case_id}"


def _place(path: Path) -> tuple[str, str]:
    """Word and number before the case's id, such as `worst` and `2`."""
    name = path.stem.partition("_")[0]
    word = name.rstrip("0123456789")
    return word, name[len(word) :]
