from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import GeometryError, ManifestError, PipelineError, ScanError
from medseg.geometry import Geometry
from medseg.manifest import (
    case_target,
    load_manifest,
    manifest_digest,
    read_case,
    read_case_readings,
    save_manifest,
    training_target,
)
from medseg.scans import write_scan

from tests.several_raters import GRID, RATERS, boxes, readings, write, write_raters

REGIONS: dict[str, Any] = {"regions": {"both": [1, 2], "node": [2]}, "regions_order": [1, 2]}


def test_raters_and_fusion_survive_a_save(tmp_path: Path) -> None:
    manifest, _ = load_manifest(write_raters(tmp_path, fusion="staple"))
    assert manifest.fusion == "staple"
    assert manifest.cases[0].raters == {name: f"labels_{name}/r0.nii.gz" for name in RATERS}
    assert list(manifest.cases[0].raters or {}) == list(RATERS)
    save_manifest(manifest, tmp_path / "again.json")
    again = load_manifest(tmp_path / "again.json")[0]
    assert again == manifest
    assert manifest_digest(again) == manifest_digest(manifest)


def test_windows_paths_of_raters_are_read(tmp_path: Path) -> None:
    path = write_raters(tmp_path) / "dataset.json"
    content = json.loads(path.read_text())
    for entry in content["training"]:
        entry["raters"] = {name: file.replace("/", "\\") for name, file in entry["raters"].items()}
    path.write_text(json.dumps(content))
    assert load_manifest(tmp_path)[0].cases[0].raters == {name: f"labels_{name}/r0.nii.gz" for name in RATERS}


