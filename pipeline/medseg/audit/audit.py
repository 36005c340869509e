"""Examination of every case of a dataset, and of all cases together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from medseg.audit.cohort_checks import check_cohort
from medseg.audit.duplicates import check_duplicates
from medseg.audit.examine import Examined, examine_case
from medseg.audit.facts import CaseFacts, DrawPlanes
from medseg.audit.finding import Finding, Severity, by_severity
from medseg.audit.patients import check_patients_apart
from medseg.audit.sides import check_sides
from medseg.cohort import TWO_THREADS, Executor, run_cases
from medseg.records import Case, Manifest

SHOWN_CASES = 300

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """The result of an audit.

    Attributes:
        manifest: Dataset that was examined.
        findings: All findings, errors first.
        cases: Facts of each case, in the order of the manifest.
        shown: Ids of the cases that the page shows with pictures, in the same order.
    """

    manifest: Manifest
    findings: tuple[Finding, ...]
    cases: tuple[CaseFacts, ...]
    shown: tuple[str, ...]

    def count(self, severity: Severity) -> int:
        """Number of findings of a severity."""
        return sum(found.severity == severity for found in self.findings)


def audit_manifest(
    manifest: Manifest,
    root: Path,
    *,
    known: Sequence[Finding] = (),
    draw: DrawPlanes | None = None,
    executor: Executor = TWO_THREADS,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> Audit:
    """Audit a dataset: no case stops the audit, and no more volumes are in memory than there are threads.

    Args:
        manifest: Dataset, from `load_for_audit`.
        root: Data root.
        known: Findings of earlier steps.
        draw: Function that draws the thumbnails of the cases on a page; None for no thumbnails.
        executor: Executor that the work runs on.
        on_done: Called with the case id after each case, from this thread.
    """
    is_small = len(manifest.cases) <= SHOWN_CASES
    examined = _examine(
        manifest.cases, manifest, root, draw=draw if is_small else None, executor=executor, on_done=on_done
    )
    cases = [one.facts for one in examined]
    findings = by_severity(
        [
            *known,
            *(found for one in examined for found in one.findings),
            *check_patients_apart(manifest),
            *check_cohort(cases, manifest),
            *check_sides(cases, list(manifest.foreground)),
            *check_duplicates(cases),
        ]
    )
    findings = tuple(dict.fromkeys(findings))  # the ingest may have found the same risk
    shown = choose_shown(cases, findings)
    if draw is not None and not is_small:
        cases = _with_planes(cases, set(shown), manifest, root, draw=draw, executor=executor)
    return Audit(manifest, findings, tuple(cases), shown)


def choose_shown(cases: Sequence[CaseFacts], findings: Sequence[Finding]) -> tuple[str, ...]:
    """Ids of the cases on the page, at most `SHOWN_CASES`: those with the worst findings, and some of the others."""
    ids = [facts.case_id for facts in cases]
    if len(ids) <= SHOWN_CASES:
        return tuple(ids)
    known = set(ids)
    reported = dict.fromkeys(name for found in findings for name in (found.case_id, *found.others) if name in known)
    chosen = list(reported)[:SHOWN_CASES]
    others = [case_id for case_id in ids if case_id not in reported]
    room = min(SHOWN_CASES - len(chosen), len(others))
    kept = {*chosen, *(others[number * len(others) // room] for number in range(room))}
    return tuple(case_id for case_id in ids if case_id in kept)


def _examine(
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    draw: DrawPlanes | None,
    executor: Executor,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> tuple[Examined, ...]:
    """Examine every case, in the order given."""
    examine = partial(_examine_or_report, manifest=manifest, root=root, draw=draw)
    return run_cases(cases, examine, stage="audit", executor=executor, on_done=on_done).results


def _examine_or_report(case: Case, *, manifest: Manifest, root: Path, draw: DrawPlanes | None) -> Examined:
    try:
        return examine_case(case, manifest, root, draw=draw)
    except Exception as error:  # any error that a library raises on a damaged file is a finding
        return _crashed(case, error)


def _crashed(case: Case, error: Exception) -> Examined:
    """The finding of a failed audit; it holds only the error's name, since its text may hold folders."""
    _log.debug("case %s: the audit failed", case.case_id, exc_info=error)
    fact = f"case must be one that can be audited, got {type(error).__name__}"
    remedy = "use fewer workers" if isinstance(error, MemoryError) else "examine its files, and report this"
    return Examined(CaseFacts(case, ()), (Finding("crashed", "error", case.case_id, fact, remedy),))


def _with_planes(
    cases: Sequence[CaseFacts], shown: set[str], manifest: Manifest, root: Path, *, draw: DrawPlanes, executor: Executor
) -> list[CaseFacts]:
    """The cases, those to be shown read again for their pictures, since all pictures would fill the memory."""
    chosen = [facts.case for facts in cases if facts.case_id in shown]
    again = _examine(chosen, manifest, root, draw=draw, executor=executor)
    drawn = {one.facts.case_id: one.facts for one in again}
    return [drawn.get(facts.case_id, facts) for facts in cases]
