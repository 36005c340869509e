"""Masks delivered: files for viewers, archives and people, each case with its certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from medseg.atomic import check_writable, remove_leftovers
from medseg.cohort import run_cases
from medseg.delivery.certificate import CERTIFICATE_NAME
from medseg.delivery.export import (
    FORMS,
    MEASUREMENTS_NAME,
    NOT_CERTIFIED,
    REPORT,
    CaseDelivery,
    Delivery,
    deliver_case,
)
from medseg.errors import ConfigError, DeliveryError
from medseg.inference.case_record import CaseRecord, FailureRecord
from medseg.inference.folder_lock import locked_folder
from medseg.inference.inputs.find_source import SourcePlaces
from medseg.inference.record import RECORD_NAME, SOFTWARE, load_record
from medseg.records import Failure
from medseg.runs.progress import Progress, Silence
from medseg.runs.segmentation.delivery_record import (
    DELIVERY_NAME,
    DeliveredRecord,
    DeliveryRecord,
    load_delivery,
    save_delivery,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverSettings:
    """Choices of a delivery.

    Attributes:
        out: Target folder: new, empty, or of an earlier delivery, of which what is unchanged is kept.
        forms: Names in `medseg.delivery.export.FORMS`; those that fit each case if not given.
        sources: Folders in which the scans are looked for, if they are not where the prediction read them.
        pseudonyms: Private table of the prediction, if its ids are pseudonyms.
        cases: Ids of the cases to deliver; all if not given.
    """

    out: Path
    forms: tuple[str, ...] | None = None
    sources: tuple[Path, ...] = ()
    pseudonyms: Path | None = None
    cases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeliverResult:
    """What was delivered.

    Attributes:
        folder: Target folder.
        delivered: Cases with a certificate, those that were kept among them.
        not_certified: Cases in which a file failed its checks.
        failures: Cases of which nothing was delivered, and those that are not certified, with the reasons.
        without_mask: Ids of the cases of which the prediction has no mask.
        left: Names of folders that an earlier delivery wrote, and that are of none of these cases as they are now.
    """

    folder: Path
    delivered: tuple[CaseDelivery, ...]
    not_certified: tuple[CaseDelivery, ...]
    failures: tuple[Failure, ...]
    without_mask: tuple[str, ...]
    left: tuple[str, ...] = ()

    @property
    def kept(self) -> int:
        """Number of cases that an earlier delivery had finished."""
        return sum(one.is_kept for one in self.delivered)

    @property
    def with_identity(self) -> tuple[CaseDelivery, ...]:
        """Cases with files that hold the identity of the patient, which archives file them by."""
        every = (*self.delivered, *self.not_certified)
        return tuple(one for one in every if any(file.holds_identity for file in one.certificate.files))

    @property
    def uncoded(self) -> tuple[str, ...]:
        """Structures without a code of a terminology."""
        found = (name for one in (*self.delivered, *self.not_certified) for name in one.certificate.uncoded)
        return tuple(dict.fromkeys(found))


def deliver_masks(masks: Path, settings: DeliverSettings, *, progress: Progress | None = None) -> DeliverResult:
    """Write the files of every case, read each back with independent libraries, and certify what holds.

    Args:
        masks: Folder that `predict` wrote.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Returns:
        What came of each case; a case that fails does not stop the others.

    Raises:
        ConfigError: If a form or case is unknown, or the target folder is that of the masks.
        DeliveryError: If the folder holds no record of a prediction, or the target cannot be written.
    """
    progress = progress or Silence()
    _check(masks, settings)
    record = load_record(masks)
    if record is None:
        raise DeliveryError(
            f"masks {masks.name}: must be a folder that predict wrote, with {RECORD_NAME}, got none",
            remedy="predict the masks with medseg, which knows what their values mean",
        )
    cases = _chosen(record.cases, settings.cases)
    places = SourcePlaces.of(settings.sources, pseudonyms=settings.pseudonyms)
    check_writable(settings.out, option="out").mkdir(parents=True, exist_ok=True)
    delivery = Delivery(masks=masks, record=record, out=settings.out, forms=_ordered(settings.forms), places=places)
    with locked_folder(settings.out), progress.over_cases(len(cases), "deliver") as on_done:
        remove_leftovers(settings.out)
        earlier = load_delivery(settings.out) if settings.cases else None
        done = run_cases(cases, partial(deliver_case, delivery=delivery), stage="deliver", on_done=on_done)
        result = _result(settings.out, done.results, done.failures, tuple(one.case_id for one in record.failures))
        saved = _record(result)
        if earlier is not None:
            others = {case.case_id for case in record.cases} - {case.case_id for case in cases}
            saved = saved.with_others_of(earlier, others, settings.out)
        saved = saved.with_left_in(settings.out)
        save_delivery(saved, settings.out)
    return replace(result, left=saved.left)


def _check(masks: Path, settings: DeliverSettings) -> None:
    for form in settings.forms or ():
        if form not in FORMS:
            raise ConfigError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
    forms = settings.forms
    if forms is not None and REPORT in forms and not {"seg", "seg-binary"}.intersection(forms):
        raise ConfigError(f"form {REPORT} must refer to a DICOM SEG, got none", remedy="add the form seg")
    if masks.resolve() in (settings.out.resolve(), *settings.out.resolve().parents):
        raise ConfigError(
            f"out must lie outside of the masks, got {settings.out.name} in their folder",
            remedy="choose another folder",
        )
    is_delivery = (settings.out / DELIVERY_NAME).exists() or any(settings.out.glob(f"*/{CERTIFICATE_NAME}"))
    if (settings.out / MEASUREMENTS_NAME).exists() and not is_delivery:
        raise ConfigError(
            f"out must be new, empty or of an earlier delivery, got another {MEASUREMENTS_NAME} there",
            remedy="choose another folder",
        )


def _ordered(forms: Sequence[str] | None) -> tuple[str, ...] | None:
    """Forms in the order in which they are written, since some refer to others."""
    return None if forms is None else tuple(form for form in FORMS if form in forms)


def _chosen(cases: Sequence[CaseRecord], wanted: Sequence[str]) -> list[CaseRecord]:
    unknown = sorted(set(wanted) - {case.case_id for case in cases})
    if unknown:
        raise ConfigError(
            f"case must be one that has a mask, got {unknown[0]!r}", remedy=f"take an id of {RECORD_NAME}"
        )
    return [case for case in cases if not wanted or case.case_id in wanted]


def _result(
    folder: Path, results: Sequence[CaseDelivery], failures: Sequence[Failure], without_mask: tuple[str, ...]
) -> DeliverResult:
    failing = tuple(one for one in results if not one.certificate.is_passed)
    reasons = [
        Failure(
            one.certificate.case_id,
            "certify",
            f"case {one.certificate.case_id}: not certified, {'; '.join(one.certificate.reasons)}; the files are in "
            f"{one.folder.name}",
        )
        for one in failing
    ]
    return DeliverResult(
        folder,
        tuple(one for one in results if one.certificate.is_passed),
        failing,
        (*failures, *reasons),
        without_mask,
    )


def _record(result: DeliverResult) -> DeliveryRecord:
    cases = [
        DeliveredRecord(
            case_id=one.certificate.case_id,
            folder=one.folder.name,
            is_certified=one.certificate.is_passed,
            reasons=one.certificate.reasons,
            doubts=one.certificate.doubts,
        )
        for one in (*result.delivered, *result.not_certified)
    ]
    apart = {one.certificate.case_id for one in result.not_certified}
    return DeliveryRecord(
        software=SOFTWARE,
        cases=tuple(cases),
        failures=tuple(
            FailureRecord(case_id=one.case_id, stage=one.stage, reason=one.reason)
            for one in result.failures
            if one.case_id not in apart
        ),
        without_mask=result.without_mask,
        uncoded=result.uncoded,
    )


__all__ = ["DELIVERY_NAME", "NOT_CERTIFIED", "DeliverResult", "DeliverSettings", "deliver_masks"]
