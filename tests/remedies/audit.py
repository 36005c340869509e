"""Remedies of the findings of an audit: the audit finds no more what a remedy has settled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from medseg.audit import Finding, fix_dataset, load_for_audit
from medseg.audit.cohort_checks import check_cohort
from medseg.audit.duplicates import check_duplicates
from medseg.audit.facts import CaseFacts
from medseg.audit.image_hash import shrink
from medseg.audit.patients import check_patients_apart
from medseg.audit.sides import check_sides
from medseg.errors import PipelineError
from medseg.geometry import Geometry
from medseg.preprocess import ChannelNormalisation, PreprocessConfig, preprocess_scan
from medseg.records import Scan
from medseg.runs.ingest import IngestSettings, ingest_source
from medseg.runs.split import split_dataset
from medseg.scans import regrid, write_scan
from medseg.split import SplitConfig

from tests.audit.dirty import Dataset
from tests.audit.made_up import blob, case_of, channel_of, facts_of, label_of
from tests.audit.test_form_checks import moved_qform, sheared
from tests.audit.test_label_checks import turn_by_slope
from tests.grids import grid
from tests.manifest.datasets import manifest_of
from tests.remedies.attempts import by_a_person, covers, tries
from tests.remedies.runs import GRID, write_patients

covers("audit")
Again = Iterator[Callable[[], object]]
BOX = np.zeros((1, *GRID.shape), np.uint8)
BOX[:, 4:10, 5:12, 4:9] = 1
SAME = "give both cases the same patient_id or drop one"

by_a_person("nothing is to be done", "audit/cohort_checks.py", "nothing to do if two protocols were meant")
by_a_person(
    "nothing is to be done",
    "audit/duplicates.py",
    "nothing to do if all images lie on one grid",
    "fine for scans of one patient",
)
by_a_person("nothing is to be done", "audit/sides.py", "nothing to do: training leaves out left-right mirroring")
by_a_person("only its makers can fix a crash", "audit/audit.py", "examine its files, and report this")
by_a_person("a risk is one person's to take", "audit/risks.py", "settle it before the data leave the building")


def refuse(findings: Iterable[Finding], check: str, remedy: str = "") -> None:
    """Raise the first finding of a check whose remedy has some text."""
    for found in findings:
        if found.check == check and remedy in found.remedy:
            raise PipelineError(found.fact, remedy=found.remedy, case_id=found.case_id)


def patients(place: Path, count: int = 3) -> Dataset:
    """A dataset of patients with a box each."""
    (place / "data").mkdir()
    dataset = Dataset.__new__(Dataset)
    dataset.folder = write_patients(place / "data", count=count)
    dataset.change(test=[])
    return dataset


def auditing(dataset: Dataset, check: str, remedy: str = "") -> Callable[[], object]:
    return lambda: refuse(dataset.audit().findings, check, remedy)


def fixed(dataset: Dataset) -> Dataset:
    """The dataset that the option fix makes."""
    target = dataset.folder.with_name("fixed")
    fix_dataset(dataset.audit(), dataset.folder, target, folder=dataset.folder)
    made = Dataset.__new__(Dataset)
    made.folder = target
    return made


def without(dataset: Dataset, case_id: str) -> Dataset:
    """The dataset after one case was dropped."""
    dataset.keep(*{entry["case_id"] for entry in dataset.content["training"]} - {case_id})
    return dataset


# Patients and ids.


@tries("audit/fix.py", "choose another name")
def _target_exists(place: Path) -> Again:
    dataset = patients(place)
    (place / "fixed").mkdir()
    yield lambda: fix_dataset(dataset.audit(), dataset.folder, place / "fixed", folder=dataset.folder)
    yield lambda: fix_dataset(dataset.audit(), dataset.folder, place / "other", folder=dataset.folder)


@tries("audit/load.py", "rename one, or run medseg audit with the option fix, which keeps the new name")
def _repeated_id(place: Path) -> Again:
    dataset = patients(place)
    first, second, third = dataset.content["training"]
    dataset.change(training=[first, {**second, "case_id": "c0"}, third])
    yield auditing(dataset, "repeated_id")
    yield auditing(fixed(dataset), "repeated_id")
    dataset.change(training=[first, {**second, "case_id": "new"}, third])
    yield auditing(dataset, "repeated_id")


def check_patients(check: str, *cases: dict[str, Any], **keys: Any) -> None:
    refuse(check_patients_apart(manifest_of([case_of(f"c{n}", **case) for n, case in enumerate(cases)], **keys)), check)


@tries("audit/patients.py", "add it, else two scans of one patient may be in two folds")
def _no_patients(place: Path) -> Again:
    dataset = patients(place)
    for number in range(3):
        dataset.set(f"c{number}", patient_id=None)
    yield auditing(dataset, "no_patients")
    for number in range(3):
        dataset.set(f"c{number}", patient_id=f"p{number}")
    yield auditing(dataset, "no_patients")


@tries("audit/patients.py", "give them one patient_id if they are one person")
def _similar_ids(place: Path) -> Again:
    yield lambda: check_patients("similar_ids", {"patient_id": "STS_002"}, {"patient_id": "sts-2"})
    yield lambda: check_patients("similar_ids", {"patient_id": "STS_002"}, {"patient_id": "STS_002"})


@tries("audit/patients.py", "move all cases of the patient to one of them")
def _test_in_training(place: Path) -> Again:
    training, test = {"patient_id": "p"}, {"patient_id": "p", "split": "test"}
    yield lambda: check_patients("test_in_training", training, test)
    yield lambda: check_patients("test_in_training", training, training)
    yield lambda: check_patients("test_in_training", test, test)


def split_again(dataset: Dataset) -> Dataset:
    """The dataset that the option fix and then medseg split make."""
    made = fixed(dataset)
    split_dataset(made.folder, SplitConfig(folds=2))
    return made


@tries("audit/patients.py", "run medseg audit with the option fix and then medseg split")
def _partial_folds(place: Path) -> Again:
    dataset = patients(place)
    dataset.set("c0", fold=None)
    yield auditing(dataset, "partial_folds")
    yield auditing(split_again(dataset), "partial_folds")


@tries("audit/patients.py", "run medseg audit with the option fix, which clears all folds, and then medseg split")
def _crossing_folds(place: Path) -> Again:
    dataset = patients(place, count=4)
    dataset.set("c1", patient_id="p0")
    yield auditing(dataset, "crossing_folds")
    yield auditing(split_again(dataset), "crossing_folds")


# Duplicates.


@tries("audit/duplicates.py", SAME)
def _image_of_two_patients(place: Path) -> Again:
    dataset = patients(place)
    dataset.set("c1", image="c0.nii.gz")
    yield auditing(dataset, "duplicate_image", SAME)
    dataset.set("c1", patient_id="p0", fold=0)
    yield auditing(dataset, "duplicate_image", SAME)
    dataset.set("c1", patient_id="p1", fold=1)
    yield auditing(without(dataset, "c1"), "duplicate_image")


@tries("audit/duplicates.py", "drop one of them")
def _image_with_two_labels(place: Path) -> Again:
    dataset = patients(place)
    dataset.set("c1", image="c0.nii.gz", patient_id="p0", fold=0)
    write_scan(BOX[:, ::-1].copy(), GRID, dataset.label("c1"))
    yield auditing(dataset, "duplicate_image")
    yield auditing(without(dataset, "c1"), "duplicate_image")


@tries("audit/duplicates.py", "run medseg audit with the option fix, which drops the later case")
def _copy(place: Path) -> Again:
    dataset = patients(place)
    dataset.set("c1", image="c0.nii.gz", label="c0_label.nii.gz", patient_id="p0", fold=0)
    yield auditing(dataset, "duplicate_image")
    yield auditing(fixed(dataset), "duplicate_image")


@tries("audit/duplicates.py", "compare both; {}")
def _label_of_two_patients(place: Path) -> Again:
    facts = facts_of("a", label_digest="same", image_digest="a")
    other = facts_of("b", label_digest="same", image_digest="b")
    one_patient = replace(other, case=other.case.model_copy(update={"patient_id": facts.case.patient_id}))
    yield lambda: refuse(check_duplicates([facts, other]), "duplicate_label", "compare")
    yield lambda: refuse(check_duplicates([facts, one_patient]), "duplicate_label", "compare")
    yield lambda: refuse(check_duplicates([facts]), "duplicate_label")


def looking(case_id: str, image: np.ndarray, **keys: Any) -> CaseFacts:
    return facts_of(case_id, small=shrink(image), image_digest=case_id, **keys)


@tries("audit/duplicates.py", "compare them; {}")
def _alike(place: Path) -> Again:
    image = blob(1)
    facts, other = looking("a", image), looking("b", image + 1e-3 * blob(2))
    one_patient = replace(other, case=other.case.model_copy(update={"patient_id": facts.case.patient_id}))
    yield lambda: refuse(check_duplicates([facts, other]), "near_duplicate", "compare")
    yield lambda: refuse(check_duplicates([facts, one_patient]), "near_duplicate", "compare")
    yield lambda: refuse(check_duplicates([facts]), "near_duplicate")


@tries("audit/duplicates.py", "drop one or move both to one split")
def _alike_across_splits(place: Path) -> Again:
    image = blob(1)
    facts, other = looking("a", image), looking("b", image + 1e-3 * blob(2))
    patient = {"patient_id": facts.case.patient_id}
    tested = replace(other, case=other.case.model_copy(update={**patient, "split": "test"}))
    moved = replace(other, case=other.case.model_copy(update=patient))
    yield lambda: refuse(check_duplicates([facts, tested]), "near_duplicate", "split")
    yield lambda: refuse(check_duplicates([facts, moved]), "near_duplicate", "split")
    yield lambda: refuse(check_duplicates([facts]), "near_duplicate")


@tries("audit/duplicates.py", "the nearest ones were compared; audit parts of it")
def _too_many_pairs(place: Path) -> Again:
    image = blob(1)
    cases = [looking(f"{n}", image + 1e-3 * blob(n)) for n in range(2, 6)]
    with patch("medseg.audit.near_duplicates.MAX_CANDIDATES", 2):
        yield lambda: refuse(check_duplicates(cases), "near_duplicate", "parts")
        yield lambda: refuse(check_duplicates(cases[:2]), "near_duplicate", "parts")
        yield lambda: refuse(check_duplicates(cases[2:]), "near_duplicate", "parts")


# The cohort.


def check_facts(check: str, cases: Sequence[CaseFacts], remedy: str = "", **keys: Any) -> None:
    manifest = manifest_of([facts.case for facts in cases], **{"labels": {"background": 0, "liver": 1}, **keys})
    refuse(check_cohort(cases, manifest), check, remedy)


def cohort(*changed: dict[str, Any], usual: int = 24, **common: Any) -> list[CaseFacts]:
    """Cases of a cohort, of which the first ones differ."""
    settings = {"labels": {"liver": label_of(9.0)}, **common}
    return [facts_of(f"c{n}", **{**settings, **(changed[n] if n < len(changed) else {})}) for n in range(usual)]


@tries("audit/cohort_checks.py", "check whether it is another sequence or unit; convert it, or drop the case")
def _other_unit(place: Path) -> Again:
    cases = cohort({"channels": (channel_of(0, 100_000),)})
    yield lambda: check_facts("intensity", cases)
    yield lambda: check_facts("intensity", cohort())
    yield lambda: check_facts("intensity", cases[1:])


@tries(
    "audit/cohort_checks.py",
    "normalise each image on its own (the planned z-score does), or record modality, site and scanner",
)
def _two_scales(place: Path) -> Again:
    bright = {"channels": (channel_of(0, 100_000),)}
    yield lambda: check_facts("intensity", cohort(*[bright] * 8))
    yield lambda: check_facts("intensity", cohort(*[{**bright, "modality": "CT"}] * 8, modality="MR"))
    yield lambda: check_facts("intensity", cohort())


@tries("audit/cohort_checks.py", "check whether the header is right and the scan of the same kind")
def _other_spacing(place: Path) -> Again:
    cases = cohort({"geometry": grid((20, 20, 20), spacing_mm=(1, 1, 10))})
    yield lambda: check_facts("spacing", cases)
    yield lambda: check_facts("spacing", cohort({"geometry": grid((20, 20, 20))}))
    yield lambda: check_facts("spacing", cases[1:])


@tries("audit/cohort_checks.py", "check whether it was drawn to its end, and under the right name")
def _small_label(place: Path) -> Again:
    yield lambda: check_facts("label_volume", cohort({"labels": {"liver": label_of(0.1)}}))
    yield lambda: check_facts("label_volume", cohort({"labels": {"liver": label_of(9.1)}}))


@tries("audit/cohort_checks.py", "check whether it was forgotten or drawn under another name")
def _forgotten_organ(place: Path) -> Again:
    labels = {"background": 0, "liver": 1, "spleen": 2}
    both = {"liver": label_of(9.0), "spleen": label_of(3.0)}
    yield lambda: check_facts("missing_organ", cohort({"labels": {"liver": label_of(9)}}, labels=both), labels=labels)
    yield lambda: check_facts("missing_organ", cohort(labels=both), labels=labels)


@tries("audit/cohort_checks.py", "draw it, or take it out of the manifest")
def _unused_label(place: Path) -> Again:
    labels = {"background": 0, "liver": 1, "spleen": 2}
    drawn = {"liver": label_of(9.0), "spleen": label_of(3.0)}
    yield lambda: check_facts("unused_label", cohort(), labels=labels)
    yield lambda: check_facts("unused_label", cohort({"labels": drawn}), labels=labels)
    yield lambda: check_facts("unused_label", cohort())


# Sides.


def sided(*centres_mm: tuple[float | None, float | None]) -> list[CaseFacts]:
    """Cases with a left and a right lung at places along the patient's left-right axis, which grows to the right."""
    sides = ("left lung", "right lung")
    labels = [
        {name: label_of(9.0, x_mm=x) for name, x in zip(sides, pair, strict=True) if x is not None}
        for pair in centres_mm
    ]
    return [facts_of(f"c{n}", labels=one) for n, one in enumerate(labels)]


