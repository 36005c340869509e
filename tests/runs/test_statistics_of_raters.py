"""Structures whose extent is not known where several raters differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.cohort import SERIAL
from medseg.manifest import load_manifest
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.segmentation import prepare_cases
from medseg.runs.segmentation.statistics import unknown_structures

from tests.several_raters import SPACING_MM, boxes, write, write_raters

CONFIG = PreprocessConfig(axcodes="RAS", spacing_mm=SPACING_MM, normalisation=(ChannelNormalisation(kind="zscore"),))
PAIR = {"raters": {name: f"labels_{name}/r0.nii.gz" for name in "AB"}}


def unknown_where(dataset: Path, *, undecided: int | None = None) -> tuple[str, ...]:
    """Unknown structures of the first case, whose second rater leaves so many voxels of a box of 384 to the other."""
    if undecided is not None:
        second = boxes(4)
        second[second == 1] = np.where(np.arange(384) < undecided, 0, 1)
        write(boxes(4)[None], dataset / "labels_A/r0.nii.gz")
        write(second[None], dataset / "labels_B/r0.nii.gz")
    manifest, root = load_manifest(dataset)
    done = prepare_cases(manifest.cases, manifest, root, config=CONFIG, store=dataset.parent / "store", executor=SERIAL)
    return unknown_structures(done.cases[0], manifest)


def test_three_raters_who_decide_every_voxel_leave_no_structure_open(tmp_path: Path) -> None:
    assert unknown_where(write_raters(tmp_path / "dataset", cases=1)) == ()


@pytest.mark.parametrize(
    ("undecided", "expected"), [(0, ()), (4, ()), (20, ("node",)), (34, ("node",)), (36, ("organ", "node"))]
)
def test_structure_is_open_where_undecided_voxels_could_make_it_a_tenth_larger(
    tmp_path: Path, undecided: int, expected: tuple[str, ...]
) -> None:
    dataset = write_raters(tmp_path / "dataset", cases=1, entry=PAIR)
    assert unknown_where(dataset, undecided=undecided) == expected


def test_any_voxel_that_nobody_annotated_leaves_all_structures_open(tmp_path: Path) -> None:
    dataset = write_raters(tmp_path / "dataset", cases=1, ignore=9)
    for rater in "ABC":
        label = boxes(4)
        label[0, 0, 0] = 9
        write(label[None], dataset / f"labels_{rater}/r0.nii.gz")
    assert unknown_where(dataset) == ("organ", "node")
