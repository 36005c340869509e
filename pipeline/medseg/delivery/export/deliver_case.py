"""One case delivered: its files written, read back and certified, or set apart under a name that says so."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.atomic import remove_folder, replacing_folder
from medseg.delivery.certificate import (
    CERTIFICATE_NAME,
    Certificate,
    CertifiedInputs,
    check_sides,
    load_certificate,
    save_certificate,
)
from medseg.delivery.export.case_words import case_page_facts, structure_rows
from medseg.delivery.export.certify_files import certify_file, certify_files
from medseg.delivery.export.delivered_case import DeliveredCase
from medseg.delivery.export.form_checks import page_check
from medseg.delivery.export.forms import MEASUREMENTS_NAME, PAGE, WrittenFile, default_forms, write_form
from medseg.delivery.export.read_case import read_case
from medseg.errors import DeliveryError, PipelineError
from medseg.geometry import Geometry
from medseg.inference.case_record import CaseRecord
from medseg.inference.inputs.find_source import SourcePlaces, private_files
from medseg.inference.inputs.private_text import private_error, private_warnings
from medseg.inference.mask_folder import file_sha256
from medseg.inference.record import SOFTWARE, PredictionRecord
from medseg.inference.segmentation.case_stages import utc_now
from medseg.terms import uncoded

NOT_CERTIFIED = ".not_certified"
_TAKEN = (Path(CERTIFICATE_NAME).stem, MEASUREMENTS_NAME, "delivery.json")
_TRACES = ("Thumbs.db", "desktop.ini")
_OF_THE_RUN = {
    "source",
    "seconds",
    "peak_memory_bytes",
    "gate",
    "is_edited",
}  # fields of a case that no delivered file shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What all cases of a delivery share.

    Attributes:
        masks: Folder of the masks.
        record: Its `predictions.json`.
        out: Target folder.
        forms: Forms to write; those that fit each case if not given.
        places: Where the scans are looked for.
    """

    masks: Path
    record: PredictionRecord
    out: Path
    forms: tuple[str, ...] | None
    places: SourcePlaces


@dataclass(frozen=True, slots=True)
class CaseDelivery:
    """A case that was delivered.

    Attributes:
        folder: Folder of the case.
        certificate: Its certificate, which may not be passed.
        is_kept: Whether an earlier delivery had finished it.
    """

    folder: Path
    certificate: Certificate
    is_kept: bool = False


def deliver_case(record: CaseRecord, delivery: Delivery) -> CaseDelivery:
    """Write, check and certify the files of a case in a folder of its own, whole or not at all.

    A case that an earlier delivery finished from the same mask and scan in the same forms is kept. Where a file fails,
    the folder's name ends in `.not_certified`, and the file's in `.failed`.

    Args:
        record: Record of the case.
        delivery: What all cases share.

    Raises:
        PipelineError: If mask or scan cannot be used, a file cannot be written, or the folder of the case holds
            something else.
    """
    if delivery.places.pseudonyms is None:
        return _deliver(record, delivery)
    files = private_files(record, delivery.places)
    try:
        with private_warnings(files):
            return _deliver(record, delivery)
    except (PipelineError, RuntimeError, OSError) as error:
        raise private_error(error, files, case_id=record.case_id) from None  # its cause names the files


def _deliver(record: CaseRecord, delivery: Delivery) -> CaseDelivery:
    _check_id(record.case_id)
    case = read_case(record, delivery.masks, delivery.record, delivery.places)
    forms = delivery.forms if delivery.forms is not None else default_forms(case)
    inputs = _inputs(case, delivery)
    folder = delivery.out / record.case_id
    apart = folder.with_name(f"{folder.name}{NOT_CERTIFIED}")
    earlier, set_apart = _earlier(folder, record.case_id), _earlier(apart, record.case_id)
    _check_own(apart, set_apart)
    is_same = earlier and (earlier.inputs, earlier.forms, earlier.software) == (inputs, forms, SOFTWARE)
    if earlier and is_same and earlier.is_whole:
        remove_folder(apart)
        return CaseDelivery(folder, earlier, is_kept=True)
    _check_own(folder, earlier)
    with replacing_folder(delivery.out) as (temporary, move):
        certificate = _fill(temporary, case, forms, inputs, delivery)
        target, superseded = (folder, apart) if certificate.is_passed else (apart, folder)
        move(target)
    remove_folder(superseded)
    return CaseDelivery(target, certificate)


def _check_id(case_id: str) -> None:
    """Refuse an id whose files would have the name of another file of the delivery."""
    if case_id.casefold() in _TAKEN:
        raise DeliveryError(
            "id of the case must not be the name of a file of every delivery, got this one",
            remedy="rename the scan and predict it again",
            case_id=case_id,
        )


