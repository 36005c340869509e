"""Examination of a dataset before training: what is wrong, how badly, and what to do about it."""

from __future__ import annotations

from medseg.audit.audit import Audit, audit_manifest
from medseg.audit.facts import DrawPlanes, Plane
from medseg.audit.finding import CHECKS, SEVERITIES, Finding
from medseg.audit.fix import Fix, fix_dataset
from medseg.audit.load import AuditInput, load_for_audit
from medseg.audit.report import write_audit

__all__ = [
    "CHECKS",
    "SEVERITIES",
    "Audit",
    "AuditInput",
    "DrawPlanes",
    "Finding",
    "Fix",
    "Plane",
    "audit_manifest",
    "fix_dataset",
    "load_for_audit",
    "write_audit",
]
