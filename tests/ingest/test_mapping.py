from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from medseg.errors import ConfigError
from medseg.ingest.label_source import LabelSource
from medseg.ingest.mapping import Mapping, load_mapping, mapping_text, propose_mapping
from medseg.ingest.structure_name import normalised
from medseg.scans.dicom import LabelObject

from tests.ingest.sources import run_ingest, write_ct, write_rtstruct


def obj(*names: str) -> LabelSource:
    """A structure set with these structures."""
    found = LabelObject(Path("rs"), "RTSTRUCT", names, frozenset(), frozenset(), "", np.zeros((0, 3)))
    return LabelSource(Path("rs"), "RTSTRUCT", names, label_object=found)


def mask(**values: int) -> LabelSource:
    """A mask file with these names of values."""
    return LabelSource(Path("mask"), "mask", tuple(values), values={value: name for name, value in values.items()})


def proposed(*labels: LabelSource) -> dict[str, tuple[str, ...]]:
    return {name: rule.names for name, rule in propose_mapping(labels).labels.items()}


def write_mapping(folder: Path, text: str) -> Path:
    (folder / "mapping.yaml").write_text(text, encoding="utf-8")
    return folder / "mapping.yaml"


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (["Niere links", "kidney_left", "Left Kidney", "LEFT-KIDNEY", "rein gauche", "KidneyLeft"], "kidney_left"),
        (["Leber", "LIVER", "foie", "hígado", "Liver CT", "liver_MR"], "liver"),
        (["Rückenmark", "SpinalCord", "spinal cord", "Moelle épinière"], "spinal_cord"),
        (["Parotis re", "Parotid_R", "right parotid gland"], "parotid_right"),
        (["GTV", "gtv", "GTV_"], "gtv"),
        (["Körper", "BODY", "External"], "body"),
    ],
)  # fmt: skip
def test_spellings_and_languages_of_one_structure_become_one_label(names: list[str], label: str) -> None:
    assert proposed(*map(obj, names)) == {label: tuple(sorted(names))}


@pytest.mark.parametrize(
    "names",
    [
        ("Kidney L", "Kidney R"),
        ("GTV", "GTV2"),
        ("Lung", "Lungs"),
        ("Rib 1", "Rib 2"),
        ("肝臓", "脾臓"),
        ("печень", "селезёнка"),
    ],
)
def test_structures_that_differ_stay_apart(names: tuple[str, ...]) -> None:
    assert len(proposed(*map(obj, names))) == len(names)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("レバー", "レバー"),
        ("ﾚﾊﾞｰ", "レバー"),
        ("ตับ", "ตับ"),
        ("ลำไส้ใหญ่", "ลำไส้ใหญ่"),
        ("यकृत", "यकृत"),
        ("हड्डी", "हड्डी"),
        ("كَبِد", "كَبِد"),
        ("כָּבֵד", "כָּבֵד"),
        ("간", "간"),
        ("肝臓", "肝臓"),
        ("Печень", "печень"),
        ("Φάρυγγας", "φαρυγγας"),
        ("Größe é", "grosse_e"),
        ("🫀", "🫀"),
        ("👍🏽", "👍🏽"),
        ("heart🫀", "heart_🫀"),
    ],
)  # fmt: skip
def test_words_of_other_scripts_are_proposed_as_they_are(name: str, label: str) -> None:
    assert list(proposed(obj(name))) == [unicodedata.normalize("NFC", label)]


def test_names_of_one_object_are_never_joined() -> None:
    labels = proposed(obj("Leber", "Liver"), obj("liver"), obj("Liver CT", "Liver MR"))
    by_name = {name: label for label, names in labels.items() for name in names}
    assert by_name["Leber"] != by_name["Liver"]
    assert by_name["Liver CT"] != by_name["Liver MR"]


def test_values_of_masks_stay_where_all_masks_agree() -> None:
    mapping = propose_mapping([mask(liver=6, spleen=2), mask(liver=6)])
    assert {name: rule.value for name, rule in mapping.labels.items()} == {"spleen": 2, "liver": 6}


def test_values_are_numbered_where_masks_disagree() -> None:
    mapping = propose_mapping([mask(liver=1, spleen=2), mask(liver=2)])
    assert sorted(rule.value for rule in mapping.labels.values()) == [1, 2]


@pytest.mark.parametrize("name", ["Background", "background", "BACKGROUND "])
def test_structure_called_background_becomes_a_label_of_another_name(tmp_path: Path, name: str) -> None:
    images = write_ct(tmp_path / "src")
    write_rtstruct({name: (2, 4, 2, 4, 1, 2), "GTV": (6, 8, 2, 4, 1, 2)}, images, tmp_path / "src" / "rs")
    labels = run_ingest(tmp_path / "src", tmp_path / "out").manifest.labels
    assert labels["background"] == 0
    assert len(labels) == 3


@example([("\U00011052", "rib \u00b2"), ("\x85",), ("a\x85b", "a b"), ("*", "a*", "ab"), ("- x: {", "null", "1.0")])
@given(st.lists(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4, unique=True).map(tuple), max_size=6))
def test_every_proposal_names_every_structure_once_and_survives_its_file(objects: list[tuple[str, ...]]) -> None:
    mapping = propose_mapping([obj(*names) for names in objects])
    again = Mapping.model_validate(yaml.safe_load(mapping_text(mapping)))
    assert [(name, rule.value) for name, rule in again.labels.items()] == [
        (name, rule.value) for name, rule in mapping.labels.items()
    ]
    for names in objects:
        for name in names:
            label = mapping.label_of(name)
            assert label
            assert again.label_of(name) == label
            assert name in mapping.labels[label].names or normalised(name) in map(
                normalised, mapping.labels[label].names
            )


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("gtv", "GTV", True),
        ("GTV*", "gtv mass 2", True),
        ("*liver*", "The Liver (CT)", True),
        ("*", "anything", True),
        ("lung * left", "Lung_lower_left", True),
        ("gtv", "gtv2", False),
        ("gtv*", "ctv gtv", False),
        ("Niere_links", "niere  LINKS", True),
        ("Müller", "Muller", True),
        ("größe", "GROESSE", False),
        ("[ab]", "a", False),
        ("肝*", "肝臓", True),
        ("肝臓", "脾臓", False),
    ],
)
def test_names_of_the_mapping_fit_whatever_case_accents_and_separators(pattern: str, name: str, fits: bool) -> None:
    mapping = Mapping.model_validate({"labels": {"x": {"value": 1, "names": [pattern]}}})
    assert (mapping.label_of(name) == "x") is fits


