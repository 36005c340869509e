"""Predicted quantities delivered: NIfTI for everybody, and doses as RT Dose in the study of the scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from medseg.atomic import check_writable, remove_leftovers, write_json
from medseg.cohort import run_cases
from medseg.delivery.regression.deliver_values import VALUE_FORMS, DeliveredValues, ValueDelivery, deliver_values
from medseg.errors import ConfigError, DeliveryError
from medseg.inference.folder_lock import locked_folder
from medseg.inference.inputs.find_source import SourcePlaces
from medseg.inference.inputs.series_of_scan import series_below
from medseg.inference.record import RECORD_NAME, SOFTWARE
from medseg.inference.regression.record import ValueCase, load_value_record
from medseg.records import Failure
from medseg.runs.progress import Progress, Silence
from medseg.runs.segmentation.deliver import DeliverSettings
from medseg.runs.segmentation.delivery_record import DELIVERY_NAME


@dataclass(frozen=True, slots=True)
class QuantityDelivery:
    """What was delivered.

    Attributes:
        folder: Target folder.
        delivered: Cases whose files were read back as they should be.
        failures: Cases of which nothing was delivered, with the reasons.
        without_values: Ids of the cases of which the prediction has no values.
    """

    folder: Path
    delivered: tuple[DeliveredValues, ...]
    failures: tuple[Failure, ...]
    without_values: tuple[str, ...]


def deliver_quantities(
    folder: Path, settings: DeliverSettings, *, progress: Progress | None = None
) -> QuantityDelivery:
    """Write the files of every case and read each RT Dose back with two libraries.

    Args:
        folder: Folder that `predict` wrote with a model of quantities.
        settings: Choices. Folders of `sources` may hold the DICOM series of scans that were predicted from other files.
        progress: Follows the work; nothing if not given.

    Returns:
        What came of each case; a case that fails does not stop the others.

    Raises:
        ConfigError: If a form or case is unknown, or the target folder is that of the predictions.
        DeliveryError: If the folder holds no record of quantities, or the target cannot be written.
    """
    progress = progress or Silence()
    _check(folder, settings)
    record = load_value_record(folder)
    if record is None:
        raise DeliveryError(
            f"predictions {folder.name}: must be a folder that predict wrote, with {RECORD_NAME}, got none",
            remedy="predict with a model of quantities",
        )
    cases = _chosen(record.cases, settings.cases)
    places = SourcePlaces.of(settings.sources, pseudonyms=settings.pseudonyms)
    check_writable(settings.out, option="out").mkdir(parents=True, exist_ok=True)
    delivery = ValueDelivery(
        folder=folder,
        record=record,
        out=settings.out,
        forms=settings.forms,
        places=places,
        series=series_below(settings.sources) if any(case.source.kind == "files" for case in cases) else (),
    )
    with locked_folder(settings.out), progress.over_cases(len(cases), "deliver") as on_done:
        remove_leftovers(settings.out)
        done = run_cases(cases, partial(deliver_values, delivery=delivery), stage="deliver", on_done=on_done)
        result = QuantityDelivery(
            settings.out, tuple(done.results), tuple(done.failures), tuple(one.case_id for one in record.failures)
        )
        write_json(settings.out / DELIVERY_NAME, _document(result))
    return result


def _check(folder: Path, settings: DeliverSettings) -> None:
    for form in settings.forms or ():
        if form not in VALUE_FORMS:
            raise ConfigError(f"form of a quantity must be one of {', '.join(VALUE_FORMS)}, got {form!r}")
    if folder.resolve() in (settings.out.resolve(), *settings.out.resolve().parents):
        raise ConfigError(
            f"out must lie outside of the predictions, got {settings.out.name} in their folder",
            remedy="choose another folder",
        )


def _chosen(cases: Sequence[ValueCase], wanted: Sequence[str]) -> list[ValueCase]:
    unknown = sorted(set(wanted) - {case.case_id for case in cases})
    if unknown:
        raise ConfigError(
            f"case must be one that was predicted, got {unknown[0]!r}", remedy=f"take an id of {RECORD_NAME}"
        )
    return [case for case in cases if not wanted or case.case_id in wanted]


def _document(result: QuantityDelivery) -> dict[str, object]:
    return {
        "software": SOFTWARE,
        "cases": [one.model_dump(mode="json") for one in result.delivered],
        "failures": [{"case_id": one.case_id, "stage": one.stage, "reason": one.reason} for one in result.failures],
        "without_values": list(result.without_values),
    }
