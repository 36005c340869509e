"""The route from files to masks gives the same voxels whatever a voxel measures, from nanometres to metres."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import medseg
import nibabel
import numpy as np
import pytest
import torch
from medseg.cohort import SERIAL
from medseg.geometry import Geometry
from medseg.inference.segmentation import ModelCard, Predictor
from medseg.manifest import load_manifest
from medseg.networks.segmentation import UNet
from medseg.planning import make_plan, take_fingerprint
from medseg.planning.classification import SliceChoices, make_slice_plan
from medseg.planning.plan import Plan
from medseg.preprocess.segmentation import prepare_cases
from medseg.records import Array
from medseg.scans import read_label, read_scan, write_mask
from medseg.targets import SliceClasses

SPACINGS = [(0.7, 0.7, 2.3), (0.65, 0.65, 2.0), (0.65, 0.65, 2.0)]  # of the scans, at a scale of 1
FACTORS = [1e-6, 1e-4, 1e-3, 0.1, 1e3]
# Rounding of millimetres by decimals: round(x_mm, 3), np.round(spacing_mm, 4), f"{x_mm:.2f}".
ROUNDED = re.compile(r"round\([^)]*(?:mm|spacing|extent)\w*(?:\[[^]]*\])?, \d|(?:_mm|spacing)\w*(?:\[\w+\])?:\.\df")


class Route(NamedTuple):
    """Results of the whole route on a dataset."""

    plan: Plan
    grids: list[tuple[int, ...]]
    mask: Array
    reread: Array


def write_scaled(folder: Path, factor: float, *, unit: str = "mm") -> Path:
    """Three scans whose voxel sizes are multiplied by a factor, in a Decathlon folder."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for n, spacing in enumerate(SPACINGS):
        rng = np.random.default_rng(n)
        label = np.zeros((20, 22, 12), np.uint8)
        label[5 + n : 12, 6:14, 3:8] = 1
        image = (rng.normal(100, 10, label.shape) + 60 * label).astype(np.float32)
        affine = np.diag([*(np.array(spacing) * factor), 1.0])
        affine[:3, 3] = np.array([-7.0, 3.0, 11.0]) * factor
        for name, voxels in (("imagesTr", image), ("labelsTr", label)):
            volume = nibabel.Nifti1Image(voxels, affine)
            volume.header.set_xyzt_units(unit)
            nibabel.save(volume, folder / name / f"cell{n}.nii.gz")
    entries = [{"image": f"imagesTr/cell{n}.nii.gz", "label": f"labelsTr/cell{n}.nii.gz"} for n in range(3)]
    content = {"name": "cells", "modality": {"0": "light"}, "labels": {"0": "background", "1": "nucleus"}}
    (folder / "dataset.json").write_text(json.dumps({**content, "training": entries}))
    return folder


def take_route(folder: Path) -> Route:
    """Plan, prepare, predict with one fixed network, write the mask and read it again."""
    manifest, root = load_manifest(folder)
    plan = make_plan(take_fingerprint(manifest.cases, manifest, root, executor=SERIAL), manifest, device="cpu")
    prepared = prepare_cases(
        manifest.cases, manifest, root, config=plan.preprocess, store=folder / "store", executor=SERIAL
    )
    assert prepared.failures == ()
    torch.manual_seed(0)
    card = ModelCard(
        medseg_version="0", dataset="cells", channels=("light",), labels=manifest.labels, network=plan.network,
        preprocess=plan.preprocess, inference=plan.inference, trained_on=(), manifest_digest="0", plan_digest="0",
    )  # fmt: skip
    predictor = Predictor(UNet(plan.network).eval(), card, device=torch.device("cpu"), precision="fp32")
    scan = read_scan(root / manifest.cases[0].images[0], case_id="c")
    mask = predictor.mask(scan)
    reread, grid = read_label(write_mask(mask, scan, folder / "masks", case_id="c"), case_id="c")
    assert grid.is_close(scan.geometry)
    return Route(plan, [case.grid.shape for case in prepared.cases], mask, reread)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Route:
    return take_route(write_scaled(tmp_path_factory.mktemp("plain"), 1.0))


def settings_of(plan: Plan) -> dict[str, object]:
    """A plan without its lengths, its volumes and its words."""
    content = plan.model_dump(exclude={"reasons"})
    del content["preprocess"]["spacing_mm"], content["training"]["augment"]["spacing_mm"]
    for label in content["fingerprint"]["labels"].values():
        label.pop("median_ml", None)
    return content


