from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from medseg.ingest.ordinary_words import PHRASES, ordinary_words
from medseg.ingest.scrub import Scrubber
from medseg.scans.dicom import Identity
from pydicom.dataset import Dataset

from tests.ingest.bytes_written import leaks


def scrubber(*, keeps_ids: bool = False, patients: tuple[str, ...] = (), **values: Any) -> Scrubber:
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in values.items():
        setattr(header, keyword, value)
    return Scrubber([Identity.of(header)], patients=patients, keeps_ids=keeps_ids)


@pytest.mark.parametrize(
    ("name", "text", "cleaned"),
    [
        ("Mustermann^Erika", "GTV Mustermann", "GTV …"),
        ("Mustermann^Erika", "GTVmustermannERIKA_2", "GTV…_2"),
        ("Mustermann^Erika", "MUSTERMANN,ERIKA", "…,…"),
        ("MUELLER^JUERGEN", "Leber Müller", "Leber …"),
        ("Müller^Jürgen", "leber_mueller_jurgen", "leber_…_…"),
        ("Mu\u0308ller^Jo\u0308rg", "Joerg M\u00fcller", "… …"),
        ("Müller^Jürgen", "Mu\u0308ller", "…"),
        ("Tse^Wing", "GTV Tse", "GTV …"),
        ("Weiß^Jörg", "CT WEISS", "CT …"),
        ("Weiss^Jorg", "CT Weiß", "CT …"),
        ("Strauß^Anna", "Strauß", "…"),
        ("Bjørnsen^Åse", "bjoernsen, Aase", "…, …"),
        ("O'Neil^Sam", "ONEIL chest", "… chest"),
        ("O'Neil^Sam", "O’Neil, O-Neil, o'neil", "…, …, …"),
        ("ONEIL^SAM", "O'Neil", "…"),
        ("D'Angelo^Pia", "DANGELO_ct", "…_ct"),
        ("Smith-Jones^Ann", "SMITHJONES", "…"),
        ("SmithJones^Ann", "smith-jones", "…"),
        ("Li-Wu^An", "LIWU", "…"),
        ("Łukasiewicz^Jan", "ŁUKASIEWICZ", "…"),
        ("O'Connor^Mary", "oconnor", "…"),
        ("Doe^John", "GTV doe", "GTV …"),
        ("Kim^Lee", "GTVKim", "GTV…"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "頭部 山田太郎様 やまだ", "頭部 …様 …"),
        ("Wang^XiaoMing=王^小明", "王小明", "…"),
        ("Ким^Анна=", "Анна", "…"),
    ],
)  # fmt: skip
def test_names_are_taken_out_however_they_are_spelt(name: str, text: str, cleaned: str) -> None:
    assert scrubber(PatientName=name).clean(text) == cleaned


@pytest.mark.parametrize("text", ["Liver", "Maxilla", "retina", "Rückenmark", "slices must be stacked", "Pancreas"])
def test_short_first_names_do_not_spoil_other_words(text: str) -> None:
    for name in ("Hansen^Liv", "Kant^Max", "Holm^Tina", "Dahl^Mark", "Tac^Must", "Must^May"):
        assert scrubber(PatientName=name).clean(text) == text


def test_words_that_name_an_organ_stay_although_a_patient_is_called_so() -> None:
    scrub = scrubber(PatientName="Herz^Annegret")
    assert scrub.clean("Herz und Lunge") == "Herz und Lunge"
    assert scrub.clean("Herz Annegret") == "…"


@pytest.mark.parametrize(
    "written",
    ["19640812", "12.08.1964", "12.8.1964", "1964-08-12", "12081964", "08/12/1964", "12/08/1964", "12.08.64"],
)
def test_birth_dates_are_taken_out_however_they_are_written(written: str) -> None:
    assert scrubber(PatientBirthDate="19640812").clean(f"geb. {written}, CT") == "geb. …, CT"


@pytest.mark.parametrize(
    ("keyword", "value", "text"),
    [
        ("PatientID", "MRN-0047110815", "mrn-0047110815"),
        ("PatientID", "MRN-0047110815", "ptv_0047110815"),
        ("PatientID", "0047110815", "47110815"),
        ("PatientID", "P001", "gtv_p001"),
        ("PatientID", "123", "GTV 123"),
        ("OtherPatientIDs", ["FALL-5544332", "KV-777666555"], "KV-777666555"),
        ("OtherPatientIDs", ["FALL-5544332", "KV-777666555"], "fall-5544332"),
        ("InstitutionName", "Klinikum Beispielstadt", "CT BEISPIELSTADT"),
        ("InstitutionName", "Klinikum Beispielstadt", "klinikum beispielstadt"),
        ("ReferringPhysicianName", "Zuweiser^Zacharias", "Dr. Zuweiser"),
        ("OperatorsName", ["Knips^Karl", "Blende^Berta"], "Berta Blende"),
        ("AccessionNumber", "ACC9988776", "acc9988776"),
        ("StationName", "AWP40321", "awp40321"),
        ("PatientMotherBirthName", "Vorname^Vera", "vera vorname"),
    ],
)
def test_every_other_identifying_value_is_taken_out(keyword: str, value: Any, text: str) -> None:
    cleaned = scrubber(**{keyword: value}).clean(f"one {text} two")
    assert text not in cleaned
    assert cleaned.startswith("one ")
    assert cleaned.endswith(" two")
    values = value if isinstance(value, list) else [value]
    assert leaks([*values, text], cleaned) == []


