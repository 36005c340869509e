"""Risks and doubts that the ingest recorded, and risks that the pixels show, as findings of an audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medseg.audit.finding import Finding
from medseg.disclosure import MESSAGES, seen_risks
from medseg.records import Case, Scan


def read_risks(folder: Path) -> list[Finding]:
    """The risks, and the patients of doubtful ids, that `ingest.json` in a dataset's folder lists, each a warning."""
    path = folder / "ingest.json"
    if not path.is_file():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        doubts = [one for one in content.get("warnings", []) if one["warning"] == "shared_id"]
        return [*(_doubt(doubt) for doubt in doubts), *(_finding(risk) for risk in content.get("risks", []))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        fact = f"ingest.json must list risks with case_id, risk and message, got a problem at {type(error).__name__}"
        return [Finding("risk", "warning", None, fact, "run medseg ingest again")]


def check_disclosed(case: Case, image: Scan, *, is_picture: bool) -> list[Finding]:
    """Findings on text and faces in the pixels, in the words of the ingest, so that both are one finding."""
    kinds = seen_risks(image.array, image.geometry, is_picture=is_picture, modality=case.modality)
    return [_finding({"case_id": case.case_id, "risk": kind, "message": MESSAGES[kind]}) for kind in kinds]


def _doubt(doubt: dict[str, Any]) -> Finding:
    fact, _, remedy = str(doubt["message"]).partition("; ")
    return Finding("shared_id", "warning", None, fact, remedy)


def _finding(risk: dict[str, Any]) -> Finding:
    fact, _, remedy = str(risk["message"]).rpartition("; ")
    kind = str(risk["risk"]).replace("_", " ")
    return Finding(
        "risk",
        "warning",
        risk.get("case_id"),
        f"{kind}: {fact or remedy}",
        remedy if fact else "settle it before the data leave the building",
    )
