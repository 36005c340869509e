"""Our own dataset.json: its schema, its round trip, and what is refused."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ManifestError
from medseg.manifest import assign_folds, load_manifest, manifest_digest, manifest_schema, read_case, save_manifest
from medseg.quantity import Quantity
from medseg.records import Case, Manifest
from monai.data import load_decathlon_datalist

from tests.manifest.datasets import load_own, manifest_of, own_content, write_dataset

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Any manifest in which every case says its patient, and a patient is in one split and fold."""
    channels = draw(st.lists(NAMES, min_size=1, max_size=3))
    foreground = draw(st.lists(NAMES.filter(lambda name: name != "background"), max_size=3, unique=True))
    ids = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    patients = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    folds = {patient: draw(st.none() | st.integers(0, 4)) for patient in patients}
    splits = {patient: draw(st.sampled_from(["training", "test"])) for patient in patients}
    patient_of = {case_id: draw(st.sampled_from(patients)) for case_id in ids}
    cases = [
        Case(
            case_id=case_id,
            patient_id=patient_of[case_id],
            images=tuple(f"images/{case_id}_{index}.nii.gz" for index in range(len(channels))),
            label=draw(st.none() | st.just(f"labels/{case_id}.nii.gz")),
            fold=folds[patient_of[case_id]],
            split=splits[patient_of[case_id]],
            site=draw(st.none() | TEXTS),
            scanner=draw(st.none() | TEXTS),
            sex=draw(st.none() | st.sampled_from(["F", "M", "O"])),
            age_years=draw(st.none() | st.floats(0, 120)),
            study_uid=draw(st.none() | st.just("1.2.840.1")),
            series_uid=draw(st.none() | st.just("1.2.840.2")),
            sha256=draw(st.none() | st.just({f"images/{case_id}_0.nii.gz": "0" * 64})),
            slice_labels=draw(st.none() | st.just((("liver",), (), ("liver", "tumour")))),
        )
        for case_id in ids
    ]
    cases.sort(key=lambda case: case.split == "test")
    task = draw(st.sampled_from(["segmentation", "classification", "regression"]))
    ranges = st.none() | st.just((0.0, 70.5))
    dose = st.builds(Quantity, unit=NAMES.filter(lambda unit: unit.strip() and len(unit) <= 32), range=ranges)
    return Manifest(
        name=draw(NAMES),
        version=draw(TEXTS),
        description=draw(TEXTS),
        licence=draw(TEXTS),
        channels=tuple(channels),
        labels={"background": 0} | {name: 3 * (index + 1) for index, name in enumerate(foreground)},
        task=task,
        quantities={"dose": draw(dose)} if task == "regression" else None,
        instances=len(foreground) == 1 and draw(st.booleans()),
        allow_empty_labels=draw(st.booleans()),
        cases=tuple(cases),
    )


@settings(max_examples=40, deadline=None)
@given(manifest=manifests())
def test_saved_manifest_comes_back_whole_and_fits_the_schema(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest
) -> None:
    folder = tmp_path_factory.mktemp("m")
    save_manifest(manifest, folder / "dataset.json")
    assert load_manifest(folder)[0] == manifest
    jsonschema.validate(json.loads((folder / "dataset.json").read_text(encoding="utf-8")), manifest_schema())


def test_schema_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(manifest_schema())


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": {"background": "none"}},
        {"channel_names": {"0": ["CT"]}},
        {"training": [{"case_id": "c", "image": "a.nii.gz", "lable": "b.nii.gz"}]},
        {"training": [{"case_id": "c", "image": "a.nii.gz", "fold": -1}]},
        {"training": [{"case_id": "c", "image": "a.nii.gz", "sex": "female"}]},
        {"training": [{"case_id": "c", "image": "a.nii.gz", "age_years": -1}]},
        {"training": [{"case_id": "c", "image": "a.nii.gz", "age_years": "63"}]},
        {"training": [{"case_id": "c", "image": "a.nii.gz", "age_years": 130.5}]},
        {"task": "detection"},
    ],
)
def test_schema_and_loader_refuse_the_same(tmp_path: Path, changes: dict[str, Any]) -> None:
    content = own_content(**changes)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, manifest_schema())
    with pytest.raises(ManifestError, match=r"dataset\.json|channel names"):
        load_manifest(write_dataset(tmp_path, content))


def test_own_form_is_read(tmp_path: Path) -> None:
    manifest = load_own(tmp_path, version="3", instances=False)
    assert (manifest.name, manifest.version, manifest.channels) == ("livers", "3", ("CT",))
    assert manifest.foreground == {"liver": 1, "tumour": 2}
    assert [case.case_id for case in manifest.select("training")] == ["c0", "c1", "c2"]
    assert manifest.select("test")[0] == Case(case_id="t0", patient_id="p9", images=("images/t0.nii.gz",), split="test")
    assert manifest.has_patients


