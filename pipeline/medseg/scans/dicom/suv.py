"""PET activity to standardised uptake value by body weight."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from medseg.errors import ScanError
from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.dicom.elements import first_item, number, text
from medseg.scans.dicom.series import FoundSeries

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_PHILIPS_SUV_FACTOR = 0x70531000
_DAY_S = 86400.0


def suv_factor(found: FoundSeries) -> float:
    """Factor from the rescaled values of a PET series to SUV by body weight, in g/ml.

    Args:
        found: PET series.

    Raises:
        ScanError: If units, dose, weight or times are not given.

    Source: QIBA FDG-PET/CT profile, appendix G, "vendor-neutral pseudo-code for SUV calculation"; PS3.3 C.8.9.1.
    """
    from pydicom.filereader import dcmread

    with reading_dicom("header"):
        header = dcmread(found.first.path, stop_before_pixels=True, force=True)
        units = text(header, "Units").upper()
        if units == "GML":
            return 1.0
        if units == "CNTS":
            return _philips_factor(header)
        if units != "BQML":
            got = "others" if units else "none"
            raise ScanError(f"PET units must be BQML, CNTS or GML for SUV, got {got}", remedy="ingest it without SUV")
        return _factor(header, _acquisition_times(found))


def _philips_factor(header: Dataset) -> float:
    element = header.get(_PHILIPS_SUV_FACTOR)
    if element is None or not float(element.value):
        raise ScanError(
            "PET in counts must give the Philips SUV factor (7053,1000), got none", remedy="ingest it without SUV"
        )
    return float(element.value)


def _factor(header: Dataset, acquired: list[datetime]) -> float:
    weight_kg = number(header, "PatientWeight", 0.0)
    tracer = first_item(header, "RadiopharmaceuticalInformationSequence")
    dose_bq = number(tracer, "RadionuclideTotalDose", 0.0) if tracer is not None else 0.0
    half_life_s = number(tracer, "RadionuclideHalfLife", 0.0) if tracer is not None else 0.0
    if tracer is None or min(weight_kg, dose_bq, half_life_s) <= 0:
        raise ScanError(
            "SUV needs patient weight, injected dose and half-life, got some missing", remedy="ingest it without SUV"
        )
    correction = text(header, "DecayCorrection").upper()
    if correction == "ADMIN":
        return weight_kg * 1000.0 / dose_bq
    if correction != "START":
        raise ScanError(
            "PET must be decay-corrected to START or ADMIN for SUV, got neither", remedy="ingest it without SUV"
        )
    scan = _scan_start(header, acquired)
    elapsed_s = (scan - _injection(tracer, scan)).total_seconds()
    if not 0 <= elapsed_s < _DAY_S:
        raise ScanError(
            f"injection must lie within a day before the scan, got {elapsed_s:.0f} s", remedy="ingest it without SUV"
        )
    return float(weight_kg * 1000.0 / (dose_bq * 2.0 ** (-elapsed_s / half_life_s)))


def _scan_start(header: Dataset, acquired: list[datetime]) -> datetime:
    """Time of the series, or of the first acquisition if the series was reconstructed again later."""
    series = _moment(text(header, "SeriesDate") or text(header, "StudyDate"), text(header, "SeriesTime"))
    known = [*acquired, *([series] if series else [])]
    if not known:
        raise ScanError("SUV needs the time of the series, got none", remedy="ingest it without SUV")
    # A series that was reconstructed later bears the later time; a time before every acquisition is the true start.
    return min(known)


def _injection(tracer: Dataset, scan: datetime) -> datetime:
    """Stated moment, or the last one before the scan at the stated time of day."""
    whole = text(tracer, "RadiopharmaceuticalStartDateTime")
    time = text(tracer, "RadiopharmaceuticalStartTime")
    found = _moment(whole[:8], whole[8:]) if whole else _moment(f"{scan:%Y%m%d}", time)
    if found is not None and not whole and found > scan:
        found -= timedelta(days=1)  # injected before midnight
    if found is None:
        raise ScanError("SUV needs the time of the injection, got none", remedy="ingest it without SUV")
    return found


def _acquisition_times(found: FoundSeries) -> list[datetime]:
    times = []
    for frame in found.frames:
        moment = _moment(frame.marks.acquisition_time[:8], frame.marks.acquisition_time[8:])
        if moment is not None:
            times.append(moment)
    return times


def _moment(date: str, time: str) -> datetime | None:
    """Moment of a date `YYYYMMDD` and a time `HHMMSS.ffffff`, whose end may be missing; None without both."""
    if not time:
        return None
    digits = (time.split("+")[0].split("-")[0].replace(".", "") + "0" * 12)[:12]
    try:
        return datetime.strptime(date + digits, "%Y%m%d%H%M%S%f")
    except ValueError:
        return None
