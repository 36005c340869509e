"""The scan of a mask is found wherever it is now, and nothing of a patient under a pseudonym is told."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest
from medseg.errors import ManifestError
from medseg.runs.segmentation.predict import PredictSettings, predict_run
from medseg.scans import write_scan

from tests.conftest import Medseg
from tests.ingest.sources import voxels, write_ct
from tests.remedies.inference import model_run
from tests.runs.delivered import OBLIQUE, STRAIGHT, deliver, draw_masks

NAMES = ("Doe", "Jane", "MRN123", "19700101")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    draw_masks(tmp_path)
    return tmp_path


def test_scans_that_were_moved_are_found_in_the_folder_given(place: Path) -> None:
    (place / "scans").rename(place / "elsewhere")
    assert len(deliver(place / "masks", place / "none", "csv").failures) == 2
    for name, folder in (("in it", place / "elsewhere"), ("below it", place)):
        result = deliver(place / "masks", place / name, "csv", sources=(folder,))
        assert {one.certificate.case_id for one in result.delivered} == {"A", "oblique"}, result.failures


def test_good_copy_in_the_folder_given_replaces_a_bad_one(place: Path) -> None:
    shutil.copytree(place / "scans", place / "good")
    sorted((place / "scans" / "study").iterdir())[0].unlink()
    (place / "scans" / "oblique.nii.gz").write_bytes(b"torn")
    assert len(deliver(place / "masks", place / "bad", "csv").failures) == 2
    result = deliver(place / "masks", place / "out", "csv", sources=(place / "good",))
    assert {one.certificate.case_id for one in result.delivered} == {"A", "oblique"}, result.failures


def test_scan_of_the_same_name_and_other_content_is_never_taken(place: Path) -> None:
    (place / "scans").rename(place / "kept")
    write_ct(place / "others" / "study", STRAIGHT, PatientID="B", Modality="CT")
    write_scan(voxels(OBLIQUE)[None] + 1, OBLIQUE, place / "others" / "scans" / "oblique.nii.gz")
    result = deliver(place / "masks", place / "out", "csv", sources=(place / "others",))
    assert not result.delivered
    assert "got" in result.failures[0].reason


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """Masks under pseudonyms, whose scans have names of patients."""
    run = model_run(tmp_path / "run", channels=("CT",))
    study = tmp_path / "scans" / "Doe_Jane_19700101"
    write_ct(study, STRAIGHT, PatientID="MRN123", PatientName="Doe^Jane", Modality="CT")
    for path in list(study.iterdir()):
        path.rename(path.with_name(f"JaneDoe_{path.name}.dcm"))
    write_scan(voxels(OBLIQUE)[None], OBLIQUE, tmp_path / "scans" / "DoeJane.nii.gz")
    table = tmp_path / "private" / "table.csv"
    predict_run(run, [tmp_path / "scans"], PredictSettings(out=tmp_path / "masks", device="cpu", pseudonyms=table))
    return tmp_path


def told(folder: Path) -> set[str]:
    """Names of the files that tell who the patient is."""
    found = set()
    for path in folder.rglob("*"):
        content = b"" if path.is_dir() else path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        if any(name in path.name or name.encode() in content for name in NAMES):
            found.add(path.name)
    return found


def test_dicom_files_alone_hold_the_identity_and_it_is_said(private: Path, medseg: Medseg) -> None:
    table = private / "private" / "table.csv"
    outcome = medseg("deliver", private / "masks", "--out", private / "out", "--pseudonyms", table)
    assert outcome.code == 0, outcome.err
    assert told(private / "out") == {path.name for path in (private / "out").rglob("*.dcm")} != set()
    assert "DICOM files hold the patient's name and id, as archives need them: 1 case(s)" in outcome.out
    result = deliver(private / "masks", private / "out", pseudonyms=table)
    marked = {file.name for one in result.delivered for file in one.certificate.files if file.holds_identity}
    assert marked == told(private / "out")


@pytest.mark.parametrize("fault", ["lost", "torn", "changed", "moved"])
def test_error_of_a_case_under_a_pseudonym_names_nobody(private: Path, fault: str) -> None:
    study, image = private / "scans" / "Doe_Jane_19700101", private / "scans" / "DoeJane.nii.gz"
    first = sorted(study.iterdir())[0]
    content = first.read_bytes()
    if fault == "lost":
        first.unlink()
        image.unlink()
    elif fault == "torn":
        first.write_bytes(content[: len(content) // 2])
        image.write_bytes(b"torn")
    elif fault == "changed":
        first.write_bytes(content[:-1] + b"\x07")
        image.write_bytes(b"other")
    else:
        (private / "scans").rename(private / "Doe")
    result = deliver(private / "masks", private / "out", pseudonyms=private / "private" / "table.csv")
    assert len(result.failures) == 2
    assert not any(name in failure.reason for failure in result.failures for name in NAMES)
    assert told(private / "out") == set()


def test_table_without_its_key_is_refused_and_gets_no_other(private: Path) -> None:
    key = private / "private" / "table.csv.key"
    key.unlink()
    with pytest.raises(ManifestError, match=r"must have its key table\.csv\.key beside it"):
        deliver(private / "masks", private / "out", pseudonyms=private / "private" / "table.csv")
    assert not key.exists()