def check_lungs(check: str, cases: Sequence[CaseFacts], names: Sequence[str] = ("left lung", "right lung")) -> None:
    refuse(check_sides(cases, names), check)


RIGHT, WRONG = (-50.0, 50.0), (50.0, -50.0)


@tries("audit/sides.py", "swap the two labels, or fix the orientation in the header")
def _one_swapped(place: Path) -> Again:
    yield lambda: check_lungs("swapped_sides", sided(RIGHT, RIGHT, WRONG))
    yield lambda: check_lungs("swapped_sides", sided(RIGHT, RIGHT, WRONG[::-1]))
    yield lambda: check_lungs("swapped_sides", sided(RIGHT, RIGHT, (-WRONG[0], -WRONG[1])))


@tries(
    "audit/sides.py",
    "the names are swapped in the manifest, or all headers mirror the patient; fix whichever is wrong",
)
def _all_swapped(place: Path) -> Again:
    yield lambda: check_lungs("swapped_sides", sided(*[WRONG] * 4))
    yield lambda: check_lungs("swapped_sides", sided(*[WRONG[::-1]] * 4))


@tries("audit/sides.py", "check whether the other side was forgotten or lies outside the scan")
def _one_side(place: Path) -> Again:
    yield lambda: check_lungs("one_side", sided(RIGHT, (-50.0, None), (-50.0, None)))
    yield lambda: check_lungs("one_side", sided(RIGHT, RIGHT, RIGHT))