def test_ids_that_are_pseudonyms_stay_but_names_go() -> None:
    scrub = scrubber(PatientID="STS_003", PatientName="Mustermann^Erika", keeps_ids=True)
    assert scrub.clean("STS_003 Mustermann") == "STS_003 …"


def test_institution_that_is_named_for_an_organ_does_not_spoil_it() -> None:
    scrub = scrubber(InstitutionName="Heart Center Leipzig", PatientComments="CT of the liver before the operation")
    assert scrub.clean("Heart, liver, Center") == "Heart, liver, Center"
    assert scrub.clean("Heart Center Leipzig") == "…"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Long^Anna", "Long axis cine"),
        ("Short^Anna", "short-axis stack"),
        ("Black^John", "T2 black blood"),
        ("White^John", "White matter FLAIR"),
        ("May^Karl", "text may be burned in"),
        ("Arter^Udo", "arterial phase"),
        ("Abdom^Ida", "CT Abdomen nativ"),
        ("Axel^Spiral", "Spiral contrast axial"),
        ("Coron^Ute", "coronal T1"),
        ("Head^Kim", "Head and neck"),
        ("Contrast^Test", "with contrast"),
        ("Rib^Li", "rib fractures"),
        ("Cor^Tra", "tra t2_tse_cor"),
        ("Weiß^Jörg", "weisse Substanz"),
        ("Weiss^Jörg", "weiße Substanz"),
        ("Klein^Eva", "kleines Becken"),
        ("Lang^Eva", "lange Achse"),
        ("Rippe^Udo", "Rippen beidseits"),
        ("Tse^Wing", "t2_tse_tra_p2"),
        ("Dixon^Ann", "t1_vibe_dixon_tra"),
        ("Tesla^Nico", "3 Tesla"),
    ],
)
def test_ordinary_words_stay_although_they_are_part_of_a_name(name: str, text: str) -> None:
    assert scrubber(PatientName=name).clean(text) == text


@pytest.mark.parametrize(
    ("name", "text", "cleaned"),
    [
        ("Long^Anna", "Long Anna axis", "… axis"),
        ("Long^Anna", "CT Long", "CT …"),
        ("Young^Mary", "GTV Young", "GTV …"),
        ("Ward^Tom", "Ward 5", "… 5"),
        ("Ward^Tom", "towards the ward round", "towards the ward round"),
        ("Head^Kim", "Kim, Head", "…, …"),
        ("Head^Kim", "GTV Dr. Head", "GTV Dr. …"),
        ("Bone^Tom", "Patient: Bone", "Patient: …"),
        ("Bone^Tom", "Patient Bone", "Patient …"),
        ("Bone^Tom", "Patientin: Bone", "Patientin: …"),
        ("Bone^Tom", "Name = Bone, bone window", "Name = …, bone window"),
        ("Heart^Axis", "Heart Axis", "…"),
        ("Arter^Udo", "GTVarter", "GTV…"),
        ("Mueller^Long", "Müller_Long", "…_…"),
    ],
)
def test_ordinary_words_go_where_a_person_is_meant(name: str, text: str, cleaned: str) -> None:
    assert scrubber(PatientName=name).clean(text) == cleaned


@given(st.lists(st.text("bcdfgklmnprstuvwz", min_size=1, max_size=6), min_size=2, max_size=3), st.sampled_from("'’-"))
def test_joined_names_go_with_and_without_their_joints(words: list[str], joint: str) -> None:
    scrub = scrubber(PatientName=f"{joint.join(words)}^Eva")
    assume(not any(word in ordinary_words() | PHRASES.keys() for word in (*words, "".join(words))))
    if len("".join(words)) > 2:
        assert scrub.clean("".join(words).upper()) == "…"
    if len("".join(words)) > 4:
        assert scrub.clean(joint.join(words)) == "…"


def test_words_of_an_institution_that_describe_scans_stay() -> None:
    scrub = scrubber(InstitutionName="Institut fuer Radiologie Beispielstadt", StationName="HEAD CT1")
    assert scrub.clean("Radiologie head Beispielstadt") == "Radiologie head …"


def test_empty_and_placeholder_values_take_nothing_out() -> None:
    scrub = scrubber(PatientName="^^^^", PatientID="", PatientBirthDate="", InstitutionName="Unknown")
    assert scrub.clean("Unknown ^ liver 0") == "Unknown ^ liver 0"


def test_names_of_folders_are_taken_out_word_by_word() -> None:
    scrub = Scrubber([], patients=["Krawuttke_Waldemar", "ct"])
    assert scrub.clean("Waldemar liver ct") == "… liver ct"


@given(st.text(max_size=60), st.sampled_from(["Mustermann^Erika", "Müller^Jürgen", "Weiß^Łucja", "山田^太郎"]))
def test_no_text_holds_the_name_once_it_was_cleaned(text: str, name: str) -> None:
    family, given_name = name.split("^")
    cleaned = scrubber(PatientName=name).clean(f"{text}{family}{text} {given_name} {text}")
    assert leaks([family, given_name], cleaned.replace(text, "")) == []
