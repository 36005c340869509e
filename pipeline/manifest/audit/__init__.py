"""Look at a dataset before anything is trained on it: what is wrong, how badly, and what to do."""

from __future__ import annotations

from pipeline.manifest.audit.audit import Audit, audit_manifest
from pipeline.manifest.audit.finding import CHECKS, SEVERITIES, Finding
from pipeline.manifest.audit.fix import Fix, fix_dataset
from pipeline.manifest.audit.load import AuditInput, load_for_audit
from pipeline.manifest.audit.report import write_audit

__all__ = [
    "CHECKS",
    "SEVERITIES",
    "Audit",
    "AuditInput",
    "Finding",
    "Fix",
    "audit_manifest",
    "fix_dataset",
    "load_for_audit",
    "write_audit",
]