# Files and headers.


def rewritten(path: Path, change: Callable[[np.ndarray], np.ndarray] = lambda voxels: voxels) -> Callable[[], None]:
    """A function that exports an image again, and its first state after a change."""
    voxels = np.random.default_rng(0).normal(0, 1, BOX.shape).astype(np.float32) + 3 * BOX
    write_scan(change(voxels), GRID, path)
    return lambda: write_scan(voxels, GRID, path)


@tries("audit/file_facts.py", "copy it again, or find out who changed it")
def _changed_file(place: Path) -> Again:
    dataset = patients(place)
    content = dataset.image("c0").read_bytes()
    dataset.set("c0", sha256={"c0.nii.gz": hashlib.sha256(content).hexdigest()})
    rewritten(dataset.image("c0"), lambda voxels: voxels + 1)
    yield auditing(dataset, "checksum")
    dataset.image("c0").write_bytes(content)
    yield auditing(dataset, "checksum")


@tries("audit/form_checks.py", "export it again from the DICOM files; until then left and right are a guess")
def _no_codes(place: Path) -> Again:
    dataset = patients(place)
    dataset.edit_header(dataset.image("c0"), clear_codes)
    yield auditing(dataset, "orientation")
    rewritten(dataset.image("c0"))()
    yield auditing(dataset, "orientation")


