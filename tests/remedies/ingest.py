"""Remedies of what an ingest refuses: images, labels, cases and whole sources."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from medseg.errors import ManifestError
from medseg.geometry import Geometry
from medseg.ingest import IngestOptions, Progress, Pseudonyms, ingest, load_key
from medseg.records import Failure
from pydicom.uid import generate_uid

from tests.grids import grid
from tests.ingest.sources import (
    GRID,
    KEY,
    block,
    run_ingest,
    voxels,
    write_ct,
    write_itk,
    write_nifti,
    write_rtstruct,
    write_seg,
)
from tests.ingest.test_channels import MAPPING, PET, centre_of, write_plane
from tests.ingest.test_pictures import OVAL, grey, write_picture
from tests.remedies.attempts import covers, tries
from tests.remedies.dicom_files import edited

covers("ingest")
Again = Iterator[Callable[[], object]]
BOX = (2, 5, 2, 5, 1, 3)
MASK = block(slice(2, 6), slice(2, 6), slice(1, 4)).astype(np.uint8)
CASES = import_module("medseg.ingest.ingest")


def ingesting(
    source: Path, out: Path, *, accepted: Sequence[str] = (), labels: int | None = None, **settings: Any
) -> Callable[[], object]:
    """A function that ingests and raises the first refusal or failure as an error with its remedy.

    Args:
        source: Folder of scans.
        out: Folder of the dataset.
        accepted: Kinds of refusals that are expected.
        labels: Number of cases that must have a label.
        settings: Mapping and options.
    """

    def run() -> None:
        errors: list[Exception] = []
        made = Failure.of

        def noted(case_id: str, stage: str, error: Exception) -> Failure:
            errors.append(error)
            return made(case_id, stage, error)

        with (
            patch.object(Failure, "of", noted),
            patch.object(CASES, "remove_stale", wraps=CASES.remove_stale) as ended,
        ):
            done = run_ingest(source, out, **settings)
        outcome = ended.call_args.args[0]
        refusals = [
            *(one.refusal for one in (*outcome.builds, *outcome.lost)),
            *(refusal for _, refusal in (*outcome.unused, *outcome.doses)),
        ]
        errors += [ManifestError(one.fact, remedy=one.remedy) for one in refusals if one and one.kind not in accepted]
        if errors:
            raise errors[0]
        if labels is not None and sum(case.label is not None for case in done.manifest.cases) != labels:
            raise LookupError(f"{labels} case(s) must have a label")

    return run


def study() -> dict[str, str]:
    return {"StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}


def pictures(folder: Path, mask: np.ndarray, name: str = "a_mask.png", **options: Any) -> Path:
    write_picture(folder / "a.png", grey())
    write_picture(folder / name, mask, **options)
    return folder


# Sources, datasets and keys


@tries("ingest/ingest.py", "check the folder")
def _empty_source(place: Path) -> Again:
    (place / "share").mkdir()
    write_ct(place / "mounted" / "share")
    yield ingesting(place / "share", place / "out")
    yield ingesting(place / "mounted" / "share", place / "out")


@tries("ingest/ingest.py", "choose another output folder")
def _output_above_the_source(place: Path) -> Again:
    write_ct(place / "export" / "ct")
    yield ingesting(place / "export", place)
    yield ingesting(place / "export", place / "out")


@tries(
    "ingest/dataset.py",
    "repair that entry, or move the file away to ingest without the folds, test cases, sex and age in it",
)
def _dataset_with_a_typo(place: Path) -> Again:
    write_ct(place / "export")
    run_ingest(place / "export", place / "out")
    path = place / "out" / "dataset.json"
    right = path.read_text()
    path.write_text(right.replace('"case_id"', '"sex": "m", "case_id"', 1))
    yield ingesting(place / "export", place / "out")
    path.rename(place / "dataset.json")
    yield ingesting(place / "export", place / "out")
    path.write_text(right)
    yield ingesting(place / "export", place / "out")


@tries("ingest/state.py", "choose another output folder")
def _output_with_other_files(place: Path) -> Again:
    write_ct(place / "export")
    (place / "full").mkdir()
    (place / "full" / "thesis.tex").touch()
    yield ingesting(place / "export", place / "full")
    yield ingesting(place / "export", place / "out")


@tries("ingest/ingest.py", "give it as the mapping, or remove it for a new proposal")
def _edited_proposal(place: Path) -> Again:
    write_rtstruct({"liver": BOX}, write_ct(place / "src" / "ct"), place / "src" / "rs")
    ingesting(place / "src", place / "out")()
    proposal = place / "out" / "mapping.yaml"
    proposal.write_text(proposal.read_text().replace("value: 1", "value: 3"))
    yield ingesting(place / "src", place / "out")
    yield ingesting(place / "src", place / "out", mapping=proposal, labels=1)
    proposal.unlink()
    yield ingesting(place / "src", place / "out", labels=1)


@tries("ingest/state.py", "give the same key, or another output folder")
def _other_key(place: Path) -> Again:
    write_ct(place / "src")
    ingesting(place / "src", place / "out")()
    yield ingesting(place / "src", place / "out", key=bytes(32))
    yield ingesting(place / "src", place / "out")
    yield ingesting(place / "src", place / "other", key=bytes(32))


@tries("ingest/ingest.py", "correct one of the ids in the source")
def _ids_that_are_one(place: Path) -> Again:
    for name, patient in (("a", "A 1"), ("b", "A_1")):
        write_ct(place / "src" / name, PatientID=patient)
    yield ingesting(place / "src", place / "out", keep_ids=True)
    for path in (place / "src" / "b").iterdir():
        edited(path, PatientID="B_1")
    yield ingesting(place / "src", place / "out", keep_ids=True)


@dataclass(frozen=True, slots=True)
class _Clashing(Pseudonyms):
    """Pseudonyms with a key by which all patients are one: no such key can be found."""

    def patient(self, patient: str, *, is_id: bool = True) -> str:
        return "p0123456789ab"


@tries("ingest/ingest.py", "ingest with another key and output folder")
def _clash_of_pseudonyms(place: Path) -> Again:
    for name in ("a", "b"):
        write_ct(place / "src" / name, PatientID=name)

    def run(names: Pseudonyms, out: Path) -> None:
        ingest(place / "src", out, names=names, options=IngestOptions(), progress=Progress())

    yield lambda: run(_Clashing(KEY), place / "out")
    yield lambda: run(Pseudonyms(bytes(32)), place / "other")


@tries("ingest/key.py", "give a file as the key that can be read, or written if it is new")
def _folder_as_key(place: Path) -> Again:
    yield lambda: load_key(place)
    yield lambda: load_key(place / "new.key")
    yield lambda: load_key(place / "new.key")


@tries("ingest/key.py", "give the file of the key that the dataset was begun with, or a new file for a new dataset")
def _no_key(place: Path) -> Again:
    write_ct(place / "src")

    def run(key: Path, out: Path) -> None:
        ingesting(place / "src", out, key=load_key(key))()

    run(place / "first.key", place / "out")
    (place / "wrong.key").write_text("no key")
    yield lambda: run(place / "wrong.key", place / "out")
    yield lambda: run(place / "first.key", place / "out")
    yield lambda: run(place / "new.key", place / "new")


# Images and channels


@tries("ingest/find_images.py", "ingest these and their masks apart, with the kind {}")
def _pictures_beside_volumes(place: Path) -> Again:
    write_ct(place / "src" / "ct")
    pictures(place / "src" / "photos", OVAL * 255)
    yield ingesting(place / "src", place / "volumes")
    yield ingesting(place / "src", place / "pictures", kind="pictures", accepted=["other_kind"], labels=1)


@tries("ingest/find_images.py", "ingest them apart")
def _colours_beside_grey(place: Path) -> Again:
    for n in range(2):
        write_picture(place / "src" / f"grey{n}.png", grey(n))
    write_picture(place / "src" / "colour.png", grey(2, (20, 30, 3)))
    yield ingesting(place / "src", place / "out")
    (place / "colour").mkdir()
    (place / "src" / "colour.png").rename(place / "colour" / "colour.png")
    yield ingesting(place / "src", place / "out")
    yield ingesting(place / "colour", place / "out_of_colour")


def two_series(place: Path, geometry: Geometry = PET, **pet: str) -> tuple[Path, dict[str, str]]:
    """A CT and a PET of one study."""
    shared = study()
    write_ct(place / "src" / "ct", centre_of(PET), **shared)
    write_plane(place / "src" / "pet", geometry, **{**shared, **pet})
    return place / "src", shared


@tries("ingest/build_image.py", "give the channel another name in the mapping, in which PET stays as it is stored")
def _named_for_suv(place: Path) -> Again:
    source, _ = two_series(place)
    yield ingesting(source, place / "out", mapping=MAPPING.replace("name: PET", "name: PET_SUV"))
    yield ingesting(source, place / "out", mapping=MAPPING)


@tries("ingest/build_image.py", "register it to the reference first")
def _two_frames(place: Path) -> Again:
    source, shared = two_series(place, FrameOfReferenceUID=generate_uid())
    yield ingesting(source, place / "out", mapping=MAPPING)
    for path in (source / "pet").iterdir():
        edited(path, FrameOfReferenceUID=shared["FrameOfReferenceUID"])  # as a registration writes it
    yield ingesting(source, place / "out", mapping=MAPPING)


@tries("ingest/build_image.py", "choose another reference, or take the channel out of the mapping")
def _apart(place: Path) -> Again:
    """Two slabs that do not touch, and a scan that covers both."""
    shared = study()
    slab = grid((12, 10, 6), spacing_mm=(1.5, 1.5, 4.0), axcodes="LPS")
    for name, origin_k, modality in (("low", 0, "MR"), ("high", 12, "CT")):
        affine = slab.affine.copy()
        affine[:3, 3] += origin_k * affine[:3, 2]
        write_ct(place / "src" / name, Geometry(slab.shape, affine), **{**shared, "Modality": modality})
    write_plane(place / "src" / "pet", Geometry((12, 10, 18), slab.affine), **shared)
    channels = "{name: low, modality: MR}, {name: all, modality: PT}"
    everything = f"channels: [{channels}, {{name: high, modality: CT}}]"
    yield ingesting(place / "src", place / "out", mapping=everything)
    yield ingesting(place / "src", place / "out", mapping=f"{everything}\nreference: all")
    yield ingesting(place / "src", place / "out", mapping=f"channels: [{channels}]", accepted=["no_channel"])


@tries("ingest/case_build.py", "add it, or leave the study out")
def _channel_missing(place: Path) -> Again:
    source, _ = two_series(place)
    shutil.move(source / "pet", place / "pet")
    whole, _ = two_series(place / "other")
    shutil.copytree(whole, source / "whole")
    yield ingesting(source, place / "out", mapping=MAPPING)
    yield ingesting(source / "whole", place / "without", mapping=MAPPING)
    shutil.move(place / "pet", source / "pet")
    yield ingesting(source, place / "out", mapping=MAPPING)


@tries("ingest/case_build.py", "narrow its description in the mapping")
def _channel_twice(place: Path) -> Again:
    source, shared = two_series(place)
    write_plane(source / "nac", **shared, SeriesDescription="PET uncorrected")
    yield ingesting(source, place / "out", mapping=MAPPING)
    narrow = MAPPING.replace("modality: PT", 'modality: PT, description: "* AC"')
    yield ingesting(source, place / "out", mapping=narrow, accepted=["no_channel"])


@tries("ingest/case_build.py", "name that channel under label_from in the mapping")
def _label_of_another_channel(place: Path) -> Again:
    shared = study()
    write_ct(place / "src" / "ct", centre_of(PET), **shared)
    pet = write_plane(place / "src" / "pet", **shared)
    write_rtstruct({"GTV": (9, 10, 8, 9, 5, 6)}, pet, place / "src" / "rs", geometry=PET)
    mapping = f"{MAPPING}\nlabels: {{gtv: {{value: 2, names: [GTV]}}}}"
    yield ingesting(place / "src", place / "out", mapping=mapping)
    yield ingesting(place / "src", place / "out", mapping=f"{mapping}\nlabel_from: PET", labels=1)


@tries("ingest/case_build.py", "name its structures otherwise if they are others")
def _label_that_a_later_one_replaces(place: Path) -> Again:
    write_nifti(place / "src" / "P1" / "ct.nii.gz", voxels())
    for name in ("liver_mask", "mask_liver"):
        write_nifti(place / "src" / "P1" / f"{name}.nii.gz", MASK)
    yield ingesting(place / "src", place / "out")
    (place / "src" / "P1" / "mask_liver.nii.gz").rename(place / "src" / "P1" / "mask_spleen.nii.gz")
    yield ingesting(place / "src", place / "out", labels=1)


@tries("ingest/ingest.py", "give one of these as the option modality of medseg ingest, or none")
def _modality_that_is_not_there(place: Path) -> Again:
    write_ct(place / "src")
    yield ingesting(place / "src", place / "out", modality="MR")
    yield ingesting(place / "src", place / "out", modality="CT")
    yield ingesting(place / "src", place / "all")


@tries("ingest/modality.py", "ingest it apart")
def _other_modality(place: Path) -> Again:
    source, _ = two_series(place)
    yield ingesting(source, place / "ct", modality="CT")
    yield ingesting(source, place / "pet", modality="PT", accepted=["other_modality"])


# Labels and their images


@tries("ingest/match.py", "correct the patient, and ingest again")
def _other_patient(place: Path) -> Again:
    images = write_ct(place / "src" / "ct")
    write_rtstruct({"liver": BOX}, images, place / "src" / "rs", refer=False, PatientID="OTHER")
    yield ingesting(place / "src", place / "out")
    edited(place / "src" / "rs", PatientID=str(images[0].PatientID))
    yield ingesting(place / "src", place / "out", labels=1)


@tries("ingest/object_match.py", "keep each label beside its image")
def _two_images_of_an_object(place: Path) -> Again:
    shared = study()
    for seed, name in enumerate(("before", "after")):
        images = write_ct(place / "src" / name / "ct", seed=seed, **shared)
    write_rtstruct({"liver": BOX}, images, place / "src" / "rs", refer=False)
    yield ingesting(place / "src", place / "out")
    (place / "src" / "rs").rename(place / "src" / "after" / "ct" / "rs")
    yield ingesting(place / "src", place / "out", labels=1)


@tries("ingest/match_labels.py", "name it like its image")
def _two_images_of_a_mask(place: Path) -> Again:
    for seed, name in enumerate(("p1_t1", "p1_t2")):
        write_nifti(place / "src" / "p1" / f"{name}.nii.gz", voxels(seed=seed))
    write_nifti(place / "src" / "p1" / "mask.nii.gz", MASK)
    yield ingesting(place / "src", place / "out")
    (place / "src" / "p1" / "mask.nii.gz").rename(place / "src" / "p1" / "p1_t1_mask.nii.gz")
    yield ingesting(place / "src", place / "out", labels=1)


@tries("ingest/match_labels.py", "name it like its image, or list it under images in the mapping if it is one")
def _mask_by_its_values(place: Path) -> Again:
    for seed, name in enumerate(("anna", "bert")):
        write_nifti(place / "src" / name / f"{name}.nii.gz", voxels(seed=seed))
    write_nifti(place / "src" / "zoe.nii.gz", MASK)
    yield ingesting(place / "src", place / "out")
    yield ingesting(place / "src", place / "images", mapping='images: ["zoe*"]')
    (place / "src" / "zoe.nii.gz").rename(place / "src" / "anna" / "anna_zoe.nii.gz")
    yield ingesting(place / "src", place / "out", labels=1)


# Values and structures of labels


def _exported(place: Path, wrong: np.ndarray, right: np.ndarray, **options: Any) -> Again:
    """A mask picture that holds no label values, and one that does."""
    source = pictures(place / "src", wrong, **options)
    yield ingesting(source, place / "out")
    for path in source.glob("a_mask*"):
        path.unlink()
    pictures(source, right)
    yield ingesting(source, place / "out", labels=1)


tries("ingest/label_source.py", "save label values as grey")(
    lambda place: _exported(place, np.stack([OVAL * 250, OVAL * 20, OVAL], axis=-1), OVAL)
)
tries("ingest/label_source.py", "save it as PNG")(
    lambda place: _exported(place, OVAL * 100 + np.roll(OVAL, 6, axis=0) * 50, OVAL, name="a_mask.jpg")
)
tries("ingest/label_source.py", "export label values, no probabilities")(
    lambda place: _exported(place, OVAL.astype(np.float32) * 0.7, OVAL, name="a_mask.tif")
)
tries("ingest/draw_label.py", "export it again")(lambda place: _exported(place, OVAL[:, :-3], OVAL))


@tries("ingest/label_source.py", "export it again")
def _no_structure(place: Path) -> Again:
    images = write_ct(place / "src" / "ct")
    write_rtstruct({}, images, place / "src" / "rs")
    yield ingesting(place / "src", place / "out")
    write_rtstruct({"liver": BOX}, images, place / "src" / "rs")
    yield ingesting(place / "src", place / "out", labels=1)


@tries("ingest/label_source.py", "export it again")
def _layer_that_is_missing(place: Path) -> Again:
    write_nifti(place / "src" / "a.nii.gz", voxels())
    keys = {"Segment0_ID": "Segment_1", "Segment0_Name": "liver", "Segment0_LabelValue": "1"}
    write_itk(place / "src" / "a.seg.nrrd", MASK, **keys, Segment0_Layer="1")
    yield ingesting(place / "src", place / "out")
    write_itk(place / "src" / "a.seg.nrrd", MASK, **keys, Segment0_Layer="0")
    yield ingesting(place / "src", place / "out", labels=1)


@tries("ingest/label_source.py", "close the contours, and export it again")
def _open_contours(place: Path) -> Again:
    images = write_ct(place / "src" / "ct")
    write_rtstruct({"vessel": BOX}, images, place / "src" / "rs", contour_kind="OPEN_PLANAR")
    yield ingesting(place / "src", place / "out")
    write_rtstruct({"vessel": BOX}, images, place / "src" / "rs")
    yield ingesting(place / "src", place / "out", labels=1)


@tries("ingest/label_source.py", "list it under images in the mapping if it is an image")
def _image_named_like_a_mask(place: Path) -> Again:
    large = grid((24, 20, 12), spacing_mm=(1.5, 1.5, 4.0))
    write_nifti(place / "src" / "p1.nii.gz", voxels(large), large)
    write_nifti(place / "src" / "p2_mask_prep.nii.gz", voxels(large, seed=1) * 2, large)
    yield ingesting(place / "src", place / "out")
    yield ingesting(place / "src", place / "images", mapping='images: ["*_mask_prep*"]')


@tries("ingest/draw_label.py", "ingest with the repair grids to resample it (nearest), or export it again")
def _other_grid(place: Path) -> Again:
    write_nifti(place / "src" / "a.nii.gz", voxels())
    affine = GRID.affine.copy()
    affine[:3, 3] += 0.4 * affine[:3, 0]
    write_nifti(place / "src" / "a_mask.nii.gz", MASK, Geometry(GRID.shape, affine))
    yield ingesting(place / "src", place / "out")
    yield ingesting(place / "src", place / "out", repair=["grids"], labels=1)
    write_nifti(place / "src" / "a_mask.nii.gz", MASK)
    yield ingesting(place / "src", place / "out", labels=1)


@tries("ingest/draw_objects.py", "take instances out of the mapping")
def _objects_of_a_seg(place: Path) -> Again:
    write_seg({"liver": MASK > 0}, write_ct(place / "src" / "ct"), place / "src" / "seg")
    mapping = "labels: {liver: {value: 1, names: [liver]}}\n"
    yield ingesting(place / "src", place / "out", mapping=f"{mapping}instances: true")
    yield ingesting(place / "src", place / "out", mapping=mapping, labels=1)


@tries("ingest/draw_objects.py", "split its image")
def _too_many_objects(place: Path) -> Again:
    shape = (40, 2000)
    image = grey(0, shape)
    objects = np.arange(1, image.size // 2 + 1, dtype=np.uint16).reshape(20, 2000)
    halves = (slice(0, 20), slice(20, 40))
    for n, half in enumerate(halves):
        mask = np.zeros(shape, np.uint16)
        mask[half] = objects
        write_picture(place / "whole" / f"a_mask_{n + 1}.png", mask)
        write_picture(place / "halves" / f"half{n}.png", image[half])
        write_picture(place / "halves" / f"half{n}_mask.png", objects)
    write_picture(place / "whole" / "a.png", image)
    mapping = 'instances: true\nlabels: {cell: {value: 1, names: ["*", object]}}'
    yield ingesting(place / "whole", place / "out", mapping=mapping)
    yield ingesting(place / "halves", place / "out_of_halves", mapping=mapping, labels=2)


def _named(place: Path, *, names: Sequence[str], mapping: str) -> Again:
    boxes = {name: (BOX[0] + 3 * n, BOX[1] + 3 * n, *BOX[2:]) for n, name in enumerate(names)}
    write_rtstruct(boxes, write_ct(place / "src" / "ct"), place / "src" / "rs")
    one, other = (repr(name) for name in names)
    yield ingesting(place / "src", place / "out", mapping=mapping)
    both = f"labels: {{a: {{value: 1, names: [{one}]}}, b: {{value: 2, names: [{other}]}}}}"
    yield ingesting(place / "src", place / "out", mapping=both, labels=1)
    ignored = f"labels: {{a: {{value: 1, names: [{one}]}}}}\nignore: [{other}]"
    yield ingesting(place / "src", place / "out", mapping=ignored, labels=1)


tries("ingest/named.py", "add them to labels or to ignore")(
    partial(_named, names=("liver", "tumour"), mapping="labels: {a: {value: 1, names: [liver]}}")
)
tries("ingest/named.py", "add both names to labels or to ignore")(
    partial(_named, names=("GTV 1", "gtv_1"), mapping="labels: {a: {value: 1, names: [GTV 1]}}")
)
