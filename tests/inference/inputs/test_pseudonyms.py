"""Ids that only the private table leads back from."""

from __future__ import annotations

import csv
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel
import numpy as np
import pytest
from medseg.errors import ConfigError, ManifestError, ScanError
from medseg.inference import input_digest, read_input
from medseg.inference.inputs.private_text import without_names
from medseg.inference.inputs.pseudonym_table import load_pseudonym_table
from medseg.inference.inputs.series_record import find_source_series
from medseg.scans import read_scan
from pydicom import dcmread

from tests.inference.inputs.studies import find, write_study
from tests.ingest.sources import KEY, run_ingest, voxels, write_ct, write_itk, write_nifti

SECRETS = ("Mustermann", "Erika", "MRN-0047110815", "19640812", "1.2.826", "Zuweiser", "Beispielstadt", "venous")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A study and a NIfTI file in folders that name the patient."""
    write_study(tmp_path / "in" / "Mustermann", patient="MRN-0047110815")
    write_nifti(tmp_path / "in" / "Erika" / "Mustermann.nii.gz", voxels())
    return tmp_path / "in"


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_nothing_that_a_result_records_leads_to_the_patient(source: Path, tmp_path: Path) -> None:
    found = find(source, pseudonyms=tmp_path / "table.csv", out=tmp_path / "masks")
    assert len(found.cases) == 2
    recorded = [(case.case_id, str(case.source and case.source.model_dump_json())) for case in found.cases]
    recorded += [(one.path, one.reason) for one in found.passed_over]
    assert not [(text, secret) for text in str(recorded).split() for secret in SECRETS if secret in text]
    assert not list((tmp_path / "masks").rglob("*"))


def test_failure_does_not_name_the_patient_either(tmp_path: Path) -> None:
    write_study(tmp_path / "in", patient="MRN-0047110815")
    with pytest.raises(ScanError) as raised:
        find(tmp_path / "in", channels=("image",), pseudonyms=tmp_path / "table.csv")
    assert "one series must fit the channel image, got 2: series 3, CT, 12×10×6" in str(raised.value)
    assert not [secret for secret in SECRETS if secret in str(raised.value)]


def test_unreadable_file_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Mustermann.nii.gz").write_bytes(b"torn")
    (case,) = find(tmp_path / "in", pseudonyms=tmp_path / "table.csv").cases
    with pytest.raises(ScanError) as raised:
        read_input(case, channels=("CT",))
    assert raised.value.case_id == case.case_id
    assert "Mustermann" not in str(raised.value)


def test_damaged_file_is_not_named_either(tmp_path: Path) -> None:
    write_ct(tmp_path / "in" / "a", PatientID="A")
    (tmp_path / "in" / "Mustermann").mkdir()
    (tmp_path / "in" / "Mustermann" / "Erika.dcm").write_bytes(b"torn")
    (failure,) = find(tmp_path / "in", pseudonyms=tmp_path / "table.csv").failures
    assert "file … must be readable" in failure.reason
    assert not [secret for secret in SECRETS if secret in failure.reason]


def test_missing_file_that_a_header_names_is_not_named(tmp_path: Path) -> None:
    write_itk(tmp_path / "in" / "scan.nhdr", voxels())
    header = tmp_path / "in" / "scan.nhdr"
    header.write_bytes(header.read_bytes().replace(b"scan.raw.gz", b"Mustermann_Erika.raw.gz"))
    (case,) = find(tmp_path / "in", channels=("image",), pseudonyms=tmp_path / "table.csv").cases
    with pytest.raises(ScanError, match="must be a whole NRRD or MetaImage file") as raised:
        read_input(case, channels=("image",))
    assert "Mustermann" not in str(raised.value)


def test_warning_of_a_reader_does_not_name_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "in").mkdir()
    image = nibabel.Nifti1Image(np.ones((4, 4, 4), np.float32), np.diag([0.001, 0.001, 0.001, 1.0]))
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "in" / "Mustermann.nii.gz")
    (case,) = find(tmp_path / "in", pseudonyms=tmp_path / "table.csv").cases
    read_input(case, channels=("CT",))
    (warning,) = caplog.messages
    assert warning == f"case {case.case_id}: the header of … counts in units of 1000 mm"
    caplog.clear()
    read_scan(case.files, case_id="x")  # elsewhere the name stays
    assert caplog.messages == ["case x: the header of Mustermann.nii.gz counts in units of 1000 mm"]


def test_numbers_in_an_error_stay_where_files_are_called_by_numbers(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("1", "2", "80")]
    text = "DICOM pixel data must hold 120 values, got 180 bytes in 80"
    assert without_names(text, files) == "DICOM pixel data must hold 120 values, got 180 bytes in …"


@pytest.mark.parametrize(
    "text", ["[Errno 5] '{path}'", "read {name}: failed", "in {folder}", "{name}", "file {path}, {name}"]
)
def test_neither_path_nor_folder_nor_name_is_left_in_a_text(text: str, tmp_path: Path) -> None:
    path = tmp_path / "Mustermann Erika" / "Mustermann (1).nii.gz"
    cleaned = without_names(text.format(path=path, name=path.name, folder=path.parent), [path])
    assert "Mustermann" not in cleaned
    assert "…" in cleaned


def test_error_of_the_system_is_told_without_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    write_nifti(tmp_path / "in" / "Mustermann.nii.gz", voxels())
    (case,) = find(tmp_path / "in", pseudonyms=tmp_path / "table.csv").cases

    def lost(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error", str(case.files[0]))

    monkeypatch.setitem(read_input.__globals__, "read_scan", lost)
    with pytest.raises(ScanError, match=r"its files must be readable, got: Input/output error$"):
        read_input(case, channels=("CT",))


def test_table_leads_back_to_patient_series_and_files(source: Path, tmp_path: Path) -> None:
    table = tmp_path / "private" / "table.csv"
    found = find(source, pseudonyms=table)
    by_id = {row["case_id"]: row for row in rows(table)}
    assert by_id.keys() == {case.case_id for case in found.cases} | {one.path for one in found.passed_over}
    (series,) = (case for case in found.cases if case.series)
    header, row = dcmread(series.files[0]), by_id[series.case_id]
    assert (row["patient"], row["patient_name"]) == ("MRN-0047110815", "Mustermann^Erika")
    assert (row["study_uid"], row["series_uid"]) == (header.StudyInstanceUID, header.SeriesInstanceUID)
    assert Path(row["folder"]) == source / "Mustermann" / "CT"
    sources = load_pseudonym_table(table)
    (record,) = sources[series.case_id].series
    assert tuple(one.path for one in find_source_series(record).instances) == series.files
    (file,) = (case for case in found.cases if not case.series)
    assert sources[file.case_id].files == (str(source / "Erika" / "Mustermann.nii.gz"),)


@pytest.mark.parametrize("name", ["table.csv", "table.csv.key"])
def test_table_and_key_are_readable_by_their_owner_only(source: Path, tmp_path: Path, name: str) -> None:
    find(source, pseudonyms=tmp_path / "table.csv")
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_patient_keeps_the_pseudonym_in_a_second_run_with_more_patients(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    write_ct(tmp_path / "in" / "b", PatientID="B")
    (before,) = find(tmp_path / "in", pseudonyms=table).cases
    write_ct(tmp_path / "in" / "a", PatientID="A")
    ids = [case.case_id for case in find(tmp_path / "in", pseudonyms=table).cases]
    assert ids[1] == before.case_id
    assert len(set(ids)) == 2
    assert len(rows(table)) == 2


def test_ids_of_the_table_are_kept_even_where_its_key_is_lost(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    write_ct(tmp_path / "in", PatientID="A")
    (before,) = find(tmp_path / "in", pseudonyms=table).cases
    (tmp_path / "table.csv.key").unlink()
    (after,) = find(tmp_path / "in", pseudonyms=table).cases
    assert after.case_id == before.case_id


def test_studies_of_one_patient_share_the_patient_s_pseudonym_only(tmp_path: Path) -> None:
    for number in range(2):
        write_ct(tmp_path / "in" / f"{number}", PatientID="A", seed=number)
    ids = [case.case_id for case in find(tmp_path / "in", pseudonyms=tmp_path / "table.csv").cases]
    assert len(set(ids)) == 2
    assert len({name.split("_")[0] for name in ids}) == 1


def test_other_tables_give_other_pseudonyms_and_checksums(tmp_path: Path) -> None:
    write_ct(tmp_path / "in", PatientID="A")
    (plain,) = find(tmp_path / "in").cases
    (one,) = find(tmp_path / "in", pseudonyms=tmp_path / "one.csv").cases
    (other,) = find(tmp_path / "in", pseudonyms=tmp_path / "other.csv").cases
    (again,) = find(tmp_path / "in", pseudonyms=tmp_path / "one.csv").cases
    assert len({case.case_id for case in (plain, one, other)}) == 3
    assert len({input_digest(case) for case in (plain, one, other)}) == 3
    assert input_digest(again) == input_digest(one)


def test_with_the_key_of_an_ingest_a_series_has_the_id_of_its_case_there(tmp_path: Path) -> None:
    write_ct(tmp_path / "in", PatientID="A")
    (tmp_path / "table.csv.key").write_text(KEY.hex())
    (case,) = find(tmp_path / "in", pseudonyms=tmp_path / "table.csv").cases
    assert case.case_id == run_ingest(tmp_path / "in", tmp_path / "out").case.case_id


def test_runs_at_the_same_time_lose_no_line(tmp_path: Path) -> None:
    for number in range(6):
        write_ct(tmp_path / f"in_{number}", PatientID=f"P{number}", seed=number)
    sources = [tmp_path / f"in_{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda source: find(source, pseudonyms=tmp_path / "new" / "table.csv"), sources))
    written = {row["case_id"] for row in rows(tmp_path / "new" / "table.csv") if row["became"] == "case"}
    assert written == {case.case_id for one in found for case in one.cases}
    assert len(written) == 6


def test_table_among_the_masks_of_an_earlier_prediction_is_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "predictions.json").write_text("{}")
    with pytest.raises(ConfigError, match="must lie outside of the masks"):
        find(source, pseudonyms=tmp_path / "earlier" / "table.csv", out=tmp_path / "masks")
    assert [path.name for path in (tmp_path / "earlier").iterdir()] == ["predictions.json"]


def test_folder_in_place_of_the_table_is_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "table").mkdir()
    with pytest.raises(ManifestError, match=r"table of pseudonyms table: must be one .* got Is a directory"):
        find(source, pseudonyms=tmp_path / "table")


def test_table_within_the_masks_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must lie outside of the masks"):
        find(source, pseudonyms=tmp_path / "masks" / "table.csv", out=tmp_path / "masks")
    assert not (tmp_path / "masks").exists()


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "", "\0", "case_id,became\nx,y,z\n"])
def test_other_file_than_a_table_is_refused_and_left_as_it_is(source: Path, tmp_path: Path, text: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text(text)
    with pytest.raises(ManifestError, match="must be one that medseg predict wrote"):
        find(source, pseudonyms=table)
    assert table.read_text() == text


def test_missing_table_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="got no file"):
        load_pseudonym_table(tmp_path / "table.csv")


def test_rows_of_earlier_runs_stay(source: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    find(source, pseudonyms=table)
    before = rows(table)
    write_ct(tmp_path / "more", PatientID="B")
    find(tmp_path / "more", pseudonyms=table)
    assert rows(table)[:-1] == before