def clear_codes(header: Any) -> None:
    header["qform_code"] = header["sform_code"] = 0


def edit_both(dataset: Dataset, edit: Callable[[Any], None]) -> Dataset:
    for path in (dataset.image("c0"), dataset.label("c0")):
        dataset.edit_header(path, edit)
    return dataset


@tries(
    "audit/form_checks.py",
    "resample it onto a straight grid (a straight header would move voxels by {} mm) or drop it",
)
def _large_shear(place: Path) -> Again:
    dataset = edit_both(patients(place), sheared(0.2))
    yield auditing(dataset, "shear")
    rewritten(dataset.image("c0"))()
    write_scan(BOX, GRID, dataset.label("c0"))
    yield auditing(dataset, "shear")
    edit_both(dataset, sheared(0.2))
    yield auditing(without(dataset, "c0"), "shear")


@tries("audit/form_checks.py", "run medseg audit with the option fix, which moves voxels by up to {} mm")
def _small_shear(place: Path) -> Again:
    dataset = edit_both(patients(place), sheared(0.01))
    yield auditing(dataset, "shear")
    yield auditing(fixed(dataset), "shear")


@tries("audit/form_checks.py", "run medseg audit with the option fix, which takes over the first channel's header")
def _rounded_channel(place: Path) -> Again:
    dataset = patients(place)
    for n in range(3):
        rewritten(dataset.folder / f"c{n}_second.nii.gz", lambda voxels: -voxels)
        dataset.set(f"c{n}", image=[f"c{n}.nii.gz", f"c{n}_second.nii.gz"])
    dataset.change(channel_names={"0": "T1", "1": "T2"})
    dataset.edit_header(dataset.folder / "c0_second.nii.gz", shift(0.02))
    yield auditing(dataset, "grid", "first channel")
    yield auditing(fixed(dataset), "grid")


