"""audit.json: every finding, fact and repair."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from medseg.atomic import finite, write_text
from medseg.audit.audit import Audit
from medseg.audit.facts import CaseFacts
from medseg.audit.finding import SEVERITIES, Finding
from medseg.audit.fix import Fix
from medseg.audit.image_hash import hash_text, image_hash
from medseg.manifest.digest import manifest_digest

FORMAT = 1


def write_audit(
    audit: Audit, folder: Path, *, fixes: Sequence[Fix] = (), raters: Mapping[str, Any] | None = None
) -> Path:
    """Write `audit.json`, without any folder of this machine.

    Args:
        audit: Audit to write.
        folder: Target folder, created if missing.
        fixes: Repairs from `fix_dataset`.
        raters: Agreement of several raters; None where no case has any.

    Returns:
        Path of the file.

    Raises:
        DeliveryError: If the folder cannot be written to.
    """
    path = folder / "audit.json"
    write_text(path, _text(audit, fixes, raters))
    return path


def _text(audit: Audit, fixes: Sequence[Fix], raters: Mapping[str, Any] | None) -> str:
    """The report as JSON, a line for each finding, fix and case: 100,000 cases fit on a disk and in an editor."""
    manifest = audit.manifest
    head = {
        "format": FORMAT,
        "dataset": {"name": manifest.name, "version": manifest.version, "digest": manifest_digest(manifest)},
        "verdict": "errors" if audit.count("error") else "clean",
        "counts": {"cases": len(audit.cases), **{f"{name}s": audit.count(name) for name in SEVERITIES}},
    }
    head |= {"raters": finite(raters)} if raters is not None else {}
    lists = {
        "findings": [_line(_finding(found)) for found in audit.findings],
        "fixes": [_line(_fields(fix)) for fix in fixes],
        "cases": [_line(_case(facts)) for facts in audit.cases],
    }
    parts = [f'"{key}": {_line(value)}' for key, value in head.items()]
    between = ",\n"
    parts += [f'"{key}": [\n{between.join(lines)}\n]' for key, lines in lists.items()]
    return f"{{\n{between.join(parts)}\n}}\n"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _fields(record: Any) -> dict[str, Any]:
    """The fields of a flat record, numbers to six digits."""
    return {field.name: _short(getattr(record, field.name)) for field in fields(record)}


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return [_short(item) for item in value] if isinstance(value, tuple) else value


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "check": found.check,
        "severity": found.severity,
        "case_id": found.case_id,
        "message": found.message,
        "remedy": found.remedy,
        "others": found.others,
        "is_fixable": found.is_fixable,
    }


def _case(facts: CaseFacts) -> dict[str, Any]:
    case, grid = facts.case, facts.geometry
    return {
        "case_id": case.case_id,
        "patient_id": case.patient_id,
        "split": case.split,
        "fold": case.fold,
        "sha256": {
            name: found for file in (*facts.files, *facts.quantity_files) for name, found in file.sha256.items()
        },
        "shape": grid.shape if grid else None,
        "spacing_mm": _short(grid.spacing_mm) if grid and not facts.is_picture else None,
        "axcodes": grid.axcodes if grid and not facts.is_picture else None,
        "channels": [_fields(channel) for channel in facts.channels],
        "labels": {name: _fields(found) for name, found in facts.labels.items()},
        **({} if facts.annotated_share is None else {"annotated_share": _short(facts.annotated_share)}),
        **({"quantities": _quantities(facts)} if facts.quantities else {}),
        "image_digest": facts.image_digest,
        "label_digest": facts.label_digest,
        "image_hash": hash_text(image_hash(facts.small)) if facts.small is not None else None,
    }


def _quantities(facts: CaseFacts) -> dict[str, Any]:
    """Values of each quantity, and the share of the voxels in which it is not known."""
    return {
        name: {**_fields(found.values), "unknown_share": _short(found.unknown_share)}
        for name, found in facts.quantities.items()
    }