def test_schema_address_in_the_file_is_no_unknown_key(tmp_path: Path) -> None:
    load_own(tmp_path, **{"$schema": "../data_manifests/schema.json"})


def test_one_file_per_channel_keeps_its_order(tmp_path: Path) -> None:
    entry = {"case_id": "c", "patient_id": "p", "image": ["t2.nii", "adc.nii"]}
    manifest = load_own(tmp_path, channel_names={"1": "ADC", "0": "T2"}, training=[entry], test=[])
    assert manifest.channels == ("T2", "ADC")
    assert manifest.cases[0].images == ("t2.nii", "adc.nii")


def test_monai_reads_the_saved_form(cohort: tuple[Manifest, Path], tmp_path: Path) -> None:
    manifest, root = cohort
    save_manifest(assign_folds(manifest, folds=3), tmp_path / "dataset.json")
    for section, split in (("training", "training"), ("test", "test")):
        listed = load_decathlon_datalist(str(tmp_path / "dataset.json"), True, section, base_dir=str(root))
        cases = assign_folds(manifest, folds=3).select(split)  # type: ignore[arg-type]
        assert [(entry["image"], entry["label"]) for entry in listed] == [
            (str(root / case.images[0]), str(root / str(case.label))) for case in cases
        ]
        assert [entry["case_id"] for entry in listed] == [case.case_id for case in cases]


def test_saved_file_leaves_out_what_is_empty(tmp_path: Path) -> None:
    save_manifest(manifest_of([Case(case_id="c", patient_id="p", images=("a.nii",))]), tmp_path / "dataset.json")
    content = json.loads((tmp_path / "dataset.json").read_text(encoding="utf-8"))
    assert content["training"] == [{"case_id": "c", "patient_id": "p", "image": "a.nii"}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": [{"case_id": "c", "image": "a", "lable": "b"}]}, r"'training\.0\.lable'; did you mean 'label'"),
        ({"training": [{"case_id": "c", "image": "a", "pacient_id": "b"}]}, "did you mean 'patient_id'"),
        ({"labls": {}}, "unknown key 'labls'; did you mean 'labels'"),
        ({"test": [{"case_id": "c"}]}, r"key 'test\.0\.image' is missing"),
        ({"channel_names": {"1": "CT"}}, "channel names must be keyed '0', '1', …"),
        ({"channel_names": {}}, "channel names must be keyed '0', '1', …"),
        ({"labels": {"liver": 1}}, "label 'background' must be 0, got None"),
        ({"labels": {}}, "label 'background' must be 0, got None"),
        ({"labels": {"background": 1, "liver": 0}}, "label 'background' must be 0, got 1"),
        ({"labels": {"background": 0, "a": 1, "b": 1}}, "label values must be different and not negative"),
        ({"labels": {"background": 0, "a": 0}}, "label values must be different and not negative"),
        ({"labels": {"background": 0, "a": -1}}, "label values must be different and not negative"),
        ({"labels": {"background": 0, "a": 65536}}, "label values must be at most 65535, got 65536"),
        ({"instances": True}, "instances need exactly one foreground label"),
        ({"training": [], "test": []}, "must list at least one case, got none"),
        (
            {"training": [{"case_id": "t0", "patient_id": "p", "image": "a"}]},
            "case_id must be unique, got 't0' twice; rename one",
        ),
    ],
)
def test_broken_rule_is_refused_in_words(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        load_own(tmp_path, **changes)


def test_only_the_first_five_problems_are_told(tmp_path: Path) -> None:
    training = [{"case_id": f"c{n}"} for n in range(8)]
    with pytest.raises(ManifestError, match=r"training\.4\.image' is missing; and 3 more$"):
        load_own(tmp_path, training=training)


@pytest.mark.parametrize("path", ["/data/a.nii.gz", "../a.nii.gz", "images/../../a.nii.gz"])
@pytest.mark.parametrize("key", ["image", "label"])
def test_paths_that_leave_the_data_root_are_refused(tmp_path: Path, path: str, key: str) -> None:
    entry = {"case_id": "c", "patient_id": "p", "image": "a.nii.gz", "label": "b.nii.gz", key: path}
    with pytest.raises(ManifestError, match="case c: paths must stay under the data root"):
        load_own(tmp_path, training=[entry])


@pytest.mark.parametrize(
    "case_id",
    ["a/b", "../a", ".hidden", " a", "a ", "a\nb", "a\\b", "a:b", "a..b", "a*", "a\u2028b", 'a"b', "a|b"],
)
def test_case_id_that_is_no_file_name_is_refused(tmp_path: Path, case_id: str) -> None:
    with pytest.raises(ManifestError, match="case_id must be usable as a file name; rename it"):
        load_own(tmp_path, training=[{"case_id": case_id, "patient_id": "p", "image": "a.nii.gz"}])


@pytest.mark.parametrize("case_id", ["", "\udcff"])
def test_case_id_that_is_no_text_is_refused(tmp_path: Path, case_id: str) -> None:
    with pytest.raises(ManifestError, match=r"training\.0\.case_id must hold"):
        load_own(tmp_path, training=[{"case_id": case_id, "patient_id": "p", "image": "a.nii.gz"}])


SAFE_IDS = [
    "lung_014",
    "Größe-7",
    "a.b+c@d=e, f",
    unicodedata.normalize("NFD", "René"),
    unicodedata.normalize("NFC", "René"),
    "निरीक",  # vowel signs are marks of their own
    "می\u200cخواهم",  # a joiner is part of the word
    "scan (1) [b] {c}",
    "knee#2",
    "o'neil & sons; 50 %",
]


@pytest.mark.parametrize("case_id", SAFE_IDS)
def test_case_id_that_is_a_file_name_is_accepted(tmp_path: Path, case_id: str) -> None:
    assert (
        load_own(tmp_path, training=[{"case_id": case_id, "patient_id": "p", "image": "a.nii.gz"}]).cases[0].case_id
        == case_id
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "must be JSON"), ("[]", "must be a JSON object, got list"), ("", "must be JSON"), ("\xff", "must be")],
)
def test_file_that_is_not_a_json_object_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "dataset.json").write_text(text, encoding="latin-1")
    with pytest.raises(ManifestError, match=message):
        load_manifest(tmp_path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="must be readable, got: No such file or directory; check the path"):
        load_manifest(tmp_path)


