"""Activity to SUV by body weight, against the formula by hand: weight over the dose that is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.scans.dicom import suv_factor
from pydicom.dataset import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage

from tests.dicom_files import found_in, write_series
from tests.grids import OBLIQUE

F18_S = 6586.2
DOSE_BQ = 350e6
PET: dict[str, Any] = {
    "Modality": "PT",
    "SOPClassUID": PositronEmissionTomographyImageStorage,
    "Units": "BQML",
    "DecayCorrection": "START",
    "PatientWeight": "70",
    "SeriesDate": "20240517",
    "SeriesTime": "110000",
    "AcquisitionDate": "20240517",
    "AcquisitionTime": "110000",
}
TRACER = {
    "RadionuclideTotalDose": DOSE_BQ,
    "RadionuclideHalfLife": F18_S,
    "RadiopharmaceuticalStartTime": "100000",
}


def factor(folder: Path, *, tracer: dict[str, Any] | None = None, times: list[str] | None = None, **pet: Any) -> float:
    """SUV factor of a series; `None` removes a value."""
    item = Dataset()
    for keyword, value in {**TRACER, **(tracer or {})}.items():
        if value is not None:
            setattr(item, keyword, value)
    values = {keyword: value for keyword, value in {**PET, **pet}.items() if value is not None}
    values.setdefault("RadiopharmaceuticalInformationSequence", [item])
    array = np.zeros(OBLIQUE.shape, np.int16)
    for k, dataset in enumerate(write_series(array, OBLIQUE, folder, **values)):
        if times:
            dataset.AcquisitionTime = times[k]
            dataset.save_as(folder / f"{k:05d}")
    (found,) = found_in(folder)
    return suv_factor(found)


def left(elapsed_s: float) -> float:
    """Factor after so many seconds of decay."""
    return float(70_000 / (DOSE_BQ * np.exp(-np.log(2) * elapsed_s / F18_S)))


def test_dose_decays_from_injection_to_the_start_of_the_scan(tmp_path: Path) -> None:
    assert factor(tmp_path) == pytest.approx(left(3600), rel=1e-12)


def test_one_half_life_doubles_the_factor(tmp_path: Path) -> None:
    assert factor(tmp_path, tracer={"RadionuclideHalfLife": 3600}) == pytest.approx(2 * 70_000 / 350e6, rel=1e-12)


def test_activity_corrected_to_the_injection_needs_no_times(tmp_path: Path) -> None:
    pet = {"DecayCorrection": "ADMIN", "SeriesTime": None, "AcquisitionTime": None}
    assert factor(tmp_path, tracer={"RadiopharmaceuticalStartTime": None}, **pet) == pytest.approx(2e-4, rel=1e-12)


def test_moment_of_the_injection_goes_before_its_time_of_day(tmp_path: Path) -> None:
    tracer = {"RadiopharmaceuticalStartDateTime": "20240517103000.500000+0200"}
    assert factor(tmp_path, tracer=tracer) == pytest.approx(left(1799.5), rel=1e-12)


def test_injection_before_midnight(tmp_path: Path) -> None:
    got = factor(
        tmp_path, tracer={"RadiopharmaceuticalStartTime": "233000"}, SeriesTime="001500", AcquisitionTime="001500"
    )
    assert got == pytest.approx(left(45 * 60), rel=1e-12)


def test_injection_before_midnight_with_its_date(tmp_path: Path) -> None:
    tracer = {"RadiopharmaceuticalStartDateTime": "20240516233000"}
    got = factor(tmp_path, tracer=tracer, SeriesTime="001500", AcquisitionTime="001500")
    assert got == pytest.approx(left(45 * 60), rel=1e-12)


def test_scan_starts_with_the_first_bed_where_the_series_was_made_later(tmp_path: Path) -> None:
    times = ["111500", "110500", "111000", "112000", "112500"]
    assert factor(tmp_path, times=times, SeriesTime="170000") == pytest.approx(left(3900), rel=1e-12)


def test_scan_starts_with_the_series_where_the_first_bed_was_measured_later(tmp_path: Path) -> None:
    assert factor(tmp_path, times=["110500"] * 5) == pytest.approx(left(3600), rel=1e-12)


@pytest.mark.parametrize("time", ["090000", "103000"])
def test_series_that_was_made_on_the_next_day_does_not_move_the_injection(tmp_path: Path, time: str) -> None:
    got = factor(tmp_path, SeriesDate="20240518", SeriesTime=time)
    assert got == pytest.approx(left(3600), rel=1e-12)


def test_series_without_a_time_takes_that_of_the_acquisition(tmp_path: Path) -> None:
    assert factor(tmp_path, SeriesTime=None) == pytest.approx(left(3600), rel=1e-12)


def test_series_without_a_date_takes_that_of_the_study(tmp_path: Path) -> None:
    got = factor(tmp_path, SeriesDate=None, AcquisitionDate=None, AcquisitionTime=None, StudyDate="20240517")
    assert got == pytest.approx(left(3600), rel=1e-12)


def test_time_may_end_early_and_have_fractions(tmp_path: Path) -> None:
    got = factor(tmp_path, tracer={"RadiopharmaceuticalStartTime": "1000"}, SeriesTime="105959.25")
    assert got == pytest.approx(left(3599.25), rel=1e-12)


def test_factor_of_philips_is_taken_for_counts(tmp_path: Path) -> None:
    array = np.zeros(OBLIQUE.shape, np.int16)
    for k, dataset in enumerate(write_series(array, OBLIQUE, tmp_path, **(PET | {"Units": "CNTS"}))):
        dataset.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "DS", "0.000321")
        dataset.save_as(tmp_path / f"{k:05d}")
    assert suv_factor(found_in(tmp_path)[0]) == 0.000321


@pytest.mark.parametrize("value", [None, "0"])
def test_counts_without_the_factor_of_philips_are_refused(tmp_path: Path, value: str | None) -> None:
    array = np.zeros(OBLIQUE.shape, np.int16)
    for k, dataset in enumerate(write_series(array, OBLIQUE, tmp_path, **(PET | {"Units": "CNTS"}))):
        if value is not None:
            dataset.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "DS", value)
            dataset.save_as(tmp_path / f"{k:05d}")
    with pytest.raises(ScanError, match=r"PET in counts must give the Philips SUV factor \(7053,1000\), got none"):
        suv_factor(found_in(tmp_path)[0])


def test_grams_per_millilitre_are_suv_already(tmp_path: Path) -> None:
    assert factor(tmp_path, Units="GML", PatientWeight=None) == 1


@pytest.mark.parametrize(
    ("tracer", "pet"),
    [
        ({}, {"PatientWeight": None}),
        ({}, {"PatientWeight": "0"}),
        ({"RadionuclideTotalDose": None}, {}),
        ({"RadionuclideTotalDose": 0}, {}),
        ({"RadionuclideHalfLife": None}, {}),
        ({}, {"RadiopharmaceuticalInformationSequence": []}),
    ],
)
def test_missing_weight_or_dose_is_refused(tmp_path: Path, tracer: dict[str, Any], pet: dict[str, Any]) -> None:
    with pytest.raises(ScanError, match="SUV needs patient weight, injected dose and half-life, got some missing"):
        factor(tmp_path, tracer=tracer, **pet)


def test_missing_time_of_the_injection_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="SUV needs the time of the injection, got none"):
        factor(tmp_path, tracer={"RadiopharmaceuticalStartTime": None})


def test_missing_time_of_the_scan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="SUV needs the time of the series, got none"):
        factor(tmp_path, SeriesTime=None, AcquisitionTime=None)


@pytest.mark.parametrize("moment", ["20240517120000", "20240515100000"])
def test_injection_after_the_scan_or_days_before_is_refused(tmp_path: Path, moment: str) -> None:
    with pytest.raises(ScanError, match=r"injection must lie within a day before the scan, got -?[0-9]+ s"):
        factor(tmp_path, tracer={"RadiopharmaceuticalStartDateTime": moment})


@pytest.mark.parametrize("correction", ["NONE", None, "Mustermann"])
def test_activity_that_is_not_corrected_is_refused(tmp_path: Path, correction: str | None) -> None:
    with pytest.raises(ScanError, match="must be decay-corrected to START or ADMIN") as reported:
        factor(tmp_path, DecayCorrection=correction)
    assert "Mustermann" not in str(reported.value)


@pytest.mark.parametrize(("units", "reported"), [("PROPCPS", "others"), (None, "none"), ("Mustermann", "others")])
def test_other_units_are_refused(tmp_path: Path, units: str | None, reported: str) -> None:
    with pytest.raises(ScanError, match=f"PET units must be BQML, CNTS or GML for SUV, got {reported}") as refused:
        factor(tmp_path, Units=units)
    assert "MUSTERMANN" not in str(refused.value).upper()