def _fill(
    folder: Path, case: DeliveredCase, forms: Sequence[str], inputs: CertifiedInputs, delivery: Delivery
) -> Certificate:
    """Write and check all files, the page after the others, whose checks stand on it."""
    written: list[tuple[str, WrittenFile]] = []
    for form in (one for one in forms if one != PAGE):
        made = tuple(file for _, file in written)
        written += [(form, file) for file in write_form(form, case, folder, made)]
    files, measured = certify_files(written, folder, case, is_measured=PAGE in forms)
    certificate = Certificate(
        case_id=case.case_id,
        is_passed=not any(file.reason for file in files),
        reasons=tuple(f"{file.name}: {file.reason}" for file in files if file.reason),
        software=SOFTWARE,
        date=utc_now(),
        forms=tuple(forms),
        inputs=inputs,
        models=delivery.record.models,
        files=files,
        sides=() if case.is_picture else check_sides(case.expected),
        uncoded=uncoded(case.segments),
    )
    if PAGE in forms:
        page = _write_page(folder, case, certificate)
        certificate = certificate.with_file(certify_file(PAGE, page, folder, measured))
    save_certificate(certificate, folder)
    return certificate


def _write_page(folder: Path, case: DeliveredCase, certificate: Certificate) -> WrittenFile:
    from medseg.delivery.case_page import save_case_page

    path = folder / f"{case.case_id}.pdf"
    facts = case_page_facts(case, certificate)
    save_case_page(case.scan, case.labels, case.segments, structure_rows(case), facts, path)
    digest = certificate.inputs.mask_sha256
    return WrittenFile(path=path, checks=(page_check(case, path, digest, is_passed=certificate.is_passed),))


def _inputs(case: DeliveredCase, delivery: Delivery) -> CertifiedInputs:
    record = case.record
    digest = file_sha256(delivery.masks / record.mask) or ""
    return CertifiedInputs(
        source_sha256=record.source.sha256 if record.source else None,
        mask_sha256=digest,
        is_edited=record.mask_sha256 is not None and record.mask_sha256 != digest,
        grid=_grid_in_words(case.scan.geometry),
        prediction_sha256=_prediction_digest(record, delivery.record),
    )


def _prediction_digest(record: CaseRecord, predictions: PredictionRecord) -> str:
    said = {
        "case": record.model_dump(mode="json", exclude=_OF_THE_RUN),
        "labels": list(predictions.labels.items()),
        **({"regions": list(predictions.regions.items())} if predictions.regions else {}),
        "models": [model.origin.model_dump(mode="json") for model in predictions.models],
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _grid_in_words(grid: Geometry) -> str:
    spacing = "×".join(f"{mm:.5g}" for mm in grid.spacing_mm)
    return f"{'×'.join(map(str, grid.shape))} voxels of {spacing} mm, axes {grid.axcodes}"


def _earlier(folder: Path, case_id: str) -> Certificate | None:
    """The certificate of an earlier delivery whose files are still as they were; None if there is no folder.

    Raises:
        DeliveryError: If the folder holds something else.
    """
    if not os.path.lexists(folder):
        return None
    certificate = load_certificate(folder)
    if certificate is None:
        found = "no certificate"
    elif certificate.case_id != case_id:
        found = "another case"
    elif any((file_sha256(folder / file.name) or "") != file.sha256 for file in certificate.files):
        found = "files that were changed since"
    else:
        return certificate
    raise DeliveryError(
        f"folder {folder.name}: must hold what an earlier delivery wrote, got {found}",
        remedy="move it away, or deliver into another folder",
    )


def _check_own(folder: Path, certificate: Certificate | None) -> None:
    """Refuse to replace a folder into which somebody has put files, such as notes.

    Raises:
        DeliveryError: If it holds a file that its certificate does not name.
    """
    if certificate is None:
        return
    own = {CERTIFICATE_NAME, *(file.name for file in certificate.files)}
    added = [path for path in folder.rglob("*") if not (path.is_dir() or _is_trace(path))]
    strange = sum(path.relative_to(folder).as_posix() not in own for path in added)
    if strange:
        raise DeliveryError(
            f"folder {folder.name}: must hold nothing but what an earlier delivery wrote to be replaced, got "
            f"{strange} file(s) more",
            remedy="move them elsewhere, or deliver into another folder",
        )


def _is_trace(path: Path) -> bool:
    """Whether a file is one that systems leave in every folder that somebody opens."""
    return path.name.startswith(".") or path.name in _TRACES
