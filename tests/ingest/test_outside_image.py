"""Labelled voxels outside an image, as counted by hand and as the ingest reports them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.geometry import Geometry
from medseg.ingest.outside_image import voxels_outside

from tests.grid_strategies import grids
from tests.ingest.sources import GRID, SHAPE, Ingested, block, run_ingest, voxels, write_nifti
from tests.ingest.test_masks import LAYERS, LIVER, SPLEEN, TUMOUR, write_layers

BOTH = (LIVER + 2 * SPLEEN).astype(np.uint8)


def notes(done: Ingested) -> list[str]:
    return [note for case in done.document["cases"] for note in case["notes"]]


def shifted(i: float, geometry: Geometry = GRID) -> Geometry:
    affine = geometry.affine.copy()
    affine[:3, 3] += affine[:3, 0] * i
    return Geometry(geometry.shape, affine)


@settings(max_examples=40, deadline=None)
@given(geometry=grids(min_size=3), shift=st.integers(-4, 4), axis=st.integers(0, 2), seed=st.integers(0, 2**32 - 1))
def test_voxels_that_a_shift_carries_out_are_counted_by_value(
    geometry: Geometry, shift: int, axis: int, seed: int
) -> None:
    mask = np.random.default_rng(seed).integers(0, 4, geometry.shape).astype(np.uint8)
    affine = geometry.affine.copy()
    affine[:3, 3] += affine[:3, axis] * shift
    size = geometry.shape[axis]
    places = np.arange(size) + shift
    lost = mask.compress((places < 0) | (places >= size), axis=axis)
    expected = {value: int((lost == value).sum()) for value in (1, 2, 3) if (lost == value).any()}
    assert dict(voxels_outside(mask, Geometry(geometry.shape, affine), geometry)) == expected


def test_structure_partly_outside_the_image_is_noted_and_one_inside_is_not(tmp_path: Path) -> None:
    source = tmp_path / "src" / "p1"
    write_nifti(source / "ct.nii.gz", voxels())
    write_nifti(source / "mask.nii.gz", BOTH, shifted(-3))
    done = run_ingest(tmp_path / "src", tmp_path / "out", repair=["grids"])
    lost = LIVER[:3].sum()
    assert [note for note in notes(done) if "outside" in note] == [
        f"structure value 1: {lost} of {LIVER.sum()} labelled voxels lie outside the image"
    ]
    assert (done.label() == 1).sum() == LIVER.sum() - lost
    assert (done.label() == 2).sum() == SPLEEN.sum()


def test_structure_wholly_outside_the_image_is_empty_for_that_reason(tmp_path: Path) -> None:
    source = tmp_path / "src" / "p1"
    write_nifti(source / "ct.nii.gz", voxels())
    write_nifti(source / "mask.nii.gz", BOTH, shifted(-6))
    done = run_ingest(tmp_path / "src", tmp_path / "out", repair=["grids"])
    count = LIVER.sum()
    (empty,) = [note for note in notes(done) if "is empty" in note]
    assert empty.startswith("structure value 1 is empty: ")
    assert empty.endswith(f"{count} of {count} labelled voxels lie outside the image")


def test_structure_too_thin_for_the_voxels_of_the_image_is_empty_for_that_reason(tmp_path: Path) -> None:
    source = tmp_path / "src" / "p1"
    fine = GRID.resampled((0.5, 0.5, 4.0))
    thick = LIVER.repeat(3, axis=0).repeat(3, axis=1) * 2
    thick[30, 3:9, 2] = 1  # between the centres of two columns of the image
    write_nifti(source / "ct.nii.gz", voxels())
    write_nifti(source / "mask.nii.gz", thick, fine)
    done = run_ingest(tmp_path / "src", tmp_path / "out", repair=["grids"])
    (empty,) = [note for note in notes(done) if "is empty" in note]
    assert empty.startswith("structure value 1 is empty: ")
    assert empty.endswith("no voxel centre of the image lies in its 6 labelled voxel(s)")


def test_segments_on_layers_partly_outside_the_image_are_noted_each(tmp_path: Path) -> None:
    source = tmp_path / "src" / "p1"
    write_nifti(source / "ct.nii.gz", voxels(), shifted(3))
    write_layers(source / "Segmentation.seg.nrrd", LAYERS)
    done = run_ingest(tmp_path / "src", tmp_path / "out", repair=["grids"])
    assert [note for note in notes(done) if "outside" in note] == [
        f"structure {name}: {mask[:3].sum()} of {mask.sum()} labelled voxels lie outside the image"
        for name, mask in (("liver", LIVER), ("tumour", TUMOUR))
    ]


@pytest.mark.parametrize("shift", [3, 0])
def test_objects_outside_the_image_are_counted_together(tmp_path: Path, shift: int) -> None:
    source = tmp_path / "src" / "p1"
    write_nifti(source / "ct.nii.gz", voxels(), shifted(shift))
    write_nifti(source / "mask.nii.gz", BOTH)
    mapping = "{labels: {cell: {value: 1, names: ['*']}}, instances: true}"
    done = run_ingest(tmp_path / "src", tmp_path / "out", repair=["grids"], mapping=mapping)
    told = f"{LIVER[:3].sum()} of {np.count_nonzero(BOTH)} labelled voxels lie outside the image"
    assert [note for note in notes(done) if "outside" in note] == ([told] if shift else [])


def test_values_of_a_layer_that_no_segment_names_are_counted(tmp_path: Path) -> None:
    source = tmp_path / "src" / "p1"
    write_nifti(source / "ct.nii.gz", voxels())
    write_layers(source / "Segmentation.seg.nrrd", LAYERS)
    content = (source / "Segmentation.seg.nrrd").read_bytes()
    header, _, _ = content.partition(b"\n\n")
    layers = np.frombuffer(content[len(header) + 2 :], np.uint8).reshape((2, *SHAPE), order="F").copy()
    layers[1][block(slice(9, 11), slice(0, 2), slice(0, 1))] = 3
    layers[0][0, 0, 0] = 7
    (source / "Segmentation.seg.nrrd").write_bytes(header + b"\n\n" + layers.tobytes(order="F"))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert [note for note in notes(done) if "no segment" in note] == [
        f"{count} voxel(s) of value {value} on layer {layer} were left out, since no segment of their file names them"
        for count, value, layer in ((1, 7, 0), (4, 3, 1))
    ]