def volumes_ml(plan: Plan) -> list[float]:
    """Median volume of each label."""
    assert plan.fingerprint is not None
    return [label.median_ml or 0.0 for label in plan.fingerprint.labels.values()]


@pytest.mark.parametrize("factor", FACTORS)
def test_route_is_the_same_up_to_scale(tmp_path: Path, plain: Route, factor: float) -> None:
    scaled = take_route(write_scaled(tmp_path, factor))
    assert settings_of(scaled.plan) == settings_of(plain.plan)
    assert scaled.plan.preprocess.spacing_mm is not None
    assert plain.plan.preprocess.spacing_mm is not None
    expected = np.array(plain.plan.preprocess.spacing_mm) * factor
    np.testing.assert_allclose(scaled.plan.preprocess.spacing_mm, expected, rtol=1e-5)
    np.testing.assert_allclose(volumes_ml(scaled.plan), np.array(volumes_ml(plain.plan)) * factor**3, rtol=1e-2)
    assert scaled.grids == plain.grids
    assert plain.mask.any()
    assert (scaled.mask != plain.mask).mean() < 1e-3
    np.testing.assert_array_equal(scaled.reread, scaled.mask)


@pytest.mark.parametrize("micron", [(0.065, 0.2), (0.102, 1.0), (0.04, 0.04)])
def test_microscope_keeps_its_voxels(tmp_path: Path, micron: tuple[float, float]) -> None:
    label = np.zeros((24, 24, 16), np.uint8)
    label[6:14, 7:15, 4:10] = 1
    image = np.random.default_rng(0).normal(100, 10, label.shape).astype(np.float32) + 60 * label
    for name, voxels in (("image", image), ("label", label)):
        volume = nibabel.Nifti1Image(voxels, np.diag([micron[0], micron[0], micron[1], 1.0]))
        volume.header.set_xyzt_units("micron")
        nibabel.save(volume, tmp_path / f"{name}.nii.gz")
    training = [{"case_id": "a", "patient_id": "p", "image": "image.nii.gz", "label": "label.nii.gz"}]
    content = {"name": "cells", "channel_names": {"0": "light"}, "labels": {"background": 0, "nucleus": 1}}
    (tmp_path / "dataset.json").write_text(json.dumps({**content, "training": training}))
    manifest, root = load_manifest(tmp_path)
    plan = make_plan(take_fingerprint(manifest.cases, manifest, root, executor=SERIAL), manifest, device="cpu")
    expected = (micron[0] / 1000, micron[0] / 1000, micron[1] / 1000)
    assert plan.preprocess.spacing_mm == pytest.approx(expected, rel=1e-5)
    done = prepare_cases(manifest.cases, manifest, root, config=plan.preprocess, store=tmp_path / "s", executor=SERIAL)
    assert done.cases[0].grid.shape == label.shape


@pytest.mark.parametrize("factor", FACTORS)
def test_slices_have_the_same_pixels_up_to_scale(tmp_path: Path, factor: float) -> None:
    plans = []
    for name, scale in (("plain", 1.0), ("scaled", factor)):
        manifest, root = load_manifest(write_scaled(tmp_path / name, scale))
        fingerprint = take_fingerprint(manifest.cases, manifest, root, executor=SERIAL)
        choices = SliceChoices(targets=SliceClasses(classes=("nucleus",)))
        plans.append(make_slice_plan(fingerprint, manifest, choices, device="cpu"))
    assert plans[1].slices.size == plans[0].slices.size
    assert plans[1].slices.pixel_mm == pytest.approx(plans[0].slices.pixel_mm * factor, rel=1e-5)


@pytest.mark.parametrize("factor", [1e-9, 1e-6, 1e3])
def test_difference_of_two_grids_is_told_at_any_size(factor: float) -> None:
    one = Geometry((4, 4, 4), np.diag([factor, factor, factor, 1.0]))
    other = Geometry((4, 4, 4), np.diag([2 * factor, factor, factor, 1.0]))
    assert not one.is_close(other)
    assert f"spacing ({factor!r}, {factor!r}, {factor!r}) mm" in one.difference(other)


def test_no_millimetres_are_rounded_by_decimals() -> None:
    package = Path(medseg.__file__).parent
    found = [
        f"{path.relative_to(package)}: {line.strip()}"
        for folder in (package, package / "workflows")  # a link, which rglob does not follow
        for path in sorted(folder.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if ROUNDED.search(line)
    ]
    assert found == []
