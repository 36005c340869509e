"""The raters of an evaluated dataset: how they agree, and the model beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medseg.delivery.report import Block, Row, Table, Text, Value
from medseg.evaluation.segmentation import as_text
from medseg.runs.report.plain import count
from medseg.runs.report.results import number
from medseg.runs.report.second_reader import VERDICTS, difference, failed_readings
from medseg.runs.report.structures import structure_tables

_VERDICTS = VERDICTS | {"first": "the raters agree better with each other, beyond chance"}


def raters(content: Mapping[str, Any]) -> Iterator[Block]:
    """The labels of several raters against each other, and the model against each; nothing where there are none.

    Args:
        content: What `summary.json` of the evaluation holds.

    Raises:
        KeyError: If a part is missing.
    """
    found = content.get("raters")
    if not found:
        return
    if found["between_raters"]["structures"]:
        yield structure_tables(found["between_raters"] | {"cases": found["cases"]}, "The raters with each other")[0]
        pairs = "The pairs of raters of a case are averaged first, then the cases."
        yield Text(f"{count(found['cases'], 'case')} of several raters. {pairs}", "note")
    yield from failed_readings(found["failures"], "The raters")
    against = found.get("model_against_raters")
    if against:
        yield _against(against, {entry["structure"]: entry for entry in found["within_spread"]})
    for name, one in found.get("model_with_raters", {}).items():
        yield structure_tables(one, f"The model against rater {name}")[0]


def _against(pairs: Sequence[Mapping[str, Any]], spread: Mapping[str, Mapping[str, Any]]) -> Table:
    """Dice of the raters with each other and of the model with them, and how often it is within their spread."""
    rows = []
    for pair in pairs:
        entry, metric = spread[pair["structure"]], pair["metric"]
        each_other, model = (as_text(metric, number(pair[name]), 4) for name in ("first", "second"))
        index = number(entry["index"])
        within = Value(f"{entry['within']} of {entry['cases']}", f"index {index:.3f}" if index == index else "")
        cells = (pair["structure"], _VERDICTS[pair["verdict"]], each_other, model, difference(pair), within)
        rows.append(Row(cells))
    columns = ("Structure", "Verdict", "Raters", "Model", "Difference", "Within the spread")
    note = (
        "Mean Dice of the raters with each other and of the model with them; the difference is that of the model, with "
        "its 95 % interval. Within the spread are cases in which the model agrees with the raters at least as well as "
        "the one who agrees least with the others; the index is Williams', 1 where the model agrees as they do."
    )
    return Table("The model against the raters", columns, rows, words=2, note=note)
