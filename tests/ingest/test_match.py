from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from medseg.ingest.image_source import ImageSource, file_image, series_image
from medseg.ingest.label_source import LabelSource
from medseg.ingest.match import LostLabel, Match, MatchedLabel, MatchKind, settle
from medseg.ingest.patient_name import PatientName
from medseg.ingest.refusal import Refusal
from medseg.scans.dicom import SeriesRules, find_series
from medseg.scans.dicom.instance import read_instance

from tests.ingest.sources import voxels, write_ct, write_nifti


def label_of(patient: str) -> LabelSource:
    return LabelSource(Path("rs"), "RTSTRUCT", ("GTV",), patient=patient)


@pytest.fixture
def series(tmp_path: Path) -> ImageSource:
    """A CT of the patient `meier`."""
    write_ct(tmp_path, PatientID="meier")
    instances = [one for path in sorted(tmp_path.iterdir()) if (one := read_instance(path)) is not None]
    (found,) = find_series(instances, SeriesRules(3, False))
    return series_image(found, repair=frozenset())


def test_label_of_the_same_patient_belongs_to_its_image(series: ImageSource) -> None:
    settled = settle(label_of("meier"), Match(series, "frame"))
    assert isinstance(settled, MatchedLabel)
    assert settled.image is series
    assert settled.how == "RTSTRUCT matched by frame of reference and geometry"


@pytest.mark.parametrize(("kind", "words"), [("images", "referenced images"), ("series", "referenced series")])
def test_label_of_another_patient_that_refers_to_the_image_is_taken_and_says_so(
    series: ImageSource, kind: MatchKind, words: str
) -> None:
    settled = settle(label_of("schmidt"), Match(series, kind))
    assert isinstance(settled, MatchedLabel)
    assert settled.match.is_other_patient
    assert settled.how == f"RTSTRUCT matched by {words}, though it names another patient"


def test_label_of_another_patient_that_only_lies_there_is_lost(series: ImageSource) -> None:
    settled = settle(label_of("schmidt"), Match(series, "frame"))
    assert isinstance(settled, LostLabel)
    assert settled.refusal.kind == "other_patient"
    assert settled.refusal.remedy == "correct the patient, and ingest again"


def test_label_that_names_no_patient_belongs_to_the_image_it_fits(series: ImageSource) -> None:
    assert isinstance(settle(label_of(""), Match(series, "frame")), MatchedLabel)


def test_patient_of_a_file_is_no_reason_to_doubt_a_label(tmp_path: Path) -> None:
    write_nifti(tmp_path / "ct.nii.gz", voxels())
    image = file_image(tmp_path / "ct.nii.gz", tmp_path, PatientName("a folder", False))
    assert isinstance(settle(label_of("schmidt"), Match(image, "frame")), MatchedLabel)


def test_label_whose_image_was_refused_says_why(series: ImageSource) -> None:
    refused = replace(series, refusal=Refusal("series", "slices must be evenly spaced", "repair the gaps"))
    settled = settle(label_of("meier"), Match(refused, "images"))
    assert isinstance(settled, LostLabel)
    assert settled.refusal == Refusal(
        "refused_image", "its image was refused: slices must be evenly spaced", "repair the gaps"
    )


def test_damaged_label_says_that_before_anything_else(series: ImageSource) -> None:
    damage = Refusal("unreadable", "DICOM label must be whole, got damage", "export it again")
    lost = settle(replace(label_of("meier"), refusal=damage), Refusal("no_image", "no image was found"))
    assert isinstance(lost, LostLabel)
    assert lost.refusal is damage


@pytest.mark.parametrize(
    ("refusal", "is_aside", "message"),
    [
        (Refusal("unwanted", "it is a localizer", "nothing to do"), True, "it is a localizer; nothing to do"),
        (Refusal("copy", "its voxels are another's"), True, "its voxels are another's"),
        (Refusal("series", "slices are missing", "copy them"), False, "slices are missing; copy them"),
        (Refusal("unreadable", "it cannot be read"), False, "it cannot be read"),
    ],
)
def test_refusal_says_fact_and_remedy(refusal: Refusal, is_aside: bool, message: str) -> None:
    assert refusal.is_aside == is_aside
    assert refusal.message == message
