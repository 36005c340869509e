"""Remedies of the errors of a delivery: masks, their scans, the choices and the target folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from medseg.delivery.certificate import load_certificate
from medseg.delivery.export import Delivery, deliver_case
from medseg.inference import find_inputs, load_record
from medseg.inference.inputs.case_input import InputChoice
from medseg.inference.inputs.find_source import SourcePlaces, find_source
from medseg.inference.segmentation import Predictor, predict_cases
from medseg.runs.segmentation.deliver import DeliverSettings, deliver_masks
from medseg.runs.segmentation.predict import PredictSettings, predict_run

from tests.inference.classification.knowing import CPU
from tests.ingest.sources import write_ct
from tests.remedies.attempts import tries
from tests.remedies.inference import model_run, write_image

Again = Iterator[Callable[[], object]]
SOURCE, EXPORT = "inference/inputs/find_source.py", "delivery/export"


def draw(place: Path, *, pseudonyms: Path | None = None, channels: tuple[str, ...] = ("MR",)) -> None:
    """Masks of all scans of a folder."""
    choice = InputChoice(pseudonyms=pseudonyms)
    found = find_inputs([place / "scans"], channels=channels, choice=choice)
    run = place / f"run_{channels[0]}"
    predictor = Predictor.load(run if run.exists() else model_run(run, channels=channels), device=CPU)
    _, failures = predict_cases(predictor, found, place / "masks")
    assert not failures


def one(place: Path, *forms: str, pseudonyms: Path | None = None, sources: tuple[Path, ...] = ()) -> object:
    """Deliver the only case, and let its error through."""
    record = load_record(place / "masks")
    assert record is not None
    delivery = Delivery(
        masks=place / "masks",
        record=record,
        out=place / "out",
        forms=forms or ("csv",),
        places=SourcePlaces.of(sources, pseudonyms=pseudonyms),
    )
    (place / "out").mkdir(exist_ok=True)
    return deliver_case(record.cases[0], delivery)


@tries(SOURCE, "start in the folder of the prediction, or give the folder that holds the scan now")
def _scan_that_moved(place: Path) -> Again:
    write_image(place / "scans" / "b" / "a.nii.gz")
    draw(place)
    record = load_record(place / "masks")
    assert record is not None
    assert record.cases[0].source is not None
    (name,) = record.cases[0].source.files
    relative = record.cases[0].model_copy(
        update={"source": record.cases[0].source.model_copy(update={"files": (str(Path(name).relative_to(place)),)})}
    )
    yield lambda: find_source(relative, SourcePlaces.of())
    yield lambda: find_source(relative, SourcePlaces.of([place]))


@tries(SOURCE, "predict again from the scan as it is now, or bring back the files that the mask was drawn on")
def _scan_that_changed(place: Path) -> Again:
    path = write_image(place / "scans" / "a.nii.gz")
    draw(place)
    shutil.copy(path, place / "kept.nii.gz")
    image: Any = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj) + 1, image.affine), path)
    yield lambda: one(place)
    draw(place)
    yield lambda: one(place)
    shutil.copy(place / "kept.nii.gz", path)
    shutil.rmtree(place / "masks")
    draw(place)
    yield lambda: one(place)


@tries(SOURCE, "give the private table that the prediction wrote, by the option pseudonyms")
def _pseudonym(place: Path) -> Again:
    write_image(place / "scans" / "a.nii.gz")
    table = place / "private" / "table.csv"
    draw(place, pseudonyms=table)
    yield lambda: one(place)
    yield lambda: one(place, pseudonyms=table)


@tries(SOURCE, "give the table that this prediction wrote")
def _other_table(place: Path) -> Again:
    write_image(place / "scans" / "a.nii.gz")
    table, other = place / "private" / "table.csv", place / "private" / "other.csv"
    draw(place, pseudonyms=table)
    write_image(place / "more" / "b.nii.gz")
    find_inputs([place / "more"], channels=("MR",), choice=InputChoice(pseudonyms=other))
    yield lambda: one(place, pseudonyms=other)
    yield lambda: one(place, pseudonyms=table)


@tries(SOURCE, "put the key back beside the table, as the prediction wrote both")
def _table_without_its_key(place: Path) -> Again:
    write_image(place / "scans" / "a.nii.gz")
    table = place / "private" / "table.csv"
    draw(place, pseudonyms=table)
    key = table.with_name("table.csv.key").rename(place / "key")
    yield lambda: one(place, pseudonyms=table)
    key.rename(table.with_name("table.csv.key"))
    yield lambda: one(place, pseudonyms=table)


@tries(SOURCE, "predict again")
def _record_of_an_earlier_version(place: Path) -> Again:
    write_image(place / "scans" / "a.nii.gz")
    draw(place)
    record = load_record(place / "masks")
    assert record is not None
    old = record.cases[0].model_copy(update={"source": None})
    yield lambda: find_source(old, SourcePlaces.of())
    yield lambda: find_source(record.cases[0], SourcePlaces.of())


@tries(f"{EXPORT}/read_case.py", "predict again, which draws what is missing")
def _no_mask(place: Path) -> Again:
    write_image(place / "scans" / "a.nii.gz")
    draw(place)
    (place / "masks" / "a.nii.gz").unlink()
    yield lambda: one(place)
    draw(place)
    yield lambda: one(place)


def corrected(place: Path, *, shift_mm: float = 0.0, value: int = 1) -> None:
    """Save the mask as a person would."""
    path = place / "masks" / "a.nii.gz"
    image: Any = nibabel.load(path)
    array, affine = np.zeros(image.shape, np.uint8), image.affine.copy()
    array[1, 1, 1] = value
    affine[0, 3] += shift_mm
    nibabel.save(nibabel.Nifti1Image(array, affine, image.header), path)


@tries(f"{EXPORT}/read_case.py", "save a mask that was corrected elsewhere on the grid of the scan")
def _other_grid(place: Path) -> Again:
    write_image(place / "scans" / "a.nii.gz")
    draw(place)
    whole = (place / "masks" / "a.nii.gz").read_bytes()
    corrected(place, shift_mm=2.0)
    yield lambda: one(place)
    (place / "masks" / "a.nii.gz").write_bytes(whole)
    corrected(place)
    yield lambda: one(place)


@tries(f"{EXPORT}/read_case.py", "correct the mask with the values that predictions.json lists")
def _unknown_value(place: Path) -> Again:
    write_image(place / "scans" / "a.nii.gz")
    draw(place)
    corrected(place, value=7)
    yield lambda: one(place)
    corrected(place)
    yield lambda: one(place)


@tries(f"{EXPORT}/forms.py", "predict from the DICOM study, or leave the form out")
def _seg_of_a_file(place: Path) -> Again:
    write_image(place / "scans" / "a.nii.gz")
    draw(place)
    yield lambda: one(place, "csv", "seg")
    yield lambda: one(place, "csv")
    shutil.rmtree(place / "scans")
    shutil.rmtree(place / "masks")
    write_ct(place / "scans", PatientID="A")
    draw(place, channels=("CT",))
    corrected_series(place)
    yield lambda: one(place, "csv", "seg")


def corrected_series(place: Path) -> None:
    (path,) = (place / "masks").glob("*.nii.gz")
    path.rename(place / "masks" / "a.nii.gz")
    corrected(place)
    (place / "masks" / "a.nii.gz").rename(path)


@tries(f"{EXPORT}/forms.py", "leave the form out")
def _segmentation_of_a_picture(place: Path) -> Again:
    from PIL import Image

    (place / "scans").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (12, 10), dtype=np.uint8)
    Image.fromarray(pixels).save(place / "scans" / "a.png")
    draw(place)
    yield lambda: one(place, "nifti", "seg-nrrd")
    yield lambda: one(place, "nifti")


@tries(f"{EXPORT}/forms.py", "predict with probabilities into another folder, or leave the form out")
def _no_maps(place: Path) -> Again:
    write_image(place / "scans" / "a.nii.gz")
    draw(place)
    yield lambda: one(place, "nifti", "probabilities")
    yield lambda: one(place, "nifti")
    shutil.rmtree(place / "masks")
    run = next(place.glob("run_*"))
    predict_run(run, [place / "scans"], PredictSettings(out=place / "masks", device="cpu", probabilities=True))
    yield lambda: one(place, "nifti", "probabilities")


@tries(f"{EXPORT}/forms.py", "deliver the form seg too")
def _report_before_the_seg(place: Path) -> Again:
    write_ct(place / "scans", PatientID="A")
    draw(place, channels=("CT",))
    corrected_series(place)
    yield lambda: one(place, "sr")
    yield lambda: one(place, "seg", "sr")


@tries(f"{EXPORT}/deliver_case.py", "move it away, or deliver into another folder")
def _something_else_in_the_folder(place: Path) -> Again:
    write_image(place / "scans" / "a.nii.gz")
    draw(place)
    (place / "out" / "a").mkdir(parents=True)
    yield lambda: one(place)
    (place / "out" / "a").rename(place / "mine")
    yield lambda: one(place)


@tries(f"{EXPORT}/deliver_case.py", "move them elsewhere, or deliver into another folder")
def _notes_in_the_folder(place: Path) -> Again:
    write_image(place / "scans" / "a.nii.gz")
    draw(place)
    one(place)
    (place / "out" / "a" / "notes.txt").touch()
    yield lambda: one(place, "nifti")
    (place / "out" / "a" / "notes.txt").rename(place / "notes.txt")
    yield lambda: one(place, "nifti")


@tries(f"{EXPORT}/deliver_case.py", "rename the scan and predict it again")
def _id_that_is_a_name_of_a_delivery(place: Path) -> Again:
    write_image(place / "scans" / "certificate.nii.gz")
    draw(place)
    yield lambda: one(place)
    (place / "scans" / "certificate.nii.gz").rename(place / "scans" / "a.nii.gz")
    shutil.rmtree(place / "masks")
    draw(place)
    yield lambda: one(place)


@tries("runs/segmentation/delivery_record.py", "remove {} and deliver all cases again")
def _torn_record_of_the_delivery(place: Path) -> Again:
    write_image(place / "scans" / "a.nii.gz")
    draw(place)
    deliver(place)()
    (place / "delivery" / "delivery.json").write_text("{")
    yield deliver(place, cases=("a",))
    (place / "delivery" / "delivery.json").unlink()
    yield deliver(place)


@tries("delivery/certificate/certificate.py", "remove the folder of the case and deliver again")
def _torn_certificate(place: Path) -> Again:
    write_image(place / "scans" / "a.nii.gz")
    draw(place)
    one(place)
    (place / "out" / "a" / "certificate.json").write_text("{")
    yield lambda: load_certificate(place / "out" / "a")
    shutil.rmtree(place / "out" / "a")
    one(place)
    yield lambda: load_certificate(place / "out" / "a")


RUN = "runs/segmentation/deliver.py"


def deliver(place: Path, out: str = "delivery", **choices: Any) -> Callable[[], object]:
    return lambda: deliver_masks(place / "masks", DeliverSettings(out=place / out, **choices))


@tries(RUN, "predict the masks with medseg, which knows what their values mean")
def _masks_from_elsewhere(place: Path) -> Again:
    (place / "masks").mkdir()
    write_image(place / "scans" / "a.nii.gz")
    yield deliver(place)
    draw(place)
    yield deliver(place)


@tries(RUN, "add the form seg")
def _report_without_seg(place: Path) -> Again:
    write_ct(place / "scans", PatientID="A")
    draw(place, channels=("CT",))
    yield deliver(place, forms=("sr",))
    yield deliver(place, forms=("sr", "seg"))


@tries(RUN, "choose another folder")
def _into_the_masks(place: Path) -> Again:
    write_image(place / "scans" / "a.nii.gz")
    draw(place)
    yield deliver(place, out="masks/delivery")
    yield deliver(place)


@tries(RUN, "take an id of {}")
def _unknown_case(place: Path) -> Again:
    write_image(place / "scans" / "a.nii.gz")
    draw(place)
    yield deliver(place, cases=("b",))
    yield deliver(place, cases=("a",))