def test_full_name_goes_before_a_star_and_the_first_star_before_the_others() -> None:
    rules = {
        "rest": {"value": 2, "names": ["gtv*"]},
        "other": {"value": 3, "names": ["*2"]},
        "one": {"value": 1, "names": ["gtv 1"]},
    }
    mapping = Mapping.model_validate({"labels": rules, "ignore": ["*", "gtv 3"]})
    assert [mapping.label_of(name) for name in ("GTV-1", "GTV-2", "GTV-3", "couch")] == ["one", "rest", "", ""]


def test_name_in_full_goes_before_one_that_is_alike() -> None:
    rules = {"plus": {"value": 1, "names": ["PTV 5"]}, "minus": {"value": 2, "names": ["PTV-5"]}}
    mapping = Mapping.model_validate({"labels": rules, "ignore": ["ptv_5"]})
    assert [mapping.label_of(name) for name in ("PTV 5", "PTV-5", "ptv_5", "ptv-5")] == ["plus", "minus", "", None]


def test_letters_with_their_marks_apart_are_the_same_name() -> None:
    mapping = propose_mapping([obj("h\u00edgado", "higado"), obj("hi\u0301gado")])
    assert mapping.label_of("h\u00edgado") == mapping.label_of("hi\u0301gado") != mapping.label_of("higado")


@given(st.text(alphabet="ab*\\\\+-", min_size=1, max_size=8), st.text(alphabet="ab*\\\\+-", min_size=1, max_size=8))
def test_proposed_name_fits_its_structure_whatever_its_signs(name: str, other: str) -> None:
    mapping = propose_mapping([obj(name, other)] if name != other else [obj(name)])
    assert mapping.label_of(name)
    assert (mapping.label_of(name) == mapping.label_of(other)) is (name == other)


def test_mapping_is_never_proposed_with_an_order_that_hides_the_inner_structure() -> None:
    mapping = propose_mapping([obj("GTV", "CTV", "PTV", "Heart")], order=("PTV", "CTV", "GTV"))
    assert list(mapping.labels) == ["heart", "ptv", "ctv", "gtv"]
    assert {name: rule.value for name, rule in mapping.labels.items()} == {"ctv": 1, "gtv": 2, "heart": 3, "ptv": 4}


def test_masks_that_only_their_values_tell_are_asked_about() -> None:
    mapping = propose_mapping([mask(manual1=1)])
    text = mapping_text(mapping, doubtful=["manual1"])
    assert "# Are these masks?" in text
    assert "#   [manual1]" in text
    assert Mapping.model_validate(yaml.safe_load(text)) == mapping


def test_star_in_the_name_of_a_structure_stands_for_nothing_else() -> None:
    mapping = propose_mapping([obj("GTV*", "GTV boost", "*Couch")])
    assert [mapping.label_of(name) for name in ("GTV*", "GTV boost", "*Couch", "Old couch")] == [
        "gtv", "gtv_boost", "couch", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labels: {a: {value: 1, names: [x]}, b: {value: 1, names: [y]}}", "must have different values"),
        ("labels: {background: {value: 1, names: [x]}}", "'background' is always 0"),
        ("labels: {a: {value: 0, names: [x]}}", "greater than or equal to 1"),
        ("labels: {a: {value: 70000, names: [x]}}", "less than or equal to 65535"),
        ("labels: {a: {value: 1, names: []}}", "at least 1 item"),
        ("labels: {a: {value: 1, name: [x]}}", "did you mean 'names'"),
        ("lables: {}", "did you mean 'labels'"),
        ("{labels: {a: {value: 1, names: [x]}, b: {value: 2, names: [y]}}, instances: true}", "exactly one label"),
        ("{channels: [{name: CT}, {name: CT}]}", "channels must have different names"),
        ("{channels: [{name: CT}], reference: MR}", "reference must be one of the channels"),
        ("{channels: [{name: CT}], label_from: MR}", "label_from must be one of the channels"),
        ("{group_by: visit}", "'study' or 'patient'"),
        ("- a", "must hold a mapping of keys"),
        ("labels: [", "must be readable YAML"),
    ],
)
def test_wrong_mapping_is_refused_with_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_mapping(write_mapping(tmp_path, text))


def test_mapping_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be readable YAML"):
        load_mapping(tmp_path / "none.yaml")


def test_mapping_with_everything_in_it_survives_its_file(tmp_path: Path) -> None:
    text = """
    labels: {mass: {value: 3, names: [gtv, "GTV *"]}}
    ignore: [couch]
    channels: [{name: CT, modality: CT}, {name: PET, modality: PT, description: "*AC*"}]
    reference: PET
    label_from: CT
    group_by: patient
    masks: ["*/reader1/*"]
    images: ["*_t2star*"]
    """
    mapping = load_mapping(write_mapping(tmp_path, text))
    again = load_mapping(write_mapping(tmp_path, mapping_text(mapping)))
    assert again == mapping
