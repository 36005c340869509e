"""Remedies of reviews of masks."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from medseg.delivery.review import Edit, apply_edits, load_review
from medseg.delivery.review.volumes import embed_mask
from medseg.errors import ManifestError
from medseg.inference.mask_folder import file_sha256
from medseg.inference.mask_page import AxisOrder
from medseg.manifest import save_manifest
from medseg.manifest.load import open_manifest
from medseg.records import Case, Manifest
from medseg.runs.segmentation.review import AppliedReview, ApplySettings, BuildSettings, apply_reviews, build_review
from medseg.runs.segmentation.review.log import load_log, load_queue
from medseg.runs.segmentation.review.one_at_a_time import alone_in, check_unchanged
from medseg.scans import write_scan

from tests.delivery.review.phantoms import LABELS, box_mask, oblique_grid, write_masks
from tests.remedies.attempts import by_a_person, tries

Again = Iterator[Callable[[], object]]
GRID = oblique_grid()
REVIEW = "runs/segmentation/review"


def data_of(place: Path, *, case_ids: tuple[str, ...] = ("a",), **changes: Any) -> Manifest:
    """A data set of unlabelled cases, and masks for `a` and `b`."""
    array = np.ones((1, *GRID.shape), np.float32)
    for name in ("a", "b"):
        write_scan(array, GRID, place / f"{name}.nii.gz")
    cases = tuple(Case(case_id=one, patient_id=f"p{one}", images=(f"{one}.nii.gz",)) for one in case_ids)
    fields: dict[str, Any] = {"name": "abdomen", "channels": ("CT",), "labels": LABELS, "cases": cases}
    manifest = Manifest(**fields | changes)
    save_manifest(manifest, place / "dataset.json")
    write_masks(place / "masks", {name: (place / f"{name}.nii.gz", box_mask(GRID.shape)) for name in ("a", "b")})
    return manifest


def review_of(place: Path, case_id: str = "a", **changes: Any) -> Path:
    """A review that accepts one mask."""
    digest = file_sha256(place / "masks" / f"{case_id}.nii.gz")
    case = {"case_id": case_id, "mask_sha256": digest, "verdict": "accepted", "decided": "2026-11-01"} | changes
    path = place / f"{case_id}.review.json"
    path.write_text(
        json.dumps({"medseg_review": 1, "reader": "A", "saved": "2026-11-01", "cases": [case]}), encoding="utf-8"
    )
    return path


def applied(place: Path, review: Path, **settings: Any) -> AppliedReview:
    """The data set after a review; its first failure is raised."""
    done = apply_reviews(place / "masks", [review], ApplySettings(dataset=place / "dataset.json", **settings))
    for failure in done.failures:
        _, _, remedy = failure.reason.rpartition("; ")
        raise ManifestError(failure.reason, remedy=remedy)
    return done


@tries("delivery/review/edits.py", "review the case again, on a new page made of this folder of masks")
def _other_mask(place: Path) -> Again:
    mask, case = np.zeros((2, 2, 2), np.uint8), {"values": (0, 1), "case_id": "a"}
    yield lambda: apply_edits(mask, [Edit(value=1, runs=(8, 1))], **case)
    yield lambda: apply_edits(mask, [Edit(value=1, runs=(7, 1))], **case)


@tries("delivery/review/review_file.py", "save it again from the page, and give that file")
def _no_review(place: Path) -> Again:
    data_of(place)
    yield lambda: load_review(place / "dataset.json")
    yield lambda: load_review(review_of(place))


@tries("delivery/review/volumes.py", "correct the mask, or move it away and predict again")
def _unknown_value(place: Path) -> Again:
    order = AxisOrder((0, 1, 2), (False, False, False))
    mask = np.full((2, 2, 2), 9, np.uint8)
    yield lambda: embed_mask(mask, order, numbers={0: 0, 1: 1}, case_id="a")
    yield lambda: embed_mask(np.where(mask == 9, 1, 0), order, numbers={0: 0, 1: 1}, case_id="a")


@tries(f"{REVIEW}/build.py", "give the folder that predict wrote")
def _no_masks(place: Path) -> Again:
    data_of(place)
    yield lambda: build_review(place, BuildSettings(out=place / "r.html"))
    yield lambda: build_review(place / "masks", BuildSettings(out=place / "r.html"))


@tries(f"{REVIEW}/build.py", "give ids that it lists")
def _unknown_case(place: Path) -> Again:
    data_of(place)
    yield lambda: build_review(place / "masks", BuildSettings(out=place / "r.html", cases=("z",)))
    yield lambda: build_review(place / "masks", BuildSettings(out=place / "r.html", cases=("a",)))


by_a_person(
    "another program shows the masks", f"{REVIEW}/build.py", "review them in a program such as 3D Slicer"
)  # fmt: skip


@tries(f"{REVIEW}/log.py", "bring back an earlier copy, or move it away to begin another")
def _damaged_log(place: Path) -> Again:
    data_of(place)
    applied(place, review_of(place, "b", verdict="rejected"))
    log = place / "reviews.json"
    content = log.read_bytes()
    log.write_bytes(content[:20])
    yield lambda: load_log(log)
    log.write_bytes(content)
    yield lambda: load_log(log)[0]
    log.rename(place / "old.json")
    yield lambda: (load_log(log), load_queue(place / "to_label.json"))


@tries(f"{REVIEW}/patients.py", "write a line for each new case under these two names")
def _no_table(place: Path) -> Again:
    data_of(place)
    table = write_table(place, ("case", "patient"))
    yield lambda: applied(place, review_of(place, "b"), patients=table)
    write_table(place, ("case_id", "patient_id"))
    yield lambda: applied(place, review_of(place, "b"), patients=table)


@tries(f"{REVIEW}/patients.py", "correct the lines of the case")
def _two_patients(place: Path) -> Again:
    data_of(place)
    table = write_table(place, ("case_id", "patient_id"))
    one = table.read_text(encoding="utf-8")
    table.write_text(f"{one}b,other\n", encoding="utf-8")
    yield lambda: applied(place, review_of(place, "b"), patients=table)
    table.write_text(one, encoding="utf-8")
    yield lambda: applied(place, review_of(place, "b"), patients=table)


@tries(f"{REVIEW}/one_at_a_time.py", "wait for its end, and give the same files again")
def _two_at_once(place: Path) -> Again:
    data_of(place)
    with alone_in(place):
        yield lambda: applied(place, review_of(place))
    yield lambda: applied(place, review_of(place))


@tries(f"{REVIEW}/one_at_a_time.py", "give the same files again, for the manifest as it is now")
def _changed_meanwhile(place: Path) -> Again:
    data_of(place)
    content = (place / "dataset.json").read_bytes()
    source = open_manifest(place / "dataset.json")
    data_of(place, name="renamed")
    yield lambda: check_unchanged(source, content)
    yield lambda: applied(place, review_of(place))


def write_table(place: Path, columns: tuple[str, str]) -> Path:
    with (place / "patients.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([columns, ("b", "pb")])
    return place / "patients.csv"


@tries(f"{REVIEW}/new_case.py", "give a table of patients with a line for it, or the private table of the prediction")
def _unknown_patient(place: Path) -> Again:
    data_of(place)
    yield lambda: applied(place, review_of(place, "b"))
    table = write_table(place, ("case_id", "patient_id"))
    yield lambda: applied(place, review_of(place, "b"), patients=table)


@tries(f"{REVIEW}/new_case.py", "add the case to the data set with medseg ingest first")
def _other_channels(place: Path) -> Again:
    table = write_table(place, ("case_id", "patient_id"))
    data_of(place, channels=("CT", "PET"))
    yield lambda: applied(place, review_of(place, "b"), patients=table)
    data_of(place, case_ids=("a", "b"))
    yield lambda: applied(place, review_of(place, "b"))


@tries(f"{REVIEW}/new_label.py", "give a data set with the labels of the model")
def _other_labels(place: Path) -> Again:
    data_of(place, labels={"background": 0, "kidney": 1})
    yield lambda: applied(place, review_of(place))
    data_of(place)
    yield lambda: applied(place, review_of(place))


@tries(
    f"{REVIEW}/new_label.py", "set instances to false in a data set whose labels hold the structure's own value"
)  # fmt: skip
def _objects(place: Path) -> Again:
    one = {"background": 0, "liver": 7}
    data_of(place, labels=one, instances=True)
    mask = np.where(box_mask(GRID.shape) == 7, 7, 0).astype(np.uint8)
    write_masks(place / "masks", {"a": (place / "a.nii.gz", mask)}, labels=one)
    yield lambda: applied(place, review_of(place))
    data_of(place, labels=one, instances=False)
    write_masks(place / "masks", {"a": (place / "a.nii.gz", mask)}, labels=one)
    yield lambda: applied(place, review_of(place))


@tries(f"{REVIEW}/new_label.py", "review it again, on a new page made of this folder of masks")
def _drawn_again(place: Path) -> Again:
    data_of(place)
    yield lambda: applied(place, review_of(place, mask_sha256="0" * 64))
    yield lambda: applied(place, review_of(place))


@tries(f"{REVIEW}/same_scan.py", "predict the image of the data set, and review that mask")
def _other_scan(place: Path) -> Again:
    data_of(place)
    write_scan(np.full((1, *GRID.shape), 5, np.float32), GRID, place / "b.nii.gz")
    write_masks(place / "masks", {"a": (place / "b.nii.gz", box_mask(GRID.shape))})
    yield lambda: applied(place, review_of(place))
    write_masks(place / "masks", {"a": (place / "a.nii.gz", box_mask(GRID.shape))})
    yield lambda: applied(place, review_of(place))


@tries(
    f"{REVIEW}/new_label.py",
    "reject it, or set allow_empty_labels in the manifest if the patient has nothing to label",
)
def _empty_mask(place: Path) -> Again:
    empty: dict[str, Any] = {"edits": [{"value": 0, "runs": [0, int(np.prod(GRID.shape))]}]}
    data_of(place)
    yield lambda: applied(place, review_of(place, **empty))
    yield lambda: applied(place, review_of(place, verdict="rejected"))
    data_of(place, allow_empty_labels=True)
    yield lambda: applied(place, review_of(place, **empty))


@tries(f"{REVIEW}/new_label.py", "use the option replace, or move it away")
def _label_file_is_there(place: Path) -> Again:
    data_of(place)
    old = place / "reviewed" / "v2" / "labels" / "a.nii.gz"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"of another review")
    yield lambda: applied(place, review_of(place))
    moved = old.rename(place / "old.nii.gz")
    yield lambda: applied(place, review_of(place))
    data_of(place)
    (place / "dataset.v1.json").unlink()
    (place / "reviews.json").unlink()
    moved.replace(old)
    yield lambda: applied(place, review_of(place), replace=True)


@tries(f"{REVIEW}/apply.py", "name a new file as the output, for the manifest with reviewed labels")
def _other_form(place: Path) -> Again:
    data_of(place)
    content = json.loads((place / "dataset.json").read_text(encoding="utf-8"))
    foreign = {**content, "numTraining": 1, "modality": {"0": "CT"}}
    (place / "dataset.json").write_text(json.dumps(foreign), encoding="utf-8")
    yield lambda: applied(place, review_of(place))
    yield lambda: applied(place, review_of(place), out=place / "reviewed.json")


@tries(f"{REVIEW}/apply.py", "give the folder of masks that the page was made of")
def _other_masks(place: Path) -> Again:
    data_of(place)
    yield lambda: applied(place, _renamed(place))
    yield lambda: applied(place, review_of(place))


def _renamed(place: Path) -> Path:
    path = review_of(place)
    path.write_text(path.read_text(encoding="utf-8").replace('"a"', '"z"'), encoding="utf-8")
    return path


@tries(f"{REVIEW}/apply.py", "use the option replace, which keeps the file of the old label")
def _has_a_label(place: Path) -> Again:
    data_of(place)
    applied(place, review_of(place))
    other = np.ascontiguousarray(box_mask(GRID.shape)[::-1])  # the case is drawn again, otherwise
    write_masks(place / "masks", {name: (place / f"{name}.nii.gz", other) for name in ("a", "b")})
    later = {"decided": "2026-12-01"}
    yield lambda: applied(place, review_of(place, **later))
    yield lambda: applied(place, review_of(place, **later), replace=True)
