"""The cards of cases on the page of an audit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from medseg.audit import SEVERITIES, Audit, Finding
from medseg.audit.facts import CaseFacts, LabelFacts, QuantityFacts
from medseg.audit.plain import plain
from medseg.delivery.pictures import embedded_jpeg
from medseg.records import Case

_LABELS = 8


def case_cards(audit: Audit) -> list[dict[str, Any]]:
    """One card for each case that is shown."""
    by_case: dict[str, list[Finding]] = defaultdict(list)
    for found in audit.findings:
        for case_id in dict.fromkeys((found.case_id, *found.others)):
            if case_id is not None:
                by_case[case_id].append(found)
    facts_of = {facts.case_id: facts for facts in audit.cases}
    units = {name: quantity.unit for name, quantity in (audit.manifest.quantities or {}).items()}
    return [_card(facts_of[case_id], by_case[case_id], units) for case_id in audit.shown]


def _card(facts: CaseFacts, findings: list[Finding], units: Mapping[str, str]) -> dict[str, Any]:
    case = facts.case
    own = [found for found in findings if found.case_id == case.case_id]
    return {
        "case_id": case.case_id,
        "patient_id": case.patient_id,
        "place": case.split if case.fold is None else f"{case.split}, fold {case.fold}",
        "extra": ", ".join(part for part in (case.modality, case.site, case.scanner, case.sex, _age(case)) if part),
        "worst": min((found.severity for found in own), key=SEVERITIES.index, default="clean"),
        "findings": own,
        "mentioned": [found for found in findings if found.case_id not in (case.case_id, None)],
        "grid": _grid(facts),
        "annotated": _annotated(facts),
        "labels": [
            *((name, _range(found, units[name])) for name, found in facts.quantities.items()),
            *((name, _size(found)) for name, found in list(facts.labels.items())[:_LABELS]),
        ],
        "more_labels": max(0, len(facts.labels) - _LABELS),
        "has_label": case.has_reference or bool(case.quantities),
        "planes": [
            {
                "name": plane.name,
                "source": embedded_jpeg(plane.jpeg),
                "size": plane.size,
                "letters": plane.letters,
            }
            for plane in facts.planes
        ],
    }


def _age(case: Case) -> str:
    return "" if case.age_years is None else f"{case.age_years:g} years"


def _annotated(facts: CaseFacts) -> str:
    """What is annotated for a person; nothing where all of it is."""
    names = facts.case.annotated_labels
    parts = [] if facts.annotated_share is None else [f"{facts.annotated_share:.3%} of the voxels annotated"]
    return ", ".join([*parts, *([f"annotated: {', '.join(names)}"] if names else [])])


def _grid(facts: CaseFacts) -> str:
    """Shape, spacing and orientation for a person."""
    if facts.geometry is None:
        return "no image that could be read"
    if facts.is_picture:
        return "{} × {} pixels".format(*facts.geometry.shape)
    shape = " × ".join(map(str, facts.geometry.shape))
    spacing = " × ".join(f"{size:.3g}" for size in facts.geometry.spacing_mm)
    return f"{shape} voxels of {spacing} mm, {facts.geometry.axcodes}"


def _size(found: LabelFacts) -> str:
    return f"{plain(found.ml)} ml" if found.ml else f"{found.voxels:,} px"


def _range(found: QuantityFacts, unit: str) -> str:
    """Lowest and highest value, and what is not known."""
    text = f"{plain(found.values.low)} to {plain(found.values.high)} {unit}"
    return f"{text}, {found.unknown_share:.1%} not known" if found.unknown_share else text
