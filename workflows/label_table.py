"""The labels of a plan's training cases as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medseg.planning import DatasetProfile, LabelProfile

MOST_ROWS = 20
_MOST_NEIGHBOURS = 3
_HEADINGS = ("label", "cases", "median", "components", "ceiling", "neighbours")


def label_lines(profile: DatasetProfile, ceiling: dict[str, float]) -> list[str]:
    """A table of the labels; of many, those that are in the fewest cases and lose most on the grid.

    Args:
        profile: Profile of the training cases.
        ceiling: Dice of each label that is taken to the network's grid and back.
    """
    names = list(profile.labels)
    if len(names) > MOST_ROWS:
        by_need = sorted(names, key=lambda name: (profile.labels[name].cases, ceiling.get(name, 1.0)))
        names = [name for name in names if name in set(by_need[:MOST_ROWS])]
    rows = [_HEADINGS, *(_row(name, profile.labels[name], profile.cases, ceiling.get(name)) for name in names)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if len(names) < len(profile.labels):
        lines.append(f"and {len(profile.labels) - len(names)} more labels, which stand in the plan")
    if profile.structured_cases < profile.cases:
        lines.append(f"components and neighbours are of {profile.structured_cases} of the cases")
    if profile.body_share is not None:
        lines.append(f"the body's box takes {profile.body_share:.0%} of the scans")
    return lines


def _row(name: str, label: LabelProfile, cases: int, ceiling: float | None) -> tuple[str, ...]:
    size = f"{label.median_ml:.3g} mL" if label.median_ml is not None else "-"
    if label.median_pixels is not None:
        size = f"{label.median_pixels:.0f} px²"
    neighbours = ", ".join(label.neighbours[:_MOST_NEIGHBOURS])
    if len(label.neighbours) > _MOST_NEIGHBOURS:
        neighbours += f" and {len(label.neighbours) - _MOST_NEIGHBOURS} more"
    components = "-" if label.components is None else f"{label.components:g}"
    return (
        name,
        f"{label.cases} of {cases}",
        size,
        components,
        "-" if ceiling is None else f"{ceiling:.3f}",
        neighbours or "-",
    )