@pytest.mark.parametrize(
    ("raters", "words"),
    [
        ({"A": "a.nii.gz"}, "raters must be at least 2, got 1"),
        ({}, "raters must be at least 2, got 0"),
        ({"A": "a.nii.gz", "B": "a.nii.gz"}, "a label file of their own, beside that of label, got 'a.nii.gz' twice"),
        ({"A": "a.nii.gz", "B": ""}, "a label file of their own, beside that of label, got ''"),
        ({"A": "a.nii.gz", "mask": "b.nii.gz"}, "names without a slash, other than mask and reference, got 'mask'"),
        ({"A": "a.nii.gz", "B/C": "b.nii.gz"}, "names without a slash, .* got 'B/C'"),
        ({"A": "a.nii.gz", "B": "../b.nii.gz"}, "paths must stay under the data root"),
    ],
)
def test_raters_that_cannot_be_told_apart_are_refused(tmp_path: Path, raters: dict[str, str], words: str) -> None:
    with pytest.raises(ManifestError, match=f"case r0: .*{words}"):
        load_manifest(write_raters(tmp_path, cases=1, entry={"raters": raters}))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"instances": True, "labels": {"background": 0, "nucleus": 1}}, "numbered instances must .* got raters"),
        ({"task": "classification"}, "classification must have a label for every voxel of every case, got raters"),
        ({"fusion": "average"}, "fusion"),
    ],
)
def test_what_cannot_be_fused_is_refused(tmp_path: Path, keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        load_manifest(write_raters(tmp_path, **keys))


@pytest.mark.parametrize("fusion", [None, "majority", "staple"])
def test_reference_is_what_most_raters_drew(tmp_path: Path, fusion: str | None) -> None:
    """A is shifted by 2, B is 2 longer: two of three draw 10 voxels along i; the node is drawn by two."""
    manifest, root = load_manifest(write_raters(tmp_path, **({"fusion": fusion} if fusion else {})))
    assert np.array_equal(read_case(manifest.cases[0], manifest, root).label, boxes(4, more=2))


def test_label_beside_raters_is_the_reference(tmp_path: Path) -> None:
    write_raters(tmp_path, cases=1, entry={"label": "agreed.nii.gz"})
    write(boxes(5)[None], tmp_path / "agreed.nii.gz")
    manifest, root = load_manifest(tmp_path)
    found = read_case_readings(manifest.cases[0], manifest, root)
    assert np.array_equal(found.label, boxes(5))
    assert all(np.array_equal(found.readings[name], one) for name, one in readings(4).items())
    assert (training_target(manifest).ignore, case_target(manifest.cases[0], manifest).ignore) == (None, None)


def test_where_two_raters_differ_nothing_is_decided(tmp_path: Path) -> None:
    raters = {"A": "labels_A/r0.nii.gz", "C": "labels_C/r0.nii.gz"}
    manifest, root = load_manifest(write_raters(tmp_path, cases=1, entry={"raters": raters}))
    label = read_case(manifest.cases[0], manifest, root).label
    first, second = readings(4)["A"], readings(4)["C"]
    assert training_target(manifest).ignore == 3
    assert np.array_equal(label, np.where(first == second, first, 3))


def test_structure_that_a_case_does_not_annotate_is_not_won_by_a_minority(tmp_path: Path) -> None:
    """B draws an organ of 10, A and C of 8 voxels: what B alone draws stays background."""
    dataset = write_raters(tmp_path, cases=1, entry={"annotated_labels": ["organ"]})
    for name, label in readings(4).items():
        write(np.where(label == 2, 0, label)[None], dataset / f"labels_{name}/r0.nii.gz")
    manifest, root = load_manifest(dataset)
    expected = np.where(boxes(4, more=2) == 1, 1, 0)
    assert np.array_equal(read_case(manifest.cases[0], manifest, root).label, expected)
    first = read_case_readings(manifest.cases[0], manifest, root).readings["A"]
    assert np.array_equal(first, np.where(boxes(6) == 1, 1, 0))


def test_voxel_that_one_rater_has_not_annotated_is_decided_by_the_others(tmp_path: Path) -> None:
    dataset = write_raters(tmp_path, cases=1, ignore=255)
    partial = boxes(4, node=False)
    partial[:, :, 6:] = 255
    write(partial[None], dataset / "labels_C/r0.nii.gz")
    manifest, root = load_manifest(dataset)
    label = read_case(manifest.cases[0], manifest, root).label
    first, second = boxes(6), boxes(4, more=2)
    upper = np.where(first == second, first, 255)[:, :, 6:]
    assert np.array_equal(label[:, :, 6:], upper)
    assert np.array_equal(label[:, :, :6], boxes(4, more=2)[:, :, :6])


def test_regions_are_fused_by_region(tmp_path: Path) -> None:
    manifest, root = load_manifest(write_raters(tmp_path, cases=1, **REGIONS))
    assert training_target(manifest).ignore == 3
    assert np.array_equal(read_case(manifest.cases[0], manifest, root).label, boxes(4, more=2))


def _on_another_grid(dataset: Path) -> None:
    grid = Geometry(GRID.shape, np.diag([1.0, 1.0, 2.5, 1.0]))
    write_scan(boxes()[None], grid, dataset / "labels_B/r0.nii.gz")


def _with_a_strange_value(dataset: Path) -> None:
    write(np.where(boxes() == 2, 7, 0).astype(np.uint8)[None], dataset / "labels_B/r0.nii.gz")


def _without_a_file(dataset: Path) -> None:
    (dataset / "labels_B/r0.nii.gz").unlink()


@pytest.mark.parametrize(
    ("damage", "kind", "words"),
    [
        (_on_another_grid, GeometryError, "label of rater 'B' must lie on the grid of its image, got corners"),
        (_with_a_strange_value, ScanError, r"label of rater 'B' values must be among \[0, 1, 2\], got \[7\]"),
        (_without_a_file, ScanError, r"label of rater 'B': .*r0\.nii\.gz"),
    ],
)
def test_rater_whose_label_does_not_fit_is_named(
    tmp_path: Path, damage: Any, kind: type[PipelineError], words: str
) -> None:
    dataset = write_raters(tmp_path, cases=1)
    damage(dataset)
    manifest, root = load_manifest(dataset)
    with pytest.raises(kind, match=words) as caught:
        read_case(manifest.cases[0], manifest, root)
    assert caught.value.case_id == "r0"


def test_rater_who_draws_what_the_case_does_not_annotate_is_named(tmp_path: Path) -> None:
    manifest, root = load_manifest(write_raters(tmp_path, cases=1, entry={"annotated_labels": ["organ"]}))
    with pytest.raises(ScanError, match=r"label of rater 'A' must hold no more than annotated_labels names"):
        read_case(manifest.cases[0], manifest, root)
