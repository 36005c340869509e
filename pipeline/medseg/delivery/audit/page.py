"""audit.html: findings, charts of the cohort and pictures of the cases; scripts only filter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from medseg.atomic import write_text
from medseg.audit import CHECKS, SEVERITIES, Audit, Finding, Fix
from medseg.delivery.audit.cards import case_cards
from medseg.delivery.audit.distributions import distributions
from medseg.delivery.audit.rater_table import rater_table
from medseg.delivery.pages import fill_page
from medseg.evaluation.segmentation import RaterAgreement
from medseg.records import Manifest, Split
from medseg.terms import hex_code, structure_colours

ROWS = 1000


def save_audit_page(
    audit: Audit, path: Path, *, fixes: Sequence[Fix] = (), raters: RaterAgreement | None = None
) -> None:
    """Write the page of an audit, without any folder of this machine.

    Args:
        audit: Audit to show.
        path: Target file.
        fixes: Repairs from `fix_dataset`.
        raters: Agreement of several raters; None where no case has any.

    Raises:
        DeliveryError: If the file cannot be written.
    """
    write_text(path, render_page(audit, fixes, raters))


def render_page(audit: Audit, fixes: Sequence[Fix] = (), raters: RaterAgreement | None = None) -> str:
    """The page as HTML text, self-contained.

    Args:
        audit: Audit to show.
        fixes: Repairs from `fix_dataset`.
        raters: Agreement of several raters; None where no case has any.
    """
    manifest = audit.manifest
    anchors = {case_id: f"case-{number}" for number, case_id in enumerate(audit.shown)}
    return fill_page(
        "audit/templates/page.html.jinja",
        manifest=manifest,
        tiles=_tiles(audit),
        counts={severity: audit.count(severity) for severity in SEVERITIES},
        checks=_checks(audit.findings),
        findings=audit.findings[:ROWS],
        left_out=max(0, len(audit.findings) - ROWS),
        fixes=[fix for fix in fixes if fix.is_done][:ROWS],
        fixes_left=sum(not fix.is_done for fix in fixes),
        anchors=anchors,
        raters=rater_table(raters) if raters is not None else None,
        groups=distributions(audit),
        cards=case_cards(audit),
        total=len(audit.cases),
        legend=[(name, hex_code(colour)) for name, colour in structure_colours(manifest.foreground).items()],
    )


def _tiles(audit: Audit) -> list[tuple[str, str]]:
    """Numbers at the top of the page, each with a caption."""
    manifest = audit.manifest
    folds = len({case.fold for case in manifest.select("training") if case.fold is not None})
    patients = len({case.patient_id for case in manifest.cases})
    training, test = (len(manifest.select(split)) for split in get_args(Split))
    return [
        (f"{len(manifest.cases):,}", _counted(len(manifest.cases), "case")),
        (f"{patients:,}", _counted(patients, "patient")) if manifest.has_patients else ("?", "patients, no ids given"),
        (f"{training:,}", "for training, " + (f"{folds} {_counted(folds, 'fold')}" if folds else "no folds yet")),
        (f"{test:,}", "for testing"),
        *_quantity_tile(manifest),
        (f"{len(manifest.foreground)}", _counted(len(manifest.foreground), "label")),
        (f"{len(manifest.channels)}", f"{_counted(len(manifest.channels), 'channel')}: {', '.join(manifest.channels)}"),
    ]


def _quantity_tile(manifest: Manifest) -> list[tuple[str, str]]:
    """Number of the quantities, with their units, where there are any."""
    units = [f"{name} in {quantity.unit}" for name, quantity in (manifest.quantities or {}).items()]
    return (
        [(f"{len(units)}", f"{'quantity' if len(units) == 1 else 'quantities'}: {', '.join(units)}")] if units else []
    )


def _counted(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


def _checks(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One row for each check with findings, in the order of the findings."""
    counts = Counter((found.check, found.severity) for found in findings)
    cases = Counter(check for check, _ in {(found.check, found.case_id) for found in findings if found.case_id})
    return [
        {
            "name": check,
            "meaning": CHECKS.get(check, ""),
            "cases": cases[check],
            "counts": [(severity, counts[check, severity]) for severity in SEVERITIES],
            "is_fixable": any(found.check == check and found.is_fixable for found in findings),
        }
        for check in dict.fromkeys(found.check for found in findings)
    ]
