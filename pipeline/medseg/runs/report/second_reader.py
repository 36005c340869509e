"""The second reader of an evaluation: the readers' agreement, and the model beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medseg.delivery.report import Block, Bullets, Row, Table, Text, Value
from medseg.evaluation.segmentation import as_text, signed_text
from medseg.runs.report.plain import count, without_folders
from medseg.runs.report.results import number
from medseg.runs.report.structures import structure_tables

_MOST_FAILURES = 20
VERDICTS = {
    "first": "the second reader is better beyond chance",
    "second": "the model is better beyond chance",
    "different": "different beyond chance",
    "equal": "equal in every case",
    "neither": "may be chance",
    "unknown": "too few patients to tell it from chance",
}


def second_reader(content: Mapping[str, Any]) -> Iterator[Block]:
    """The labels of a second reader, measured as the masks are; nothing where none was given.

    Args:
        content: What `summary.json` of the evaluation holds.

    Raises:
        KeyError: If a part is missing.
    """
    found = content.get("inter_rater")
    if not found:
        return
    if not found["structures"]:
        yield Text("A second reader was given, and none of the labels could be measured.", "warning")
    else:
        yield structure_tables(found, "A second reader, measured likewise")[0]
        yield Text(_coverage(found), "note")
    yield from failed_readings(found["failures"], "The second reading")
    pairs = found["model_against_reader"]
    if pairs:
        yield _against(pairs)
    else:
        yield Text("The model was not held against the second reader: no case has a number of both.", "missing")


def _coverage(found: Mapping[str, Any]) -> str:
    without = len(found["without_reading"])
    measured = f"The second reader's labels of {count(found['cases'], 'case')} were measured"
    return f"{measured}; {count(without, 'case')} without a second reading." if without else f"{measured}."


def failed_readings(failures: Sequence[Mapping[str, Any]], what: str) -> Iterator[Block]:
    """Readings that could not be measured, with the reasons.

    Args:
        failures: Failures as `summary.json` lists them.
        what: Name of the readings at the beginning of the sentence.
    """
    if not failures:
        return
    yield Text(f"{what} of {count(len(failures), 'case')} could not be measured:", "warning")
    more = len(failures) - _MOST_FAILURES
    lines = [without_folders(str(failure["reason"])) for failure in failures[:_MOST_FAILURES]]
    yield Bullets([*lines, *([f"and {more} more"] if more > 0 else [])])


def _against(pairs: Sequence[Mapping[str, Any]]) -> Table:
    """Dice of the second reader and of the model on the cases that both have, with what chance would do."""
    rows = []
    for pair in pairs:
        metric = pair["metric"]
        reader, model = (as_text(metric, number(pair[name]), 4) for name in ("first", "second"))
        left_out = f"{pair['undefined_in_one']} with a number in one alone" if pair["undefined_in_one"] else ""
        verdict = VERDICTS[pair["verdict"]]
        cells = (pair["structure"], verdict, reader, model, difference(pair), Value(str(pair["cases"]), left_out))
        rows.append(Row(cells))
    columns = ("Structure", "Verdict", "Second reader", "Model", "Difference", "Cases")
    note = "Dice on the cases that both have; the difference is that of the model, with its 95 % interval."
    return Table("The model against the second reader", columns, rows, words=2, note=note)


def difference(pair: Mapping[str, Any]) -> Value:
    """Difference of a paired comparison with its interval."""
    metric, low, high = pair["metric"], number(pair["low"]), number(pair["high"])
    interval = f"{signed_text(metric, low)} to {signed_text(metric, high)}" if low == low else ""
    return Value(signed_text(metric, number(pair["difference"])), interval)
