"""What a run that updates another forgot and gained, as its last validation holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medseg.delivery.report import Block, Facts, Row, Section, Table, Text, Value
from medseg.errors import CheckpointError
from medseg.evaluation.segmentation import as_text, signed_text
from medseg.runs.report.plain import count
from medseg.runs.report.results import number
from medseg.runs.report.source import ReportSource, read_json
from medseg.runs.segmentation.update.record import UpdateRecord, load_update

_TITLE = "Update of an earlier run"
_GROUPS = {"old": "Old validation cases", "new": "New and corrected validation cases"}


def update_sections(source: ReportSource) -> list[Section]:
    """The cases of an update and its changes; none for a run that updates no other."""
    try:
        record = load_update(source.folder.update)
    except CheckpointError:
        return [Section(_TITLE, [Text("The update cannot be shown: update.json is damaged.", "missing")])]
    if record is None:
        return []
    content, _ = read_json(source.folder.validation.with_suffix(".json"))
    blocks: list[Block] = [Facts(_facts(record)), *(Text(one, "warning") for one in record.warnings)]
    try:
        blocks += list(_changes((content or {}).get("update") or {}))
    except (KeyError, TypeError, ValueError, AttributeError):
        blocks.append(Text("The changes cannot be shown: validation.json is damaged.", "missing"))
    return [Section(_TITLE, blocks)]


def _facts(record: UpdateRecord) -> dict[str, str]:
    return {
        "Training cases": str(record.training),
        "Validation cases": str(record.validation),
        "Cases of the earlier run that are gone": str(len(record.gone)),
        "Patches of new and corrected cases": f"{record.fresh_share:.0%}",
        "Cases are known by": "digests of their voxels" if record.has_digests else "their ids alone",
    }


def _changes(groups: Mapping[str, Any]) -> Iterator[Block]:
    if groups.get("labels_drawn_by_earlier"):
        drawn = count(groups["labels_drawn_by_earlier"], "validation case")
        yield Text(
            f"{drawn} with labels that the earlier weights drew, which would flatter them, do not enter.", "note"
        )
    for name, title in _GROUPS.items():
        if name not in groups:
            yield Text(f"{title}: none can be compared.", "missing")
            continue
        group = groups[name]
        changes = group["changes"]
        lost = [entry["structure"] for entry in changes if entry["is_forgotten"]]
        if name == "old" and lost:
            yield Text(f"The update forgot on the old validation cases: {', '.join(lost)}.", "warning")
        margin = f" A loss of {number(group['margin']):g} is accepted." if name == "old" else ""
        yield Table(
            f"{title}, {count(group['cases'], 'case')}",
            ("Structure", "Dice before", "Dice now", "Change", "Patients"),
            [_row(entry, name) for entry in changes],
            note="The earlier and the new weights on the same cases; a structure that is absent and rightly not drawn "
            f"counts 1. Changes with 95 % intervals over patients.{margin}",
        )


def _row(entry: Mapping[str, Any], group: str) -> Row:
    metric = entry["metric"]
    before, after = (as_text(metric, number(entry[name]), 4) for name in ("first", "second"))
    low, high = number(entry["low"]), number(entry["high"])
    ends = f"{signed_text(metric, low)} to {signed_text(metric, high)}" if low == low else "too few patients"
    cells = (entry["structure"], before, after, Value(signed_text(metric, number(entry["difference"])), ends))
    return Row((*cells, str(entry["patients"])), mark="forgotten" if group == "old" and entry["is_forgotten"] else "")