def shift(millimetres: float) -> Callable[[Any], None]:
    def edit(header: Any) -> None:
        affine = header.get_sform()
        affine[2, 3] += millimetres
        header.set_sform(affine, code=1)
        header.set_qform(affine, code=1)

    return edit


@tries(
    "audit/form_checks.py",
    "run medseg audit with the option fix, which writes the sform into both, or export it again",
)
def _two_places(place: Path) -> Again:
    dataset = edit_both(patients(place), moved_qform(30))
    yield auditing(dataset, "sform_qform")
    yield auditing(fixed(dataset), "sform_qform")
    rewritten(dataset.image("c0"))()
    write_scan(BOX, GRID, dataset.label("c0"))
    yield auditing(dataset, "sform_qform")


@tries("audit/risks.py", "run medseg ingest again")
def _torn_ingest(place: Path) -> Again:
    patients(place)
    settings = IngestSettings(out=place / "made", keep_ids=True)
    (place / "data" / "dataset.json").unlink()
    for label in (place / "data").glob("*_label.nii.gz"):
        label.unlink()
    ingest_source(place / "data", settings)
    (place / "made" / "ingest.json").write_text("{")
    yield lambda: refuse(load_for_audit(place / "made").findings, "risk")
    ingest_source(place / "data", settings)
    yield lambda: refuse(load_for_audit(place / "made").findings, "risk", "ingest again")


