"""Remedies of a manifest's errors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from medseg.audit import audit_manifest, fix_dataset, load_for_audit
from medseg.cohort import SERIAL
from medseg.geometry import Geometry
from medseg.manifest import assign_folds, load_manifest, read_case, read_case_image, select_cases, split_fold
from medseg.records import Scan
from medseg.runs.training_cases import load_training_cases
from medseg.scans import regrid, write_scan

from tests.coded_labels import put_under_slope
from tests.grids import OBLIQUE
from tests.manifest.datasets import manifest_of, own_content, write_case, write_dataset
from tests.manifest.test_folds import case, cohort_of
from tests.manifest.test_msd import msd_content
from tests.manifest.test_nnunet import nnunet_content
from tests.remedies.attempts import covers, tries

covers("manifest")
Again = Iterator[Callable[[], object]]
LABEL = np.zeros(OBLIQUE.shape, np.uint8)
LABEL[1:4, 2:5, 1:3], LABEL[4:6, 2:5, 1:3] = 1, 2


def loading(place: Path, content: Any) -> Callable[[], object]:
    """A function that writes a dataset.json and loads it."""
    return lambda: load_manifest(write_dataset(place, content))


def entry(**keys: Any) -> dict[str, Any]:
    return {"case_id": "a", "patient_id": "p", "image": "a.nii.gz", **keys}


@tries("manifest/case_scans.py", "resample the {} onto the {} with {}, export it again, or drop the case")
def _grids(place: Path) -> Again:
    moved = OBLIQUE.affine.copy()
    moved[0, 3] += 2
    case = write_case(place, label=LABEL, label_grid=Geometry(OBLIQUE.shape, moved))
    manifest = manifest_of([case])
    yield lambda: read_case(case, manifest, place)
    label = regrid(Scan(LABEL[None], Geometry(OBLIQUE.shape, moved)), OBLIQUE, order="nearest")
    write_scan(label, OBLIQUE, place / "label.nii.gz")
    yield lambda: read_case(case, manifest, place)


@tries(
    "manifest/case_scans.py",
    "draw it, drop the case, or set allow_empty_labels in the manifest if the patient has nothing to label",
)
def _empty_label(place: Path) -> Again:
    case = write_case(place, label=np.zeros_like(LABEL))
    manifest = manifest_of([case])
    yield lambda: read_case(case, manifest, place)
    yield lambda: read_case(case, manifest.model_copy(update={"allow_empty_labels": True}), place)
    write_case(place, label=LABEL)
    yield lambda: read_case(case, manifest, place)


@tries("manifest/case_scans.py", "fix the image or channel_names")
def _channels(place: Path) -> Again:
    case = write_case(place, label=LABEL, channels=2)
    yield lambda: read_case_image(case, manifest_of([case]), place)
    yield lambda: read_case_image(case, manifest_of([case], channels=("T1", "T2")), place)
    write_case(place, label=LABEL)
    yield lambda: read_case_image(case, manifest_of([case]), place)


@tries("manifest/case_scans.py", "add it or move it to test")
def _no_label(place: Path) -> Again:
    full = write_case(place, label=LABEL)
    bare = full.model_copy(update={"label": None})
    yield lambda: read_case(bare, manifest_of([bare]), place)
    yield lambda: read_case(full, manifest_of([full]), place)
    moved = manifest_of([full, bare.model_copy(update={"case_id": "t", "split": "test"})])
    yield lambda: [read_case(case, moved, place) for case in moved.select("training")]


@tries("manifest/case_scans.py", "copy it again")
def _checksum(place: Path) -> Again:
    case = write_case(place, label=LABEL)
    whole = (place / "image.nii.gz").read_bytes()
    known = case.model_copy(update={"sha256": {"image.nii.gz": hashlib.sha256(whole).hexdigest()}})
    (place / "image.nii.gz").write_bytes(whole + b"\0")
    yield lambda: read_case_image(known, manifest_of([known]), place)
    (place / "image.nii.gz").write_bytes(whole)
    yield lambda: read_case_image(known, manifest_of([known]), place)


@tries("manifest/case_scans.py", "name them in the manifest or correct the label")
def _unnamed(place: Path) -> Again:
    case = write_case(place, label=LABEL)
    few = manifest_of([case], labels={"background": 0, "liver": 1})
    yield lambda: read_case(case, few, place)
    yield lambda: read_case(case, manifest_of([case]), place)
    write_case(place, label=np.minimum(LABEL, 1))
    yield lambda: read_case(case, few, place)


@tries("manifest/case_scans.py", "{}; if the stored values are meant, write them to a file without a slope")
def _slope(place: Path) -> Again:
    case = write_case(place, label=LABEL)
    put_under_slope(place / "label.nii.gz", LABEL, slope=3, intercept=0)
    yield lambda: read_case(case, manifest_of([case]), place)
    yield lambda: read_case(case, manifest_of([case], labels={"background": 0, "liver": 3, "tumour": 6}), place)
    write_scan(LABEL[None], OBLIQUE, place / "label.nii.gz")
    yield lambda: read_case(case, manifest_of([case]), place)


@tries("manifest/document.py", "add it or remove all")
def _patients(place: Path) -> Again:
    one, other = entry(), {**entry(), "case_id": "b", "image": "b.nii.gz"}
    bare = {key: value for key, value in other.items() if key != "patient_id"}
    yield loading(place, own_content(training=[one, bare], test=[]))
    yield loading(place, own_content(training=[one, other], test=[]))
    none = [{key: value for key, value in case.items() if key != "patient_id"} for case in (one, other)]
    yield loading(place, own_content(training=none, test=[]))


@tries("manifest/document.py", "renumber them")
def _channel_numbers(place: Path) -> Again:
    yield loading(place, own_content(channel_names={"1": "CT"}))
    yield loading(place, own_content(channel_names={"0": "CT"}))


@tries("manifest/folds.py", "add it or remove all")
def _some_folds(place: Path) -> Again:
    cases = [case("a", "p0", fold=0), case("b", "p1"), case("c", "p2", fold=1)]
    yield lambda: assign_folds(manifest_of(cases))
    yield lambda: assign_folds(manifest_of([one.model_copy(update={"fold": None}) for one in cases]))
    yield lambda: assign_folds(manifest_of([cases[0], cases[1].model_copy(update={"fold": 1}), cases[2]]))


@tries("manifest/folds.py", "choose another fold")
def _other_fold(place: Path) -> Again:
    manifest = assign_folds(cohort_of([1] * 6))
    yield lambda: split_fold(manifest, 7)
    yield lambda: split_fold(manifest, 4)


@tries("manifest/folds.py", "add a second fold")
def _second_fold(place: Path) -> Again:
    cases = [case("a", "p0", fold=0), case("b", "p1", fold=0)]
    yield lambda: split_fold(manifest_of(cases), 0)
    yield lambda: split_fold(manifest_of([cases[0], cases[1].model_copy(update={"fold": 1})]), 0)


@tries("manifest/folds.py", "train on all of it with the fold all, which validates nothing")
def _one_patient(place: Path) -> Again:
    write_dataset(place, own_content(training=[entry()], test=[]))
    yield lambda: load_training_cases(place, fold="0")
    yield lambda: load_training_cases(place, fold="all").training[0]


@tries("manifest/folds.py", "ask for 2 or more")
def _two_folds(place: Path) -> Again:
    yield lambda: assign_folds(cohort_of([1, 1]), folds=1)
    yield lambda: assign_folds(cohort_of([1, 1]), folds=2)


@tries("manifest/folds.py", "ask for fewer folds, or train on all of it with the fold all")
def _fewer_folds(place: Path) -> Again:
    yield lambda: assign_folds(cohort_of([1, 1]), folds=3)
    yield lambda: assign_folds(cohort_of([1, 1]), folds=2)
    write_dataset(place, own_content(training=[entry()], test=[]))
    yield lambda: load_training_cases(place, fold="all").training[0]


@tries("manifest/folds.py", "fix the folds, or drop them with the option fix of medseg audit")
def _patient_in_two_folds(place: Path) -> Again:
    write_scan(
        np.random.default_rng(0).normal(size=(1, *OBLIQUE.shape)).astype(np.float32), OBLIQUE, place / "a.nii.gz"
    )
    write_scan(
        np.random.default_rng(1).normal(size=(1, *OBLIQUE.shape)).astype(np.float32), OBLIQUE, place / "b.nii.gz"
    )
    one, other = entry(fold=0), entry(case_id="b", image="b.nii.gz", fold=1)
    content = own_content(training=[one, other], test=[], task="classification")
    yield loading(place, content)
    yield loading(place, {**content, "training": [one, {**other, "fold": 0}]})
    write_dataset(place, content)
    loaded = load_for_audit(place)
    audit = audit_manifest(loaded.manifest, loaded.root, known=loaded.findings, executor=SERIAL)
    fix_dataset(audit, place, place / "fixed", folder=place)
    yield lambda: load_manifest(place / "fixed")


@tries("manifest/folds.py", "move one of them")
def _patient_in_training_and_test(place: Path) -> Again:
    both = own_content(training=[entry()], test=[entry(case_id="t", image="t.nii.gz")])
    yield loading(place, both)
    yield loading(place, own_content(training=[*both["training"], *both["test"]], test=[]))


@tries("manifest/label_names.py", "rename one")
def _label_names(place: Path) -> Again:
    yield loading(place, msd_content(labels={"0": "background", "1": "a", "2": "a"}))
    yield loading(place, msd_content(labels={"0": "background", "1": "a", "2": "b"}))


@tries("manifest/label_names.py", "list plain labels")
def _regions(place: Path) -> Again:
    yield loading(place, msd_content(labels={"background": 0, "whole": {"values": [1, 2]}, "core": 2}))
    yield loading(place, msd_content(labels={"background": 0, "edge": 1, "core": 2}))


@tries("manifest/label_names.py", 'write labels, such as {"background": 0, "liver": 1}')
def _no_labels(place: Path) -> Again:
    content = msd_content()
    del content["labels"]
    yield loading(place, content)
    yield loading(place, {**content, "labels": {"background": 0, "liver": 1}})


@tries("manifest/label_names.py", "write all values by name")
def _mixed_labels(place: Path) -> Again:
    yield loading(place, msd_content(labels={"0": "background", "organ": 1}))
    yield loading(place, msd_content(labels={"background": 0, "organ": 1}))


@tries("manifest/label_names.py", "put background first, or write values by name")
def _list_of_labels(place: Path) -> Again:
    yield loading(place, msd_content(labels=["organ", "background"]))
    yield loading(place, msd_content(labels=["background", "organ"]))
    yield loading(place, msd_content(labels={"background": 0, "organ": 1}))


@tries("manifest/channel_names.py", 'write channel_names, such as {"0": "CT"}')
def _no_channels(place: Path) -> Again:
    yield loading(place, msd_content(modality=[]))
    yield loading(place, msd_content(modality=[], channel_names={"0": "CT"}))


@tries("manifest/load.py", "put the cases under its key training")
def _list(place: Path) -> Again:
    yield loading(place, own_content()["training"])
    yield loading(place, own_content())


@tries("manifest/load.py", "check the path")
def _path(place: Path) -> Again:
    write_dataset(place / "there", own_content())
    yield lambda: load_manifest(place / "elsewhere")
    yield lambda: load_manifest(place / "there")


@tries("manifest/load.py", "fix that line")
def _json(place: Path) -> Again:
    (place / "dataset.json").write_text(json.dumps(own_content())[:-1])
    yield lambda: load_manifest(place)
    (place / "dataset.json").write_text(json.dumps(own_content()))
    yield lambda: load_manifest(place)


@tries("manifest/load.py", "check the folder")
def _no_cases(place: Path) -> Again:
    content = nnunet_content(channel_names={"0": "CT"})
    yield loading(place, content)
    (place / "imagesTr").mkdir()
    (place / "imagesTr" / "a_0000.nii.gz").touch()
    yield loading(place, content)


@tries("manifest/load.py", "name the value 0 background")
def _background(place: Path) -> Again:
    yield loading(place, own_content(labels={"nothing": 0, "liver": 1}))
    yield loading(place, own_content(labels={"background": 0, "liver": 1}))


@tries("manifest/load.py", "renumber the labels, in the files too")
def _same_value(place: Path) -> Again:
    yield loading(place, own_content(labels={"background": 0, "liver": 1, "tumour": 1}))
    yield loading(place, own_content(labels={"background": 0, "liver": 1, "tumour": 2}))


@tries("manifest/load.py", "renumber the labels, in the files too")
def _large_value(place: Path) -> Again:
    yield loading(place, own_content(labels={"background": 0, "liver": 70000}))
    yield loading(place, own_content(labels={"background": 0, "liver": 7}))


@tries("manifest/load.py", "list one label beside the background, or leave instances out")
def _instances(place: Path) -> Again:
    yield loading(place, own_content(instances=True))
    yield loading(place, own_content(instances=True, labels={"background": 0, "nucleus": 1}))
    yield loading(place, own_content(instances=False))


@tries("manifest/load.py", "rename one")
def _same_id(place: Path) -> Again:
    yield loading(place, own_content(training=[entry(), entry()], test=[]))
    yield loading(place, own_content(training=[entry(), entry(case_id="b")], test=[]))


@tries("manifest/load.py", "rename it")
def _unsafe_id(place: Path) -> Again:
    yield loading(place, own_content(training=[entry(case_id="a/b")], test=[]))
    yield loading(place, own_content(training=[entry(case_id="a-b")], test=[]))


@tries("manifest/load.py", "give the folder above all files as the data root, and paths relative to it")
def _outside(place: Path) -> Again:
    write_dataset(place / "json", own_content(training=[entry(image="../scans/a.nii.gz")], test=[]))
    yield lambda: load_manifest(place / "json")
    write_dataset(place / "json", own_content(training=[entry(image="scans/a.nii.gz")], test=[]))
    yield lambda: load_manifest(place / "json", data_root=place)


@tries("manifest/load.py", "give that folder as the data root")
def _recipe(place: Path) -> Again:
    write_dataset(place / "data", own_content())
    write_dataset(place / "recipe", _recipe_content())
    yield lambda: load_manifest(place / "recipe")
    yield lambda: load_manifest(place / "recipe", data_root=place / "data")


def _recipe_content(**changes: Any) -> dict[str, Any]:
    content = {"recipe": "livers", "description": "d", "source": "s", "licence": "l", "how_to_get": ["copy it"]}
    return {**content, **changes}


@tries("manifest/recipe.py", "get it:{}")
def _recipe_without_copy(place: Path) -> Again:
    write_dataset(place / "recipe", _recipe_content())
    (place / "data").mkdir()
    yield lambda: load_manifest(place / "recipe", data_root=place / "data")
    write_dataset(place / "data", own_content())
    yield lambda: load_manifest(place / "recipe", data_root=place / "data")


@tries("manifest/recipe.py", "get it again:{}")
def _recipe_of_another_copy(place: Path) -> Again:
    whole = json.dumps(own_content()).encode()
    write_dataset(place / "recipe", _recipe_content(sha256={"dataset.json": hashlib.sha256(whole).hexdigest()}))
    write_dataset(place / "data", own_content(name="another"))
    yield lambda: load_manifest(place / "recipe", data_root=place / "data")
    (place / "data" / "dataset.json").write_bytes(whole)
    yield lambda: load_manifest(place / "recipe", data_root=place / "data")


@tries("manifest/msd.py", "add it or remove all")
def _some_patients(place: Path) -> Again:
    training = [{"image": "a.nii.gz", "patient_id": "p"}, {"image": "b.nii.gz"}]
    yield loading(place, msd_content(training=training, test=[]))
    yield loading(place, msd_content(training=[training[0], {**training[1], "patient_id": "q"}], test=[]))
    yield loading(place, msd_content(training=[{"image": "a.nii.gz"}, training[1]], test=[]))


@tries("manifest/msd.py", "list modality (or channel_names), labels and training as the Decathlon does")
def _msd_layout(place: Path) -> Again:
    yield loading(place, msd_content(training=[7]))
    yield loading(place, msd_content())


@tries("manifest/nnunet.py", "give channel_names, labels and file_ending as nnU-Net does")
def _nnunet_layout(place: Path) -> Again:
    (place / "imagesTr").mkdir()
    for channel in (0, 1):
        (place / "imagesTr" / f"a_{channel:04d}.nii.gz").touch()
    yield loading(place, nnunet_content(dataset={"a": {"label": "a.nii.gz"}}))
    yield loading(place, nnunet_content())


@tries("manifest/windows_paths.py", "move the file to the folder that its name gives")
def _backslashes(place: Path) -> Again:
    (place / "i\\a.nii.gz").touch()
    content = own_content(training=[{"image": "i\\a.nii.gz"}], test=[])
    yield loading(place, content)
    (place / "i").mkdir()
    (place / "i\\a.nii.gz").rename(place / "i" / "a.nii.gz")
    yield loading(place, content)


@tries("manifest/select_cases.py", "choose another split or fold")
def _no_test_cases(place: Path) -> Again:
    manifest = cohort_of([1] * 6)
    yield lambda: select_cases(manifest, split="test")
    yield lambda: select_cases(manifest, split="training")
    yield lambda: select_cases(manifest, fold=0)