def test_manifest_without_patients_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    training = [{"case_id": f"c{n}", "image": "a.nii.gz"} for n in range(3)]
    manifest = load_own(tmp_path, training=training, test=[])
    assert not manifest.has_patients
    assert len(caplog.records) == 1
    assert "manifest livers has no patient_id" in caplog.text


def test_patient_ids_for_some_cases_only_are_refused(tmp_path: Path) -> None:
    training = [{"case_id": "c", "patient_id": "p", "image": "a"}, {"case_id": "d", "image": "b"}]
    with pytest.raises(ManifestError, match=r"case d: patient_id must be given for all cases or none"):
        load_own(tmp_path, training=training, test=[])


def test_list_of_no_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"training\.0\.image"):
        load_own(tmp_path, training=[{"case_id": "c", "patient_id": "p", "image": []}])


def test_truth_is_no_label_value(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"labels\.liver must hold"):
        load_own(tmp_path, labels={"background": 0, "liver": True})


def test_manifest_with_patients_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_own(tmp_path)
    assert caplog.records == []


def test_digest_changes_with_every_field_and_only_then() -> None:
    case = Case(case_id="c", patient_id="p", images=("a.nii",), fold=0)
    manifest = manifest_of([case])
    changed = [
        manifest_of([case.model_copy(update={"fold": 1})]),
        manifest_of([case.model_copy(update={"patient_id": "q"})]),
        manifest_of([case], labels={"background": 0, "liver": 2}),
        manifest_of([case], version="2"),
    ]
    assert manifest_digest(manifest) == manifest_digest(manifest_of([case]))
    assert len({manifest_digest(m) for m in [manifest, *changed]}) == 5


def test_digest_without_sex_and_age_is_that_of_the_version_before_them() -> None:
    case = Case(case_id="a", patient_id="p", images=("a.nii.gz",), site="north")
    manifest = Manifest(name="livers", channels=("CT",), labels={"background": 0, "liver": 1}, cases=(case,))
    before = "f8e7fd1b8a45982f252ff040025fe1ed8f46b593ee71e1bb95c93d6488460793"
    assert manifest_digest(manifest) == before
    more = [case.model_copy(update=change) for change in ({"sex": "F"}, {"age_years": 63.0}, {"age_years": 0.0})]
    digests = {manifest_digest(manifest.model_copy(update={"cases": (one,)})) for one in more}
    assert len(digests | {before}) == 4


def test_cohort_on_disk_holds_what_its_manifest_says(cohort: tuple[Manifest, Path]) -> None:
    manifest, root = cohort
    scan, label = read_case(manifest.cases[0], manifest, root)
    assert scan.array.shape[1:] == label.shape
    assert set(np.unique(label)) == set(manifest.labels.values())


def test_age_without_its_unit_names_the_right_key(tmp_path: Path) -> None:
    content = own_content(training=[{"case_id": "c", "image": "a.nii.gz", "age": 40}])
    with pytest.raises(ManifestError, match=r"unknown key 'training\.0\.age'; did you mean 'age_years'\?"):
        load_manifest(write_dataset(tmp_path, content))
