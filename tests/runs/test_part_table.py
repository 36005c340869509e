"""Parts and holes of structures, cut to their boxes, are those of the whole scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.geometry import Geometry
from medseg.inference.segmentation.postprocess import holes, numbered_parts
from medseg.records import Array, Case, Manifest
from medseg.runs.segmentation.choice.part_table import parts_of_case
from medseg.scans import write_scan

LABELS = {"background": 0, "ring": 1, "shell": 2, "nowhere": 3, "missed": 4, "speckled": 5, "edge": 6}
SHAPE = (16, 14, 12)


def drawn() -> tuple[Array, Array]:
    """Label and mask with a flat ring, a shell round nothing, a structure that is missed, and many parts."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:7, 2:7, 5] = 1
    mask[3:6, 3:6, 5] = 0  # open above and below: no hole
    mask[9:14, 2:7, 2:7] = 2
    mask[10:13, 3:6, 3:6] = 0
    mask[11, 4, 4] = 5
    mask[:, 9:, :][np.random.default_rng(0).random((16, 5, 12)) < 0.1] = 5
    mask[:4, 0, :3] = 6
    label = np.roll(mask, 1, axis=2)
    label[0, :3, 8:] = 4
    return label, mask


@pytest.mark.parametrize("is_regions", [False, True])
def test_parts_in_boxes_are_those_of_the_whole_scan(tmp_path: Path, is_regions: bool) -> None:
    label, mask = drawn()
    geometry = Geometry(SHAPE, np.diag([1.0, 2.0, 3.0, 1.0]))
    (tmp_path / "masks").mkdir()
    for array, name in ((label, "label.nii.gz"), (mask, "masks/a.nii.gz")):
        write_scan(array[np.newaxis], geometry, tmp_path / name)
    case = Case(case_id="a", patient_id="a", images=("label.nii.gz",), label="label.nii.gz")
    regions = {name: (value,) for name, value in LABELS.items() if value} | {"both": (1, 5)}
    changes = {"regions": regions, "regions_order": (1, 2, 3, 4, 5, 6, 1)} if is_regions else {}
    manifest = Manifest(name="a", channels=("CT",), labels=LABELS, cases=(case,), **changes)
    found = parts_of_case(case, manifest, tmp_path, tmp_path / "masks")
    assert [one.structure for one in found] == list(regions if is_regions else LABELS)[not is_regions :]
    for one in found:
        reference, where = np.isin(label, regions[one.structure]), np.isin(mask, regions[one.structure])
        parts = numbered_parts(where)
        filled = holes(where) & (mask == 0)
        assert one.label_voxels == reference.sum()
        assert one.voxels == tuple(parts.voxels)
        numbers = parts.numbers[reference[parts.box]]
        assert one.overlaps == tuple(int((numbers == n + 1).sum()) for n in range(len(one.voxels)))
        assert (one.hole_voxels, one.hole_overlap) == (filled.sum(), (filled & reference).sum())
    assert [one.hole_voxels for one in found][:2] == [0, 26]
