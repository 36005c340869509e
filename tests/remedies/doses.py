"""Remedies of doses and other quantities: read, ingested, written as RT Dose and delivered."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from medseg.errors import PipelineError
from medseg.records import Scan
from medseg.runs.regression.deliver import deliver_quantities
from medseg.runs.segmentation.deliver import DeliverSettings
from medseg.scans import write_scan
from medseg.scans.dicom import read_dose, write_rtdose
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, PositronEmissionTomographyImageStorage, generate_uid

from tests.dicom_files import write_series
from tests.ingest.test_quantities import DOSE, LABELS, SUMMED, WITH_TARGET, _as_beam, _beams, changed, studies
from tests.remedies.attempts import by_a_person, tries
from tests.remedies.ingest import ingesting
from tests.runs.regression.test_deliver import made, predicted
from tests.scans.dicom.test_contour_writer import ALGORITHM, scan_of
from tests.scans.dicom.test_dose_reading import written
from tests.scans.dicom.test_dose_writer import dose_on

Again = Iterator[Callable[[], object]]
PET = f"{LABELS}channels: [{{name: CT, modality: CT}}]\nquantities: {{PET: {{unit: Bq/ml, modality: PT}}}}\n"

by_a_person("a fault of medseg has no other remedy", "scans/dicom/dose_check.py", "report this as a fault of medseg")


def _exported_again(place: Path, **values: Any) -> Again:
    """A dose with other values in its header, and the dose as it was."""
    place.mkdir(exist_ok=True)
    path = written(place)
    whole = path.read_bytes()
    changed(path, lambda dataset: [setattr(dataset, keyword, value) for keyword, value in values.items()])
    yield lambda: read_dose(path)
    path.write_bytes(whole)
    yield lambda: read_dose(path)


@tries("scans/dicom/dose_reading.py", "export it again from the planning system")
def _no_scaling(place: Path) -> Again:
    yield from _exported_again(place, DoseGridScaling=None)


@tries("scans/dicom/dose_reading.py", "export the dose as absolute dose in Gy")
def _relative(place: Path) -> Again:
    yield from _exported_again(place, DoseUnits="RELATIVE")


@tries("scans/dicom/dose_reading.py", "export the dose itself, not its uncertainty")
def _uncertainty(place: Path) -> Again:
    yield from _exported_again(place, DoseType="ERROR")


@tries("scans/dicom/dose_reading.py", "export it with its dose grid")
def _no_grid(place: Path) -> Again:
    yield from _exported_again(place, Rows=None)


@tries("scans/dicom/dose_reading.py", "give the file of the dose")
def _another_object(place: Path) -> Again:
    yield from _exported_again(place, SOPClassUID=CTImageStorage)


@tries("scans/dicom/dose_grid.py", "export it again from the planning system")
def _no_offsets(place: Path) -> Again:
    yield from _exported_again(place, GridFrameOffsetVector=[0, 4])


@tries("scans/dicom/dose_grid.py", "export it on an even grid")
def _uneven(place: Path) -> Again:
    yield from _exported_again(place, GridFrameOffsetVector=[0, 4, 9])


@tries("scans/dicom/dose_reading.py", "fix its permissions")
def _unreadable(place: Path) -> Again:
    path = place / "dose.dcm"
    path.mkdir()  # as unreadable as a locked file, also for root
    yield lambda: read_dose(path)
    path.rmdir()
    written(place)
    yield lambda: read_dose(path)


@tries("scans/dicom/dose_writer.py", "predict the case again")
def _dose_of_another_grid(place: Path) -> Again:
    scan = scan_of(place)
    yield lambda: write_rtdose(dose_on(scan)[1:], scan, place / "dose.dcm", algorithm=ALGORITHM)
    yield lambda: write_rtdose(dose_on(scan), scan, place / "dose.dcm", algorithm=ALGORITHM)


@tries("scans/dicom/dose_writer.py", "deliver it as NIfTI")
def _unknown_doses(place: Path) -> Again:
    scan: Scan = scan_of(place)
    dose = dose_on(scan)
    dose[2, 2, 2] = np.nan
    yield lambda: write_rtdose(dose, scan, place / "dose.dcm", algorithm=ALGORITHM)
    yield lambda: write_scan(dose[np.newaxis], scan.geometry, place / "dose.nii.gz")


# Ingest


@tries("scans/dicom/series.py", "name it under quantities in the mapping if it is to be learned")
def _dose_without_a_quantity(place: Path) -> Again:
    studies(place / "in")
    yield ingesting(place / "in", place / "a")
    yield ingesting(place / "in", place / "b", mapping=DOSE)


@tries("ingest/quantity_match.py", "export the dose of the plan, or set sum_beams in the mapping to sum beams")
def _beams_alone(place: Path) -> Again:
    studies(place / "in")
    whole = (place / "in" / "patient_00" / "RD.dcm").read_bytes()
    _beams(place / "in", _as_beam(1, 0.25), _as_beam(2, 0.75))
    yield ingesting(place / "in", place / "a", mapping=DOSE)
    yield ingesting(place / "in", place / "b", mapping=SUMMED)
    (place / "in" / "patient_00" / "RD.dcm").write_bytes(whole)
    yield ingesting(place / "in", place / "c", mapping=DOSE, accepted=["replaced"])


@tries("ingest/quantity_match.py", "take out the copies, or export the dose of the plan")
def _beam_twice(place: Path) -> Again:
    studies(place / "in")
    whole = (place / "in" / "patient_00" / "RD.dcm").read_bytes()
    _beams(place / "in", _as_beam(1, 0.5), _as_beam(1, 0.5))
    yield ingesting(place / "in", place / "a", mapping=SUMMED)
    (place / "in" / "patient_00" / "RD1.dcm").unlink()
    yield ingesting(place / "in", place / "b", mapping=SUMMED)
    (place / "in" / "patient_00" / "RD.dcm").write_bytes(whole)
    yield ingesting(place / "in", place / "c", mapping=SUMMED, accepted=["replaced"])


@tries("ingest/quantity_match.py", "narrow its description in the mapping, or ingest one plan alone")
def _two_plans(place: Path) -> Again:
    studies(place / "in")

    def as_boost(dataset: Dataset) -> None:
        dataset.SOPInstanceUID, dataset.SeriesDescription = generate_uid(), "boost"

    boost = changed(place / "in" / "patient_00" / "RD.dcm", as_boost, as_="RD2.dcm")
    yield ingesting(place / "in", place / "a", mapping=DOSE)
    narrow = DOSE.replace("prescription: 60", "prescription: 60, description: 'plan*'")
    yield ingesting(place / "in", place / "b", mapping=narrow, accepted=["replaced"])
    boost.unlink()
    yield ingesting(place / "in", place / "c", mapping=DOSE)


@tries("ingest/quantity_match.py", "add it, or take it out of the mapping")
def _one_of_two(place: Path) -> Again:
    studies(place / "in")
    both = DOSE.replace("60}", "60, description: 'plan*'}, boost: {unit: Gy, description: boost}")
    yield ingesting(place / "in", place / "a", mapping=both)
    yield ingesting(place / "in", place / "b", mapping=DOSE)

    def as_boost(dataset: Dataset) -> None:
        dataset.SOPInstanceUID, dataset.SeriesDescription = generate_uid(), "boost"

    changed(place / "in" / "patient_00" / "RD.dcm", as_boost, as_="RD2.dcm")
    yield ingesting(place / "in", place / "c", mapping=both)


def _second_image(place: Path, modality: str, **values: Any) -> Path:
    """A CT study with another series in it."""
    (study,) = studies(place / "in")
    header = changed_header(place / "in" / "patient_00" / "CT.000.dcm")
    own = {**header, "Modality": modality, "SOPClassUID": PositronEmissionTomographyImageStorage, **values}
    array = np.arange(int(np.prod(study.geometry.shape)), dtype=np.int16).reshape(study.geometry.shape)
    write_series(array, study.geometry, place / "in" / "patient_00" / f"more{len(values)}", **own)
    return place / "in"


def changed_header(path: Path) -> dict[str, Any]:
    """What the series of a study share."""
    from pydicom.filereader import dcmread

    keywords = ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "FrameOfReferenceUID", "StudyDate")
    return {keyword: dcmread(path)[keyword].value for keyword in keywords}


@tries("ingest/quantity_match.py", "ingest the CT alone")
def _two_cts(place: Path) -> Again:
    source = _second_image(place, "CT", SOPClassUID=CTImageStorage)
    alone = "quantities: {dose: {unit: Gy}}\nignore: ['*']\n"
    yield ingesting(source, place / "a", mapping=alone, accepted=["replaced"])
    shutil.rmtree(source / "patient_00" / "more1")
    yield ingesting(source, place / "b", mapping=alone, accepted=["replaced"])


@tries("ingest/quantity_match.py", "narrow its description in the mapping")
def _two_series(place: Path) -> Again:
    source = _second_image(place, "PT", SeriesDescription="late")
    _second_image(place, "PT", SeriesDescription="early", SeriesInstanceUID=generate_uid())
    aside = ["unwanted", "replaced"]
    yield ingesting(source, place / "a", mapping=PET, accepted=aside)
    narrow = PET.replace("modality: PT", "modality: PT, description: late")
    yield ingesting(source, place / "b", mapping=narrow, accepted=[*aside, "no_channel"])


@tries("ingest/build_quantities.py", "register it to the reference first")
def _other_frame(place: Path) -> Again:
    source = _second_image(place, "PT", FrameOfReferenceUID="1.2.3")
    yield ingesting(source, place / "a", mapping=PET, accepted=["unwanted"])
    shutil.rmtree(source / "patient_00" / "more1")
    yield ingesting(_second_image(place, "PT"), place / "b", mapping=PET, accepted=["unwanted"])


by_a_person(
    "the series must be acquired or exported otherwise, and the source has only one",
    "ingest/build_quantities.py",
    "ingest it apart",
    "export them alike",
    "leave it out",
)


@tries("ingest/structure_channels.py", "draw it and export it again, or leave the case out")
def _no_target(place: Path) -> Again:
    studies(place / "in", patients=2)
    path = place / "in" / "patient_00" / "RS.dcm"
    whole = path.read_bytes()

    def without_target(dataset: Dataset) -> None:
        for keyword in ("StructureSetROISequence", "ROIContourSequence", "RTROIObservationsSequence"):
            dataset[keyword].value = dataset[keyword].value[1:]

    changed(path, without_target)
    yield ingesting(place / "in", place / "a", mapping=WITH_TARGET)
    path.write_bytes(whole)
    yield ingesting(place / "in", place / "b", mapping=WITH_TARGET)
    shutil.rmtree(place / "in" / "patient_00")
    yield ingesting(place / "in", place / "c", mapping=WITH_TARGET)


@tries("ingest/build_case.py", "export the structures too, or leave the case out")
def _no_structures(place: Path) -> Again:
    studies(place / "in", patients=2)
    path = place / "in" / "patient_00" / "RS.dcm"
    whole = path.read_bytes()
    path.unlink()
    yield ingesting(place / "in", place / "a", mapping=WITH_TARGET)
    path.write_bytes(whole)
    yield ingesting(place / "in", place / "b", mapping=WITH_TARGET)
    shutil.rmtree(place / "in" / "patient_00")
    yield ingesting(place / "in", place / "c", mapping=WITH_TARGET)


# Delivery


def _delivering(folder: Path, out: Path, **choices: Any) -> Callable[[], object]:
    """A function that delivers and raises the first failure as an error with its remedy."""

    def run() -> object:
        result = deliver_quantities(folder, DeliverSettings(out=out, **choices))
        for failure in result.failures:
            fact, _, remedy = failure.reason.rpartition("; ")
            raise PipelineError(fact, remedy=remedy)
        return result

    return run


def _predictions(place: Path, *, unit: str = "Gy") -> Path:
    found = made(place / "in")
    return predicted(place / "in", place / "doses", found, unit=unit)


@tries("delivery/regression/deliver_values.py", "leave the form out")
def _no_dose(place: Path) -> Again:
    folder = _predictions(place, unit="SUV")
    yield _delivering(folder, place / "a", forms=("nifti", "rtdose"))
    yield _delivering(folder, place / "b", forms=("nifti",))


@tries("delivery/regression/deliver_values.py", "move it away, or deliver into another folder")
def _other_folder(place: Path) -> Again:
    folder = _predictions(place)
    (case,) = (path.name.removesuffix(".nii.gz") for path in (folder / "dose").glob("*.nii.gz"))
    (place / "out" / case).mkdir(parents=True)
    (place / "out" / case / "notes.txt").touch()
    yield _delivering(folder, place / "out")
    yield _delivering(folder, place / "other")
    (place / "out" / case).rename(place / "away")
    yield _delivering(folder, place / "out")


@tries("delivery/regression/deliver_values.py", "predict again, which makes what is missing or changed")
def _changed_volume(place: Path) -> Again:
    folder = _predictions(place)
    (volume,) = (folder / "dose").glob("*.nii.gz")
    whole = volume.read_bytes()
    volume.write_bytes(b"changed")
    yield _delivering(folder, place / "out")
    volume.write_bytes(whole)
    yield _delivering(folder, place / "out")


by_a_person(
    "a volume with the checksum of the prediction lies on its scan's grid, unless another program wrote the record",
    "delivery/regression/deliver_values.py",
    "predict the case again",
)


@tries("inference/inputs/series_of_scan.py", "give the folder of that DICOM series alone as the source")
def _no_series(place: Path) -> Again:
    from tests.ingest.sources import run_ingest
    from tests.runs.regression.test_deliver import MAPPING

    found = made(place / "in")
    run_ingest(place / "in", place / "dataset", mapping=MAPPING)
    folder = predicted(place / "dataset", place / "doses", found)
    yield _delivering(folder, place / "a", forms=("rtdose",), sources=(place / "dataset",))
    yield _delivering(folder, place / "b", forms=("rtdose",), sources=(place / "dataset", place / "in"))


@tries("runs/regression/deliver.py", "choose another folder")
def _inside(place: Path) -> Again:
    folder = _predictions(place)
    yield _delivering(folder, folder / "out")
    yield _delivering(folder, place / "out")


@tries("runs/regression/deliver.py", "predict with a model of quantities")
def _no_record(place: Path) -> Again:
    folder = _predictions(place)
    yield _delivering(place / "in", place / "a")
    yield _delivering(folder, place / "b")


@tries("runs/regression/deliver.py", "take an id of {}")
def _unknown_case(place: Path) -> Again:
    folder = _predictions(place)
    (case,) = (path.name.removesuffix(".nii.gz") for path in (folder / "dose").glob("*.nii.gz"))
    yield _delivering(folder, place / "a", cases=("nobody",))
    yield _delivering(folder, place / "b", cases=(case,))
