"""The plan of a run: settings with their reasons, and what was expected of them beside what came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from medseg.delivery.report import Block, Facts, Row, Section, Table, Text
from medseg.planning import Plan, SlicePlan
from medseg.planning.expectation import Expectation
from medseg.runs.report.plain import memory_text, seconds_text, setting_text, without_folders
from medseg.runs.report.source import ReportSource, read_columns

_NO_SETTINGS = ("reasons", "dataset", "expected", "fingerprint")
_UNKNOWN = "not recorded"
_MOST_CEILINGS = 12


def plan_section(source: ReportSource) -> Section:
    """Every setting with a reason, the others folded, and the expectation beside what came."""
    plan = source.plan
    if plan is None:
        return Section("Plan", [Text(f"No plan can be shown: {source.missing['plan.yaml']}.", "missing")])
    settings = _settings(plan)
    reasons = dict(plan.reasons)
    rows = [
        Row((name, setting_text(settings[name]) if name in settings else "", without_folders(reason)))
        for name, reason in sorted(reasons.items(), key=lambda item: _place(item[0], settings))
    ]
    blocks: list[Block] = []
    if rows:
        columns = ("Setting", "Value", "Reason")
        blocks.append(Table("Settings and their reasons", columns, rows, words=3))
    else:
        blocks.append(Text("plan.yaml holds no reasons.", "missing"))
    others = [Row((name, setting_text(value))) for name, value in settings.items() if name not in reasons]
    title = f"{len(others)} other settings, as they stand in plan.yaml"
    blocks.append(Table(title, ("Setting", "Value"), others, words=2, is_folded=True))
    if isinstance(plan, Plan):
        blocks += _expectation(plan, source)
    return Section("Plan", blocks)


def _settings(plan: Plan | SlicePlan) -> dict[str, Any]:
    """Values by their dotted names."""
    content = plan.model_dump(mode="json", exclude=set(_NO_SETTINGS))
    return {f"{section}.{key}": value for section, values in content.items() for key, value in values.items()}


def _place(name: str, settings: dict[str, Any]) -> int:
    names = list(settings)
    return names.index(name) if name in settings else len(names)


def _expectation(plan: Plan, source: ReportSource) -> Iterator[Block]:
    expected = plan.expected
    if expected is None:
        text = "plan.yaml holds no expectation: the plan was not made for a budget, or was changed."
        yield Text(text, "missing")
        return
    columns, _ = read_columns(source.folder.curves)
    steps = f"{columns['step'][-1]:,.0f}" if columns else _UNKNOWN
    seconds = seconds_text(columns["elapsed_seconds"][-1]) if columns and "elapsed_seconds" in columns else _UNKNOWN
    rows = [
        Row(("Steps", f"{expected.steps:,}", steps)),
        Row(("Time of the training", seconds_text(expected.seconds), seconds)),
        Row(("Time of a step", seconds_text(expected.step_seconds), _UNKNOWN)),
        Row(("Peak memory", memory_text(expected.memory_bytes), _UNKNOWN)),
        Row(
            (
                f"Views of each part of a {'picture' if source.is_flat else 'scan'}",
                f"{expected.views_per_scan:g}",
                _UNKNOWN,
            )
        ),
    ]
    if expected.shortfall is not None:
        rows.append(
            Row(("Dice lost to the grid and to what is not yet learned", f"{expected.shortfall:.4f}", _UNKNOWN))
        )
    yield Table("Expected and reached", ("Quantity", "Expected", "Reached"), rows, note=f"On {expected.device}.")
    yield from _ceilings(expected)
    if expected.outlook:
        yield _outlook(expected, scan="picture" if source.is_flat else "scan")


def _outlook(expected: Expectation, *, scan: str) -> Table:
    """A row per budget; without a column of grids where none has a size in mm."""
    has_grid = any(one.spacing_mm for one in expected.outlook)
    columns = (
        "Budget",
        "Steps",
        f"Views per {scan}",
        *(["Grid in mm"] if has_grid else []),
        "Dice expected to be lost",
    )
    rows = []
    for one in expected.outlook:
        grid = setting_text([float(f"{mm:.3g}") for mm in one.spacing_mm]) if one.spacing_mm else ""
        lost = "" if one.shortfall is None else f"{one.shortfall:.4f}"
        cells = (one.budget, f"{one.steps:,}", f"{one.views_per_scan:g}", *([grid] if has_grid else []), lost)
        rows.append(Row(cells))
    return Table("What more time would buy", columns, rows)


def _ceilings(expected: Expectation) -> Iterator[Block]:
    if expected.ceiling:
        ordered = sorted(expected.ceiling.items(), key=lambda item: item[1])[:_MOST_CEILINGS]
        more = len(expected.ceiling) - len(ordered)
        which = f"for the {len(ordered)} lowest labels, {more} more stand in plan.yaml" if more else "label by label"
        yield Text(f"Dice that a network without errors would reach on the grid of the plan, {which}:", "note")
        yield Facts({name: f"{dice:.4f}" for name, dice in ordered})
