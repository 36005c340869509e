"""Remedies of the errors of inputs: paths that mean no case, or several, and DICOM studies that fit no model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from medseg.errors import ScanError
from medseg.inference import CaseInput, FoundInputs, InputChoice, find_inputs, read_input
from medseg.inference.inputs import check_channels
from medseg.inference.inputs.pseudonym_table import load_pseudonym_table
from medseg.inference.inputs.series_record import find_source_series
from medseg.scans import write_scan
from pydicom.uid import generate_uid

from tests.grids import grid
from tests.inference.inputs.test_pet import write_pet
from tests.ingest.sources import write_ct
from tests.remedies.attempts import tries

Again = Iterator[Callable[[], object]]
GRID = grid((8, 9, 10))
TWO = ("T1", "T2")


def write_image(path: Path, channels: int = 1) -> Path:
    write_scan(np.random.default_rng(0).normal(size=(channels, *GRID.shape)).astype(np.float32), GRID, path)
    return path


def find(*paths: Path, channels: Sequence[str] = ("MR",), **choice: Any) -> FoundInputs:
    """The inputs of some paths, none of which may be refused."""
    found = find_inputs(paths, channels=channels, choice=InputChoice(**choice))
    for one in found.refused:
        raise one.error
    return found


def read(case: CaseInput, channels: Sequence[str]) -> None:
    check_channels(read_input(case, channels=channels), channels, case_id=case.case_id)


@tries(
    "inference/inputs/channels.py",
    "give the scan with these channels alone, in one file, or in files of one channel each, numbered from _0000 on",
)
def _channels(place: Path) -> Again:
    write_image(place / "one" / "a.nii.gz")
    yield lambda: read(find(place / "one", channels=TWO).cases[0], TWO)
    write_image(place / "both" / "a.nii.gz", channels=2)
    yield lambda: read(find(place / "both", channels=TWO).cases[0], TWO)
    for number in range(2):
        write_image(place / "numbered" / f"a_000{number}.nii.gz")
    yield lambda: read(find(place / "numbered", channels=TWO).cases[0], TWO)


@tries("inference/inputs/file_cases.py", "add the missing ones or take the others away")
def _channel_files(place: Path) -> Again:
    for number in range(3):
        write_image(place / "in" / f"a_000{number}.nii.gz")
    yield lambda: find(place / "in", channels=TWO)
    yield lambda: find(*(place / "in" / f"a_000{number}.nii.gz" for number in range(2)), channels=TWO)
    write_image(place / "in" / "a_0003.nii.gz")
    yield lambda: find(place / "in", channels=tuple("abcd"))


def case_in(folder: Path) -> Path:
    """A manifest of a case in either fold."""
    write_image(folder / "a.nii.gz")
    entries = [{"case_id": f"{n}", "patient_id": f"p{n}", "image": "a.nii.gz", "fold": n} for n in range(2)]
    content = {"name": "x", "channel_names": {"0": "MR"}, "labels": {"background": 0, "liver": 1}, "training": entries}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


@tries("inference/inputs/read_input.py", "predict a NIfTI file that holds SUV by body weight")
def _pet_without_suv(place: Path) -> Again:
    write_pet(place / "in", PatientWeight=None)
    yield lambda: read(find(place / "in", channels=("SUV",)).cases[0], ("SUV",))
    write_image(place / "suv" / "a.nii.gz")
    yield lambda: read(find(place / "suv", channels=("SUV",)).cases[0], ("SUV",))


@tries("inference/inputs/find_inputs.py", "leave them out, or give the manifest")
def _fold_of_files(place: Path) -> Again:
    folder = case_in(place)
    yield lambda: find(folder / "a.nii.gz", fold=0)
    yield lambda: find(folder / "a.nii.gz")
    yield lambda: find(folder, fold=0)


@tries("inference/inputs/find_inputs.py", "predict it apart from the others, into a folder of its own")
def _manifest_beside_files(place: Path) -> Again:
    folder, file = case_in(place / "set"), write_image(place / "b.nii.gz")
    yield lambda: find(folder, file)
    yield lambda: [find(folder), find(file)]


@tries("inference/inputs/find_inputs.py", "leave them out, or give the scans themselves")
def _pseudonyms_of_a_manifest(place: Path) -> Again:
    folder = case_in(place / "set")
    yield lambda: find(folder, pseudonyms=place / "table.csv")
    yield lambda: find(folder)
    yield lambda: find(folder / "a.nii.gz", pseudonyms=place / "table.csv")


@tries("inference/inputs/find_inputs.py", "leave the choice out")
def _series_of_files(place: Path) -> Again:
    file = write_image(place / "a.nii.gz")
    yield lambda: find(file, series=("3",))
    yield lambda: find(file)


@tries("inference/inputs/find_inputs.py", "give the folder that holds them")
def _no_image(place: Path) -> Again:
    write_image(place / "in" / "a.nii.gz")
    (place / "notes").mkdir()
    (place / "notes" / "1.txt").write_text("text")
    yield lambda: find(place / "notes")
    yield lambda: find(place / "in")


@tries("inference/inputs/given_files.py", "check the path")
def _no_path(place: Path) -> Again:
    write_image(place / "a.nii.gz")
    yield lambda: find(place / "b.nii.gz")
    yield lambda: find(place / "a.nii.gz")


@tries("inference/inputs/other_files.py", "give a scan, or the folder of its DICOM files")
def _archive(place: Path) -> Again:
    write_ct(place / "in")
    shutil.make_archive(str(place / "study"), "zip", place / "in")
    yield lambda: find(place / "study.zip", channels=("CT",))
    yield lambda: find(place / "in", channels=("CT",))
    yield lambda: find(write_image(place / "a.nii.gz"), channels=("CT",))


def two_series(folder: Path, modality: str = "CT") -> list[str]:
    """Two series of a study that no model tells apart; their UIDs."""
    own = {"StudyInstanceUID": generate_uid(), "Modality": modality}
    uids = [generate_uid(), generate_uid()]
    for number, uid in enumerate(uids, start=3):
        words = f"phase {number}"
        write_ct(folder / words, series_uid=uid, SeriesNumber=number, SeriesDescription=words, **own)
    return uids


@tries(
    "inference/inputs/fitting_series.py",
    "choose one with the option series of medseg predict: its number as it is shown, its UID or words of its "
    "description",
)
def _ambiguous(place: Path) -> Again:
    uids = two_series(place / "in")
    yield lambda: find(place / "in", channels=("CT",))
    for chosen in ("3", uids[1], "Phase 4"):
        yield lambda chosen=chosen: find(place / "in", channels=("CT",), series=(chosen,))  # type: ignore[misc]


@tries("inference/inputs/fitting_series.py", "give another study, or {}")
def _no_fitting_series(place: Path) -> Again:
    two_series(place / "mr", modality="MR")
    yield lambda: find(place / "mr", channels=("CT",))
    write_ct(place / "ct")
    yield lambda: find(place / "ct", channels=("CT",))
    yield lambda: find(place / "mr", channels=("CT",), series=("3",))


@tries(
    "inference/inputs/fitting_series.py",
    "write a NIfTI file of each channel, numbered from _0000 on, and predict these",
)
def _one_series_for_two_channels(place: Path) -> Again:
    write_ct(place / "in")
    yield lambda: find(place / "in", channels=("CT", "low dose CT"))
    for number in range(2):
        write_image(place / "files" / f"a_000{number}.nii.gz")
    yield lambda: find(place / "files", channels=("CT", "low dose CT"))


@tries("inference/inputs/pseudonym_table.py", "choose a file in another folder")
def _table_within_the_masks(place: Path) -> Again:
    file, out = write_image(place / "in" / "a.nii.gz"), place / "masks"
    yield lambda: find(file, out=out, pseudonyms=out / "table.csv")
    yield lambda: find(file, out=out, pseudonyms=place / "table.csv")


@tries(
    "inference/inputs/pseudonym_table.py",
    "give the table of an earlier prediction as it was written, or the name of a new file",
)
def _no_table(place: Path) -> Again:
    file = write_image(place / "in" / "a.nii.gz")
    (place / "other.csv").write_text("a,b\n1,2\n")
    yield lambda: find(file, pseudonyms=place / "other.csv")
    yield lambda: find(file, pseudonyms=place / "new.csv")
    yield lambda: find(file, pseudonyms=place / "new.csv")
    yield lambda: load_pseudonym_table(place / "new.csv")


@tries("inference/inputs/series_record.py", "put its files back where they were, or predict again")
def _moved_series(place: Path) -> Again:
    write_ct(place / "in")

    def again(case: CaseInput) -> object:
        if case.source is None:
            raise ScanError("the case must have a source")
        return find_source_series(case.source.series[0])

    (case,) = find(place / "in", channels=("CT",)).cases
    (place / "in").rename(place / "moved")
    yield lambda: again(case)
    yield lambda: again(find(place / "moved", channels=("CT",)).cases[0])
    (place / "moved").rename(place / "in")
    yield lambda: again(case)