@tries("audit/audit.py", "use fewer workers")
def _no_memory(place: Path) -> Again:
    dataset = patients(place)
    with patch("medseg.audit.audit.examine_case", side_effect=MemoryError):
        yield auditing(dataset, "crashed")
    yield auditing(dataset, "crashed")


# Images.


@tries("audit/image_checks.py", "fix the image or channel_names")
def _channels(place: Path) -> Again:
    dataset = patients(place)
    rewritten(dataset.folder / "second.nii.gz", lambda voxels: -voxels)
    dataset.set("c0", image=["c0.nii.gz", "second.nii.gz"])
    yield auditing(dataset, "channels")
    dataset.set("c0", image="c0.nii.gz")
    yield auditing(dataset, "channels")
    for n in range(3):
        dataset.set(f"c{n}", image=[f"c{n}.nii.gz", "second.nii.gz"])
    dataset.change(channel_names={"0": "T1", "1": "T2"})
    yield auditing(dataset, "channels")


@tries("audit/image_checks.py", "export it again or drop the case")
def _constant(place: Path) -> Again:
    dataset = patients(place)
    export = rewritten(dataset.image("c0"), lambda voxels: 0 * voxels)
    yield auditing(dataset, "constant")
    export()
    yield auditing(dataset, "constant")
    rewritten(dataset.image("c0"), lambda voxels: 0 * voxels)
    yield auditing(without(dataset, "c0"), "constant")


@tries(
    "audit/image_checks.py",
    "export it again with rescale slope and intercept applied, or ignore this if no air is in view",
)
def _stored_values(place: Path) -> Again:
    dataset = patients(place)
    dataset.change(channel_names={"0": "CT"})
    for n in range(3):
        rewritten(dataset.image(f"c{n}"), lambda voxels: 500 * np.abs(voxels))
    yield auditing(dataset, "hounsfield")
    for n in range(3):
        rewritten(dataset.image(f"c{n}"), lambda voxels: 500 * np.abs(voxels) - 1024)
    yield auditing(dataset, "hounsfield")


@tries("audit/image_checks.py", "clip it in the file, or in the plan by the normalisation ct with clip_hu")
def _hot(place: Path) -> Again:
    dataset = patients(place)

    def heated(voxels: np.ndarray) -> np.ndarray:
        voxels = voxels.copy()
        voxels[0, 0, 0, 0] = 1e6
        return voxels

    rewritten(dataset.image("c0"), heated)
    yield auditing(dataset, "hot_voxels")
    rewritten(dataset.image("c0"), lambda voxels: np.clip(heated(voxels), -5, 10))
    yield auditing(dataset, "hot_voxels")
    yield lambda: clipped(np.full((1, 2, 2, 2), 1e6, np.float32))


def clipped(voxels: np.ndarray) -> None:
    """Refuse hot voxels that the plan's normalisation does not clip."""
    clip = ChannelNormalisation(kind="ct", clip_hu=(-5, 10), mean_hu=0, std_hu=1)
    image, _, _ = preprocess_scan(
        Scan(voxels, grid(voxels.shape[1:])), PreprocessConfig(axcodes="RAS", normalisation=(clip,))
    )
    if float(image.max()) > 10:
        raise ValueError("must be clipped")


# Labels.


