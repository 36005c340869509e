"""A dataset examined before anything is trained on it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from medseg.audit import Audit, Fix, audit_manifest, fix_dataset, load_for_audit, write_audit
from medseg.cohort import Executor
from medseg.delivery.audit import draw_planes, save_audit_page
from medseg.errors import ConfigError
from medseg.evaluation.segmentation import RaterAgreement, measure_raters, rater_agreement, write_rater_pairs
from medseg.manifest import require_no_quantities
from medseg.runs.cluster import case_executor
from medseg.runs.machine import threads
from medseg.runs.progress import Progress, Silence


@dataclass(frozen=True, slots=True)
class AuditResult:
    """An examined dataset.

    Attributes:
        audit: Findings and facts.
        page: Page to review.
        fixes: Repairs that were made in a new version, and errors that remain there.
        raters: Agreement of the raters; None where no case has several.
    """

    audit: Audit
    page: Path
    fixes: tuple[Fix, ...]
    raters: RaterAgreement | None = None


def audit_dataset(
    dataset: Path,
    *,
    out: Path | None = None,
    fix: Path | None = None,
    data_root: Path | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> AuditResult:
    """Examine every case, and write `audit.json` and `audit.html`; where a case has several raters, `raters.csv`, too.

    Args:
        dataset: A `dataset.json` or the folder that holds one.
        out: Folder of both files; the dataset's if not given.
        fix: New folder for a version of the dataset with the safe repairs applied.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        workers: Threads that read scans, or processes on a cluster.
        cluster: Cluster that examines the cases: `local`, `auto`, or host and port of its head; this process if not
            given.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the dataset cannot be read, a folder cannot be written, or `fix` exists.
    """
    progress = progress or Silence()
    if fix and fix.exists():
        raise ConfigError(f"target of the repairs {fix} must be a new folder", remedy="choose another name")
    source = load_for_audit(dataset, data_root=data_root)
    if fix:
        require_no_quantities(source.manifest, "a repaired version")
    folder = _writable(out or source.folder)
    with (
        _quiet_readers(),
        case_executor(cluster, here=threads(workers), out=folder, folders=[source.root], workers=workers) as executor,
        progress.over_cases(len(source.manifest.cases), "audit") as on_done,
    ):
        audit = audit_manifest(
            source.manifest,
            source.root,
            known=source.findings,
            draw=draw_planes,
            executor=executor,
            on_done=on_done,
        )
        raters = _agreement(audit, source.root, executor)
    fixes: tuple[Fix, ...] = ()
    if fix:
        with progress.over_cases(len(audit.cases), "fix") as on_done:
            fixes = fix_dataset(audit, source.root, fix, folder=source.folder, on_done=on_done)
    write_audit(audit, folder, fixes=fixes, raters=raters.content() if raters else None)
    if raters:
        write_rater_pairs(raters.pairs, folder / "raters.csv")
    page = folder / "audit.html"
    save_audit_page(audit, page, fixes=fixes, raters=raters)
    return AuditResult(audit, page, fixes, raters)


def _agreement(audit: Audit, root: Path, executor: Executor) -> RaterAgreement | None:
    """How the raters of the cases agree; a case of which a label cannot be used is left out, and a finding."""
    manifest = audit.manifest
    read = [case for case in manifest.cases if case.raters]
    if not read:
        return None
    pairs, failures = measure_raters(read, manifest, root, executor=executor)
    return rater_agreement(pairs, patients={case.case_id: case.patient_id for case in read}, failures=failures)


@contextmanager
def _quiet_readers() -> Iterator[None]:
    """Keep the readers' warnings out of the log while they are among the findings."""
    log = logging.getLogger("medseg.scans")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _writable(folder: Path) -> Path:
    """A folder that can be written to, tried before the work is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ConfigError(
            f"folder {folder} must be writable, got: {error.strerror}", remedy="choose another"
        ) from error
