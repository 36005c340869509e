from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from medseg.errors import ManifestError
from medseg.ingest import Pseudonyms, load_key
from medseg.ingest.key import safe_id
from medseg.manifest.load import check_names

from tests.ingest.sources import KEY, run_ingest, voxels, write_ct, write_nifti
from tests.manifest.datasets import manifest_of
from tests.split.cohorts import case_of

OTHER_KEY = bytes(range(100, 132))


def test_key_is_made_once_for_its_owner_only_and_then_reused(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "ds.key"
    key = load_key(path)
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key(path) == key
    assert load_key(tmp_path / "other.key") != key


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
def test_key_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_key(tmp_path / "key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "00" * 31, "Mustermann", "zz" * 32, "0"])
def test_file_that_holds_no_key_is_refused_without_quoting_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(ManifestError, match="must hold 64 hexadecimal digits") as caught:
        load_key(tmp_path / "key")
    assert "Mustermann" not in str(caught.value)
    assert (tmp_path / "key").read_text() == content


def test_folder_in_place_of_a_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="must hold 64"):
        load_key(tmp_path)


def test_key_does_not_show_in_what_holds_it() -> None:
    assert KEY.hex() not in repr(Pseudonyms(KEY))
    assert str(KEY) not in repr(Pseudonyms(KEY))


def test_one_key_gives_a_patient_one_name_in_every_dataset_and_another_key_another(tmp_path: Path) -> None:
    write_ct(tmp_path / "src" / "x" / "y", PatientID="MRN-1")
    write_ct(tmp_path / "else", PatientID="MRN-1", seed=3)
    one = run_ingest(tmp_path / "src", tmp_path / "one").case
    two = run_ingest(tmp_path / "else", tmp_path / "two").case
    other = run_ingest(tmp_path / "src", tmp_path / "three", key=OTHER_KEY).case
    assert one.patient_id == two.patient_id
    assert one.case_id != two.case_id
    assert {one.patient_id, one.study_uid, one.series_uid}.isdisjoint(
        {other.patient_id, other.study_uid, other.series_uid}
    )


def test_series_of_one_patient_share_the_patient_and_differ_in_the_case(tmp_path: Path) -> None:
    for number in range(3):
        write_ct(tmp_path / "src" / str(number), PatientID="MRN-1", seed=number)
    write_ct(tmp_path / "src" / "other", PatientID="MRN-2")
    cases = run_ingest(tmp_path / "src", tmp_path / "out").manifest.cases
    assert len({case.case_id for case in cases}) == 4
    assert len({case.patient_id for case in cases}) == 2


def test_patient_without_a_number_goes_by_name_and_birth_date(tmp_path: Path) -> None:
    same = {"PatientID": "", "PatientName": "A^B", "PatientBirthDate": "19700101"}
    write_ct(tmp_path / "src" / "1", **same)
    write_ct(tmp_path / "src" / "2", **same)
    write_ct(tmp_path / "src" / "3", **{**same, "PatientBirthDate": "19700102"})
    cases = run_ingest(tmp_path / "src", tmp_path / "out").manifest.cases
    assert len({case.patient_id for case in cases}) == 2


def test_numbers_of_two_issuers_are_two_patients(tmp_path: Path) -> None:
    for number, issuer in enumerate(("here", "there", "there")):
        write_ct(tmp_path / "src" / str(number), PatientID="1", IssuerOfPatientID=issuer)
    cases = run_ingest(tmp_path / "src", tmp_path / "out").manifest.cases
    assert len({case.patient_id for case in cases}) == 2


@pytest.mark.parametrize(("key", "keep_ids"), [(OTHER_KEY, False), (KEY, True)])
def test_dataset_goes_on_only_with_the_key_that_it_was_begun_with(tmp_path: Path, key: bytes, keep_ids: bool) -> None:
    write_ct(tmp_path / "src")
    before = run_ingest(tmp_path / "src", tmp_path / "out").manifest
    message = r"must be continued with the key and the kind of ids \(kept or not\) that it was begun with"
    with pytest.raises(ManifestError, match=message):
        run_ingest(tmp_path / "src", tmp_path / "out", key=key, keep_ids=keep_ids)
    assert run_ingest(tmp_path / "src", tmp_path / "out").manifest == before


def test_uids_stay_uids() -> None:
    uid = Pseudonyms(KEY).uid("1.2.840.1")
    assert uid is not None
    assert uid.startswith("2.25.")
    assert len(uid) <= 64
    assert Pseudonyms(KEY).uid("") is None


def test_one_value_hashes_differently_as_patient_series_and_uid() -> None:
    names = Pseudonyms(KEY)
    digests = {names.patient("1")[1:7], names.series("1"), names.seal("1")[:6], (names.site("1") or "")[5:]}
    assert len(digests) == 4


@given(st.text(max_size=80) | st.text("./_-a ", max_size=12))
@example("a..b")
@example("../../etc/passwd")
@example("a./.b")
def test_every_kept_id_can_stand_in_a_file_name_and_a_manifest(text: str) -> None:
    made = safe_id(text)
    check_names(manifest_of([case_of(made, made)]))
    assert "/" not in made
    assert made == safe_id(made)


def test_two_patients_whose_kept_ids_would_be_one_are_refused(tmp_path: Path) -> None:
    write_ct(tmp_path / "src" / "1", PatientID="A 1")
    write_ct(tmp_path / "src" / "2", PatientID="A_1")
    with pytest.raises(ManifestError, match="two patients must not share an id"):
        run_ingest(tmp_path / "src", tmp_path / "out", keep_ids=True)


def test_kept_ids_of_files_with_dots_in_their_names_stay_whole(tmp_path: Path) -> None:
    for seed, name in enumerate(("P1.2.ct.nii.gz", "P1.3.ct.nii.gz")):
        write_nifti(tmp_path / "src" / "images" / name, voxels(seed=seed))
    cases = run_ingest(tmp_path / "src", tmp_path / "out", keep_ids=True).manifest.cases
    assert [case.case_id for case in cases] == ["images_P1.2.ct", "images_P1.3.ct"]
    assert [case.patient_id for case in cases] == ["P1.2", "P1.3"]