@tries("audit/label_checks.py", "add it or move the case to test")
def _no_label(place: Path) -> Again:
    dataset = patients(place)
    dataset.set("c0", label=None)
    yield auditing(dataset, "missing_label")
    dataset.set("c0", label="c0_label.nii.gz")
    yield auditing(dataset, "missing_label")
    test = {"case_id": "c0", "image": "c0.nii.gz", "patient_id": "p0"}
    dataset.change(training=dataset.content["training"][1:], test=[test])
    yield auditing(dataset, "missing_label")


@tries(
    "audit/label_checks.py",
    "draw it, drop the case, or set allow_empty_labels in the manifest if there is nothing to label",
)
def _empty_label(place: Path) -> Again:
    dataset = patients(place)
    write_scan(0 * BOX, GRID, dataset.label("c0"))
    yield auditing(dataset, "empty_label")
    dataset.change(allow_empty_labels=True)
    yield auditing(dataset, "empty_label")
    dataset.change(allow_empty_labels=False)
    write_scan(BOX, GRID, dataset.label("c0"))
    yield auditing(dataset, "empty_label")
    write_scan(0 * BOX, GRID, dataset.label("c0"))
    yield auditing(without(dataset, "c0"), "empty_label")


@tries("audit/label_checks.py", "name them in the manifest or correct the label")
def _unnamed_value(place: Path) -> Again:
    dataset = patients(place)
    write_scan(2 * BOX, GRID, dataset.label("c0"))
    yield auditing(dataset, "label_values")
    dataset.change(labels={"background": 0, "box": 1, "lid": 2})
    yield auditing(dataset, "label_values")
    dataset.change(labels={"background": 0, "box": 1})
    write_scan(BOX, GRID, dataset.label("c0"))
    yield auditing(dataset, "label_values")


@tries("audit/label_checks.py", "check whether they are slips of the brush, and erase them")
def _specks(place: Path) -> Again:
    dataset = patients(place)
    speckled = BOX.copy()
    speckled[0, 15, 15, 15] = 1
    write_scan(speckled, GRID, dataset.label("c0"))
    yield auditing(dataset, "speckle")
    write_scan(BOX, GRID, dataset.label("c0"))
    yield auditing(dataset, "speckle")


@tries(
    "audit/label_checks.py",
    "resample the label onto the image with nearest neighbour, export it again, or drop the case",
)
def _moved_label(place: Path) -> Again:
    dataset = patients(place)
    moved = GRID.affine.copy()
    moved[0, 3] += 2
    write_scan(BOX, Geometry(GRID.shape, moved), dataset.label("c0"))
    yield auditing(dataset, "grid")
    write_scan(regrid(Scan(BOX, Geometry(GRID.shape, moved)), GRID, order="nearest"), GRID, dataset.label("c0"))
    yield auditing(dataset, "grid")
    write_scan(BOX, Geometry(GRID.shape, moved), dataset.label("c0"))
    yield auditing(without(dataset, "c0"), "grid")


@tries("audit/label_checks.py", "run medseg audit with the option fix, which takes over the image's header")
def _rounded_label(place: Path) -> Again:
    dataset = patients(place)
    dataset.edit_header(dataset.label("c0"), shift(0.02))
    yield auditing(dataset, "grid", "option fix")
    yield auditing(fixed(dataset), "grid")


@tries("audit/label_checks.py", "run medseg audit with the option fix; some tools scale or interpolate such a label")
def _fractions(place: Path) -> Again:
    dataset = patients(place)
    write_scan(BOX.astype(np.float32), GRID, dataset.label("c0"))
    yield auditing(dataset, "label_type")
    yield auditing(fixed(dataset), "label_type")


@tries(
    "audit/label_checks.py",
    "run medseg audit with the option fix; a program that passes over slopes reads other values",
)
def _slope(place: Path) -> Again:
    dataset = patients(place)
    turn_by_slope(dataset, dataset.label("c0"))
    yield auditing(dataset, "label_type")
    yield auditing(fixed(dataset), "label_type")
