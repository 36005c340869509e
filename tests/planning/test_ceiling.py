"""What labels lose on a coarser grid and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from medseg.geometry import Geometry
from medseg.planning import GridCeiling
from medseg.planning import ceiling as ceiling_module
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.records import Case, Manifest
from medseg.scans import write_scan


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[Manifest, list[Case]]:
    """One case with a ball of 10 mm radius and a plate one voxel thick, at 1 mm."""
    grid = np.indices((40, 40, 40)) - 19.5
    label = (np.sqrt((grid**2).sum(0)) < 10).astype(np.uint8)
    label[:, :, 3] = 2
    geometry = Geometry((40, 40, 40), np.diag([1.0, 1.0, 1.0, 1.0]))
    for name, array in (("image", label.astype(np.float32)), ("label", label)):
        write_scan(array[np.newaxis], geometry, tmp_path / f"{name}.nii.gz")
    case = Case(case_id="a", patient_id="a", images=("image.nii.gz",), label="label.nii.gz")
    labels = {"background": 0, "ball": 1, "plate": 2}
    return Manifest(name="made up", channels=("MR",), labels=labels, cases=(case,)), [case]


def at(spacing_mm: float) -> PreprocessConfig:
    spacing = (spacing_mm, spacing_mm, spacing_mm)
    return PreprocessConfig(axcodes="RAS", spacing_mm=spacing, normalisation=(ChannelNormalisation(kind="zscore"),))


def test_the_own_grid_loses_nothing(dataset: tuple[Manifest, list[Case]], tmp_path: Path) -> None:
    manifest, cases = dataset
    assert GridCeiling(cases, manifest, tmp_path).dice(at(1.0)) == {"ball": 1.0, "plate": 1.0}


def test_a_thin_label_loses_more_than_a_large_one(dataset: tuple[Manifest, list[Case]], tmp_path: Path) -> None:
    manifest, cases = dataset
    ceiling = GridCeiling(cases, manifest, tmp_path)
    fine, coarse = ceiling.dice(at(1.5)), ceiling.dice(at(3.0))
    assert 0.97 < fine["ball"] <= 1
    assert coarse["ball"] <= fine["ball"]
    assert coarse["plate"] < 0.7 < 0.9 < coarse["ball"]


def test_a_case_that_cannot_be_read_is_left_out(dataset: tuple[Manifest, list[Case]], tmp_path: Path) -> None:
    manifest, cases = dataset
    missing = Case(case_id="b", patient_id="b", images=("none.nii.gz",), label="none.nii.gz")
    assert GridCeiling([missing, *cases], manifest, tmp_path).dice(at(1.0)) == {"ball": 1.0, "plate": 1.0}


def test_cases_are_read_until_every_label_is_seen(tmp_path: Path) -> None:
    """A label that only the seventh of nine cases holds."""
    geometry = Geometry((12, 12, 12), np.diag([1.0, 1.0, 1.0, 1.0]))
    cases = []
    for n in range(9):
        label = np.zeros((12, 12, 12), np.uint8)
        label[1:9, 1:9, 1:9] = 1
        label[10, 10, 10] = 2 * (n == 6)
        for name, array in ((f"image{n}", label.astype(np.float32)), (f"label{n}", label)):
            write_scan(array[np.newaxis], geometry, tmp_path / f"{name}.nii.gz")
        files = {"images": (f"image{n}.nii.gz",), "label": f"label{n}.nii.gz"}
        cases.append(Case(case_id=f"c{n}", patient_id=f"c{n}", **files))  # type: ignore[arg-type]  # names and paths
    labels = {"background": 0, "organ": 1, "lesion": 2}
    manifest = Manifest(name="made up", channels=("MR",), labels=labels, cases=tuple(cases))
    ceiling = GridCeiling(cases, manifest, tmp_path).dice(at(2.0))
    assert ceiling["lesion"] < 0.5 < ceiling["organ"]


def test_of_many_voxels_only_labels_not_seen_yet_are_tried_again(
    dataset: tuple[Manifest, list[Case]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, cases = dataset
    many = [cases[0].model_copy(update={"case_id": f"c{n}", "patient_id": f"c{n}"}) for n in range(4)]
    tried: list[int] = []
    resample = ceiling_module.resample_averaged

    def counted(array: torch.Tensor, *grids: Geometry) -> torch.Tensor:
        tried.append(array.numel())
        return resample(array, *grids)

    monkeypatch.setattr(ceiling_module, "resample_averaged", counted)
    all_three = GridCeiling(many, manifest, tmp_path).dice(at(2.0))
    assert len(tried) == 2 * 3
    tried.clear()
    monkeypatch.setattr(ceiling_module, "_MOST_VOXELS", 1)
    assert GridCeiling(many, manifest, tmp_path).dice(at(2.0)) == all_three
    assert len(tried) == 2
    assert max(tried) < 40**3
