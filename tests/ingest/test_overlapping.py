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

from tests.ingest.sources import GRID, Ingested, box_mask, run_ingest, write_ct, write_rtstruct, write_seg

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
