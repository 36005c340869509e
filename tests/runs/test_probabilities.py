"""Probability maps lie on the scan's grid, are those that the mask was decided from, and belong to its folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from medseg.errors import ConfigError
from medseg.geometry import Geometry
from medseg.networks import NetworkConfig
from medseg.runs.segmentation.deliver import DeliverSettings, deliver_masks
from medseg.runs.segmentation.predict import PredictResult, PredictSettings, predict_run
from medseg.scans import write_scan

from tests.remedies.inference import model_run

LABELS = {"background": 0, "liver": 1, "left: kidney": 2, "spleen": 7}
TURNED = np.array([[0.0, -1.5, 0.0, 9.0], [0.8, 0.0, 0.0, -4.0], [0.0, 0.0, -3.0, 30.0], [0.0, 0.0, 0.0, 1.0]])
GRID = Geometry((13, 9, 10), TURNED)
NAMES = ["001_liver.nii.gz", "002_left_ kidney.nii.gz", "007_spleen.nii.gz"]


def network() -> NetworkConfig:
    return NetworkConfig(
        spatial_dims=3, in_channels=1, out_channels=len(LABELS), channels=(2, 4), strides=((1, 1, 1), (2, 2, 2)),
        kernels=((3, 3, 3),) * 2, blocks=(1, 1), decoder_blocks=(1,),
    )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("maps")
    for number in range(2):
        torch.manual_seed(number)
        model_run(place / f"run_{number}", labels=LABELS, network=network())
    voxels = np.random.default_rng(0).normal(size=(1, *GRID.shape)).astype(np.float32)
    write_scan(voxels, GRID, place / "scans" / "a.nii.gz")
    return place


def draw(place: Path, out: str, *runs: int, **choices: Any) -> PredictResult:
    chosen = [place / f"run_{number}" for number in runs or (0,)]
    settings = PredictSettings(out=place / out, device="cpu", **choices)
    done = predict_run(chosen, [place / "scans"], settings)
    assert not done.failures
    return done


def maps_of(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(nibabel.load(folder / name).dataobj) for name in NAMES])


def test_maps_are_those_that_the_mask_was_decided_from(place: Path) -> None:
    (one,) = draw(place, "masks", probabilities=True).predictions
    folder = place / "masks" / "probabilities" / "a"
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    shares = maps_of(folder)
    assert shares.min() >= 0
    assert shares.sum(axis=0).max() <= 1 + 3 / 255
    every = np.concatenate([1 - shares.sum(axis=0, keepdims=True), shares])
    ordered = np.sort(every, axis=0)
    is_clear = ordered[-1] - ordered[-2] > 4 / 255
    assert is_clear.mean() > 0.5
    mask = np.asarray(nibabel.load(one.mask_path).dataobj)
    np.testing.assert_array_equal(np.array(list(LABELS.values()))[every.argmax(axis=0)][is_clear], mask[is_clear])


def test_mask_is_the_same_without_maps(place: Path) -> None:
    for runs in ((0,), (0, 1)):
        with_maps, alone = (
            draw(place, f"{kind}{len(runs)}", *runs, probabilities=kind == "with") for kind in ("with", "without")
        )
        one, other = (np.asarray(nibabel.load(done.predictions[0].mask_path).dataobj) for done in (with_maps, alone))
        np.testing.assert_array_equal(one, other)
        assert with_maps.cases[0].disagreement == alone.cases[0].disagreement
    assert not (place / "without1" / "probabilities").exists()


def test_maps_lie_where_the_scan_lies(place: Path) -> None:
    draw(place, "grid", probabilities=True)
    scan = sitk.ReadImage(str(place / "scans" / "a.nii.gz"))
    read = sitk.ReadImage(str(place / "grid" / "probabilities" / "a" / NAMES[0]))
    assert read.GetSize() == scan.GetSize()
    np.testing.assert_allclose(read.GetOrigin(), scan.GetOrigin(), atol=1e-5)
    np.testing.assert_allclose(read.GetDirection(), scan.GetDirection(), atol=1e-6)
    np.testing.assert_allclose(
        sitk.GetArrayFromImage(read).T, maps_of(place / "grid" / "probabilities" / "a")[0], atol=1e-6
    )


def test_maps_of_several_models_are_their_mean(place: Path) -> None:
    for number in range(2):
        draw(place, f"alone_{number}", number, probabilities=True)
    draw(place, "together", 0, 1, probabilities=True)
    first, second, both = (maps_of(place / name / "probabilities" / "a") for name in ("alone_0", "alone_1", "together"))
    np.testing.assert_allclose(both, (first + second) / 2, atol=1.01 / 255)
    assert np.abs(first - second).max() > 0.05


def test_same_command_keeps_mask_and_maps(place: Path) -> None:
    draw(place, "again", probabilities=True)
    before = {path: path.stat().st_mtime_ns for path in (place / "again" / "probabilities").rglob("*.nii.gz")}
    assert draw(place, "again", probabilities=True).kept == 1
    assert before == {path: path.stat().st_mtime_ns for path in (place / "again" / "probabilities").rglob("*.nii.gz")}
    with pytest.raises(ConfigError, match="another choice of probabilities"):
        draw(place, "again")


def test_maps_of_another_scan_are_replaced(place: Path, tmp_path: Path) -> None:
    scan = tmp_path / "scans" / "a.nii.gz"
    settings = PredictSettings(out=tmp_path / "masks", device="cpu", probabilities=True)
    found = []
    for seed in range(2):
        voxels = np.random.default_rng(seed).normal(size=(1, *GRID.shape)).astype(np.float32)
        write_scan(voxels, GRID, scan)
        assert not predict_run(place / "run_0", [scan], settings).failures
        found.append(maps_of(tmp_path / "masks" / "probabilities" / "a"))
    assert np.abs(found[0] - found[1]).max() > 0.05


def test_full_disk_fails_its_case_alone(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans = [tmp_path / "in" / f"{name}.nii.gz" for name in ("a", "b")]
    for path in scans:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((place / "scans" / "a.nii.gz").read_bytes())
    reserve, calls = os.posix_fallocate, []

    def reserve_unless_full(file: int, start: int, size: int) -> None:
        calls.append(size)
        if len(calls) == 2:  # of the first case
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        reserve(file, start, size)

    monkeypatch.setattr(os, "posix_fallocate", reserve_unless_full)
    settings = PredictSettings(out=tmp_path / "masks", device="cpu", probabilities=True)
    done = predict_run(place / "run_0", [tmp_path / "in"], settings)
    assert [one.case_id for one in done.failures] == ["a"]
    assert [one.case_id for one in done.predictions] == ["b"]
    assert {path.name for path in (tmp_path / "masks" / "probabilities").iterdir()} == {"b"}
    assert not list((tmp_path / "masks").glob(".*.part"))
    assert set(calls) == {13 * 9 * 10}


def test_maps_are_no_scans(place: Path, tmp_path: Path) -> None:
    scan = tmp_path / "in" / "a.nii.gz"
    scan.parent.mkdir()
    scan.write_bytes((place / "scans" / "a.nii.gz").read_bytes())
    settings = PredictSettings(out=tmp_path / "in" / "masks", device="cpu", probabilities=True)
    predict_run(place / "run_0", [scan], settings)
    done = predict_run(place / "run_0", [tmp_path / "in"], PredictSettings(out=tmp_path / "more", device="cpu"))
    assert [one.case_id for one in done.predictions] == ["a"]
    passed = {one.path: one.reason for one in done.passed_over}
    assert passed[f"masks/probabilities/a/{NAMES[0]}"] == "it lies among the masks of an earlier prediction"


def test_maps_of_a_picture_are_pictures(tmp_path: Path) -> None:
    from medseg.inference.segmentation import InferenceConfig
    from PIL import Image

    flat = network().model_copy(
        update={"spatial_dims": 2, "strides": ((1, 1), (2, 2)), "kernels": ((3, 3), (3, 3)), "in_channels": 1}
    )
    torch.manual_seed(0)
    model_run(tmp_path / "run", labels=LABELS, network=flat, inference=InferenceConfig(patch_size=(8, 8, 1)))
    (tmp_path / "scans").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (12, 10), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "scans" / "a.png")
    settings = PredictSettings(out=tmp_path / "masks", device="cpu", probabilities=True)
    assert not predict_run(tmp_path / "run", [tmp_path / "scans"], settings).failures
    folder = tmp_path / "masks" / "probabilities" / "a"
    rows = np.stack([np.asarray(Image.open(folder / name.replace(".nii.gz", ".png"))) for name in NAMES])
    assert rows.shape == (3, 12, 10)
    assert 100 < rows.sum(axis=0).max() <= 257


def test_maps_are_delivered_as_they_were_predicted(place: Path) -> None:
    draw(place, "delivered", probabilities=True)
    settings = DeliverSettings(out=place / "delivery", forms=("nifti", "probabilities"))
    (one,) = deliver_masks(place / "delivered", settings).delivered
    assert sorted(path.name for path in (one.folder / "probabilities").iterdir()) == NAMES
    for name in NAMES:
        copy, made = (root / "probabilities" for root in (one.folder, place / "delivered"))
        assert (copy / name).read_bytes() == (made / "a" / name).read_bytes()
    assert {file.name for file in one.certificate.files} >= {f"probabilities/{name}" for name in NAMES}
