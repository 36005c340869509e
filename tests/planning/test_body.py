"""When a plan crops scans to the body."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from medseg.cohort import SERIAL
from medseg.geometry import Geometry
from medseg.planning import CaseFingerprint, Fingerprint, make_plan, take_fingerprint
from medseg.planning.body import body_rule
from medseg.preprocess import BodyCrop
from medseg.records import Case, Manifest
from medseg.scans import write_scan

VALUES = np.linspace(-100, 300, 50)[np.newaxis]
Build = Callable[..., Manifest]


def fingerprint_of(*bodies: tuple[int, int, int] | None, outside: int = 0) -> Fingerprint:
    cases = tuple(
        CaseFingerprint((80, 80, 80), (1.0, 1.0, 1.0), VALUES, {1: 9}, body, outside if n == 0 else 0)
        for n, body in enumerate(bodies)
    )
    return Fingerprint(cases, (), is_2d=False)


def test_scans_that_are_mostly_air_are_cropped_and_the_patch_is_made_for_the_body(build_manifest: Build) -> None:
    plan = make_plan(fingerprint_of((48, 40, 80), (48, 40, 80)), build_manifest(), device="cpu")
    assert plan.preprocess.body == BodyCrop(above=(-500.0,))
    assert plan.reasons["preprocess.body"].startswith("the body's box takes 30% of the training scans; what is outside")
    assert "median scan of 48×40×80 voxels" in plan.reasons["training.patch_size"]
    assert plan.fingerprint is not None
    assert plan.fingerprint.body_share == 0.3


@pytest.mark.parametrize("bodies", [[(80, 80, 64)], [None], [(80, 80, 80), (80, 80, 50)]])
def test_scans_that_the_body_fills_are_left_whole(
    build_manifest: Build, bodies: list[tuple[int, int, int] | None]
) -> None:
    plan = make_plan(fingerprint_of(*bodies), build_manifest(), device="cpu")
    assert plan.preprocess.body is None
    assert "preprocess.body" not in plan.reasons


def test_labels_outside_of_a_body_forbid_the_crop(build_manifest: Build) -> None:
    plan = make_plan(fingerprint_of((48, 40, 80), (48, 40, 80), outside=3), build_manifest(), device="cpu")
    assert plan.preprocess.body is None
    assert "but in 1 of them labels lie outside of it" in plan.reasons["preprocess.body"]
    assert "80×80×80" in plan.reasons["training.patch_size"]


def test_rule_is_a_threshold_for_ct_alone() -> None:
    assert body_rule(("CT", "T1", " ct ")).above == (-500.0, None, -500.0)


def test_fingerprint_finds_the_body_along_ras_and_labels_outside(build_manifest: Build, tmp_path: Path) -> None:
    geometry = Geometry((20, 30, 40), np.array([[0, 0, -1.0, 0], [-1.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 0, 1.0]]))
    image, label = np.full((1, 20, 30, 40), -1000, np.float32), np.zeros((1, 20, 30, 40), np.uint8)
    image[0, 5:15, 12:18, 15:27] = 40
    label[0, 8:10, 14:16, 20:22] = 1
    label[0, 0, 0, 0:2] = 2
    write_scan(image, geometry, tmp_path / "image.nii.gz")
    write_scan(label, geometry, tmp_path / "label.nii.gz")
    case = Case(case_id="a", patient_id="a", images=("image.nii.gz",), label="label.nii.gz")
    rule = BodyCrop(above=(-500.0,), margin_mm=2)
    found = take_fingerprint([case], build_manifest(), tmp_path, body=rule, executor=SERIAL).cases[0]
    assert found.shape == (40, 20, 30)
    assert found.body == (12 + 4, 10 + 4, 6 + 2)
    assert found.labelled_outside == 2
    label[0, 8, 0, 0] = 2
    for name, array in (("image", image[:, 8:9]), ("label", label[:, 8:9])):  # a single slice beside volumes
        write_scan(array, geometry.cropped(0, range(8, 9)), tmp_path / f"{name}.nii.gz")
    slice_ = take_fingerprint([case], build_manifest(), tmp_path, body=rule, executor=SERIAL).cases[0]
    assert slice_.labelled_outside == 1
    without = take_fingerprint([case], build_manifest(), tmp_path, executor=SERIAL)
    assert without.cases[0].body is None
    assert without.body_share() is None
