"""Masks of DICOM objects that overlap are kept as they overlap where the mapping asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import ConfigError
from medseg.ingest.mapping import load_mapping
from medseg.manifest import load_manifest, manifest_target, read_case
from medseg.split.label_volumes import measure_labels
from PIL import Image

from tests.ingest.sources import (
    GRID,
    Ingested,
    box_mask,
    run_ingest,
    voxels,
    write_ct,
    write_nifti,
    write_rtstruct,
    write_seg,
)

WHOLE, CORE = (2, 8, 2, 8, 1, 5), (4, 6, 3, 6, 2, 4)
MAPPING = """
overlapping: true
labels:
  lesion: {value: 7, names: [Lesion]}
  core: {value: 9, names: [Core]}
  node: {value: 3, names: [Node]}
"""


def ingested(place: Path, kind: str, mapping: str = MAPPING) -> Ingested:
    images = write_ct(place / "source" / "ct", GRID)
    boxes = {"Core": CORE, "Lesion": WHOLE}
    if kind == "RTSTRUCT":
        write_rtstruct(boxes, images, place / "source" / "label.dcm")
    else:
        write_seg({name: box_mask(box) for name, box in boxes.items()}, images, place / "source" / "label.dcm")
    return run_ingest(place / "source", place / "out", mapping=mapping)


@pytest.mark.parametrize("kind", ["RTSTRUCT", "SEG"])
def test_overlapping_structures_come_out_as_they_went_in(tmp_path: Path, kind: str) -> None:
    ingested(tmp_path, kind)
    manifest, root = load_manifest(tmp_path / "out")
    assert manifest.regions == {"lesion": (1, 3), "core": (2, 3), "node": (4,)}
    assert manifest.labels == {"background": 0, "lesion only": 1, "core only": 2, "lesion + core": 3, "node only": 4}
    (case,) = manifest.cases
    label, target = read_case(case, manifest, root).label, manifest_target(manifest)
    sizes: dict[str, Any] = {name: int(np.count_nonzero(target.shows(label, name))) for name in target.structures}
    plain = ingested(tmp_path / "alone", kind, MAPPING.replace("overlapping: true", "")).document
    assert sizes["core"] > 0
    assert sizes["lesion"] > sizes["core"]
    assert sizes["node"] == 0
    assert set(np.unique(label).tolist()) == {0, 1, 3}  # the core lies in the lesion
    expected = {name: size * GRID.voxel_ml for name, size in sizes.items() if size}
    assert {name: ml for name, ml in (case.label_ml or {}).items() if ml} == pytest.approx(expected, rel=1e-4)
    again = measure_labels(_without_volumes(manifest), root, by=("volume",)).manifest.cases[0].label_ml
    assert again == pytest.approx(expected, rel=1e-4)
    notes = [note for one in plain["cases"] for note in one["notes"]]
    assert notes == [f"labels lesion and core overlap in {sizes['core']} voxels; core is drawn on top"]


def _without_volumes(manifest: Any) -> Any:
    return manifest.model_copy(
        update={"cases": tuple(case.model_copy(update={"label_ml": None}) for case in manifest.cases)}
    )


def test_too_many_overlapping_labels_are_refused(tmp_path: Path) -> None:
    labels = "\n".join(f"  l{n}: {{value: {n}, names: [n{n}]}}" for n in range(1, 10))
    (tmp_path / "mapping.yaml").write_text(f"overlapping: true\nlabels:\n{labels}\n")
    with pytest.raises(ConfigError, match="overlapping takes from 1 to 8 labels and no instances, got 9"):
        load_mapping(tmp_path / "mapping.yaml")


@pytest.mark.parametrize("picture", [False, True], ids=["volumes", "pictures"])
def test_mask_files_that_overlap_are_kept_so(tmp_path: Path, picture: bool) -> None:
    """A file for each structure, as TotalSegmentator and others write them."""
    place, form = tmp_path / "source" / "p1", ".png" if picture else ".nii.gz"
    masks = {"lesion": box_mask(WHOLE), "core": box_mask(CORE)}
    write_raster(place / f"image{form}", voxels())
    for name, mask in masks.items():
        write_raster(place / "segmentations" / f"{name}{form}", mask)
    found = run_ingest(tmp_path / "source", tmp_path / "out", mapping=MAPPING.replace("[L", "[l").replace("[C", "[c"))
    manifest, label = found.manifest, found.label()
    target = manifest_target(manifest)
    shown = {name: mask[..., 2:3] if picture else mask for name, mask in masks.items()}
    for name, mask in shown.items():
        assert np.array_equal(target.shows(label, name), mask > 0)
    assert manifest.regions == {"lesion": (1, 3), "core": (2, 3), "node": (4,)}


def write_raster(path: Path, array: np.ndarray) -> None:
    """A NIfTI file, or a picture of one slice through both structures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        plane = array[..., 2]
        scaled = plane * 255 if plane.max() == 1 else plane
        Image.fromarray(np.ascontiguousarray(scaled.T).astype(np.uint8)).save(path)
    else:
        write_nifti(path, array.astype(np.uint8 if array.dtype == bool else np.float32))


def test_one_mask_file_of_single_values_makes_regions_that_share_nothing(tmp_path: Path) -> None:
    """Values 7 and 9 of one file become 1 and 2 by their places, as its structures cannot overlap."""
    drawn = np.where(box_mask(CORE) > 0, 9, np.where(box_mask(WHOLE) > 0, 7, 0)).astype(np.uint8)
    write_nifti(tmp_path / "source" / "p1" / "ct.nii.gz", voxels())
    write_nifti(tmp_path / "source" / "p1" / "ct_seg.nii.gz", drawn)
    mapping = (
        "overlapping: true\nlabels:\n  lesion: {value: 7, names: [value_7]}\n  core: {value: 9, names: [value_9]}\n"
    )
    found = run_ingest(tmp_path / "source", tmp_path / "out", mapping=mapping)
    target, label = manifest_target(found.manifest), found.label()
    assert np.array_equal(target.shows(label, "lesion"), drawn == 7)
    assert np.array_equal(target.shows(label, "core"), drawn == 9)
