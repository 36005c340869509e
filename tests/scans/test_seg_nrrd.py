"""`.seg.nrrd` as SimpleITK, slicerio and pynrrd read it: voxels, places, names, colours, terms and layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import nrrd
import numpy as np
import pytest
import slicerio
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import DeliveryError, ScanError
from medseg.geometry import Geometry
from medseg.origin import PictureOrigin
from medseg.records import Scan
from medseg.scans import (
    read_layers,
    read_nifti_with_nibabel,
    read_nifti_with_simpleitk,
    read_seg_nrrd_with_pynrrd,
    read_seg_nrrd_with_simpleitk,
    slicer_segments,
    write_mask,
    write_seg_nrrd,
)
from medseg.scans.read_back import ReadBack
from medseg.scans.segment import CodedTerm, Segment

from tests.grid_strategies import grids
from tests.grids import OBLIQUE

ANATOMICAL = CodedTerm("91723000", "SCT", "Anatomical Structure")
KIDNEY, LEFT = CodedTerm("64033007", "SCT", "Kidney"), CodedTerm("7771000", "SCT", "Left")
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def segment(number: int, *values: int, **more: Any) -> Segment:
    parts = {"name": f"structure {number}", "colour": (number % 256, 130, 101), "category": ANATOMICAL} | more
    return Segment(number=number, values=values or (number,), **parts)


def scan_on(geometry: Geometry = OBLIQUE) -> Scan:
    return Scan(np.zeros((1, *geometry.shape), np.float32), geometry)


def random_labels(values: int, geometry: Geometry = OBLIQUE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, values + 1, geometry.shape).astype(np.uint16)


@settings(max_examples=25, deadline=None)
@given(geometry=grids(), values=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_any_labels_on_any_grid_return(
    tmp_path_factory: pytest.TempPathFactory, geometry: Geometry, values: int, seed: int
) -> None:
    path = tmp_path_factory.mktemp("nrrd") / "a.seg.nrrd"
    labels = random_labels(values, geometry, seed)
    segments = [segment(number) for number in range(1, values + 1)]
    write_seg_nrrd(labels, segments, scan_on(geometry), path)
    for back in (read_seg_nrrd_with_simpleitk(path), read_seg_nrrd_with_pynrrd(path)):
        check_back(back, labels, segments, geometry)


def check_back(back: ReadBack, labels: np.ndarray, segments: list[Segment], geometry: Geometry) -> None:
    assert back.geometry.is_close(geometry)
    assert back.names == {one.number: one.name for one in segments}
    assert back.numbers == tuple(one.number for one in segments if (labels == one.number).any())
    for one in segments:
        np.testing.assert_array_equal(back.mask(one.number), labels == one.number)


def test_slicerio_finds_voxels_place_names_colours_and_terms(tmp_path: Path) -> None:
    segments = [
        segment(1, name="tumor (recurrent) <2 cm>", colour=(255, 0, 51)),
        segment(2, name="kidney left", kind=KIDNEY, laterality=LEFT),
        segment(3),
    ]
    labels = random_labels(2)
    write_seg_nrrd(labels, segments, scan_on(), tmp_path / "a.seg.nrrd")
    found = slicerio.read_segmentation(str(tmp_path / "a.seg.nrrd"))
    np.testing.assert_array_equal(found["voxels"], labels)
    np.testing.assert_allclose(RAS_FROM_LPS @ found["ijkToLPS"], OBLIQUE.affine, atol=1e-9)
    tumor, kidney, empty = found["segments"]
    assert [one["name"] for one in found["segments"]] == [one.name for one in segments]
    assert [one["labelValue"] for one in found["segments"]] == [1, 2, 3]
    np.testing.assert_allclose(tumor["color"], [1, 0, 0.2])
    assert "terminology" not in tumor
    assert kidney["terminology"]["category"] == ["SCT", "91723000", "Anatomical Structure"]
    assert kidney["terminology"]["type"] == ["SCT", "64033007", "Kidney"]
    assert kidney["terminology"]["typeModifier"] == ["SCT", "7771000", "Left"]
    assert kidney["extent"] == [end for axis in np.nonzero(labels == 2) for end in (axis.min(), axis.max())]
    assert empty["extent"] == [0, -1, 0, -1, 0, -1]


def test_structures_that_share_values_stand_on_layers(tmp_path: Path) -> None:
    segments = [segment(1, 1, 2, 3), segment(2, 2, 3), segment(3, 3), segment(4, 4)]
    labels, path = random_labels(4), tmp_path / "a.seg.nrrd"
    write_seg_nrrd(labels, segments, scan_on(), path)
    assert [(one.layer, one.value) for one in slicer_segments(path)] == [(0, 1), (1, 2), (2, 3), (0, 4)]
    for one in segments:
        np.testing.assert_array_equal(read_seg_nrrd_with_pynrrd(path).mask(one.number), np.isin(labels, one.values))
    back = read_seg_nrrd_with_simpleitk(path)
    voxels, header = nrrd.read(str(path))
    assert header["kinds"] == ["list", "domain", "domain", "domain"]
    layers, grid = read_layers(path, case_id="c")
    assert grid.is_close(OBLIQUE)
    for one in segments:
        layer = int(header[f"Segment{one.number - 1}_Layer"])
        np.testing.assert_array_equal(back.mask(one.number), np.isin(labels, one.values))
        np.testing.assert_array_equal(voxels[layer] == one.number, np.isin(labels, one.values))
        np.testing.assert_array_equal(layers[layer] == one.number, np.isin(labels, one.values))


def test_slicerio_takes_a_structure_out_of_its_layer(tmp_path: Path) -> None:
    labels, path = random_labels(3), tmp_path / "a.seg.nrrd"
    write_seg_nrrd(labels, [segment(1, 1, 2), segment(2, 2)], scan_on(), path)
    found = slicerio.read_segmentation(str(path))
    core = slicerio.extract_segments(found, [("structure 2", 7)])
    np.testing.assert_array_equal(core["voxels"] == 7, labels == 2)


def test_more_than_255_structures_return(tmp_path: Path) -> None:
    segments = [segment(number) for number in range(1, 301)]
    labels = (np.arange(np.prod(OBLIQUE.shape)) % 301).reshape(OBLIQUE.shape).astype(np.uint16)
    write_seg_nrrd(labels, segments, scan_on(), tmp_path / "a.seg.nrrd")
    back = read_seg_nrrd_with_simpleitk(tmp_path / "a.seg.nrrd")
    assert back.numbers == tuple(range(1, 301))
    np.testing.assert_array_equal(back.mask(300), labels == 300)


def test_values_that_no_structure_names_are_left_out(tmp_path: Path) -> None:
    labels = random_labels(3)
    write_seg_nrrd(labels, [segment(2)], scan_on(), tmp_path / "a.seg.nrrd")
    voxels, _ = nrrd.read(str(tmp_path / "a.seg.nrrd"))
    np.testing.assert_array_equal(voxels, np.where(labels == 2, 2, 0))


@pytest.mark.parametrize("name", ["a\\b", "a\nb", "a:=b", "# a", 'say "a"', "a|b~c^d", "肾 links", "\udce9"])
def test_name_with_any_sign_keeps_the_file_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.seg.nrrd"
    term = CodedTerm("1", "99X", "a|b~c^d")
    write_seg_nrrd(random_labels(1), [segment(1, name=name, kind=term)], scan_on(), path)
    (found,) = read_seg_nrrd_with_simpleitk(path).names.values()
    assert found == (name if name != "\udce9" else "\\udce9")
    assert read_seg_nrrd_with_pynrrd(path).names == {1: found}
    (by_slicerio,) = slicerio.read_segmentation(str(path))["segments"]
    assert by_slicerio["terminology"]["type"] == ["99X", "1", "a b c d"]


def test_what_makes_no_segmentation_is_refused(tmp_path: Path) -> None:
    path, labels = tmp_path / "a.seg.nrrd", random_labels(1)
    picture = Scan(scan_on().array, OBLIQUE, PictureOrigin(tmp_path / "a.png"))
    for given_labels, segments, scan, match in (
        (labels[1:], [segment(1)], scan_on(), "must have the scan's shape"),
        (labels, [segment(1)], picture, "got a picture"),
        (labels, [], scan_on(), "must have a structure"),
        (labels, [segment(1, name=" ")], scan_on(), "structure 1 must have a name"),
        (labels, [segment(70000, 1)], scan_on(), "1 to 65535, got 70000"),
    ):
        with pytest.raises(DeliveryError, match=match):
            write_seg_nrrd(given_labels, segments, scan, path)
    assert not list(tmp_path.iterdir())


def test_damaged_segmentation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.seg.nrrd"
    write_seg_nrrd(random_labels(5), [segment(1)], scan_on(), path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ScanError, match="whole"):
        read_seg_nrrd_with_simpleitk(path)


def test_structures_of_one_number_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.seg.nrrd"
    write_seg_nrrd(random_labels(2), [segment(1), segment(2)], scan_on(), path)
    path.write_bytes(path.read_bytes().replace(b"Segment1_LabelValue:=2", b"Segment1_LabelValue:=1"))
    with pytest.raises(ScanError, match="numbers of their own"):
        read_seg_nrrd_with_simpleitk(path)


def test_nifti_mask_returns_by_nibabel_and_simpleitk(tmp_path: Path) -> None:
    labels = random_labels(3)
    path = write_mask(labels, scan_on(), tmp_path, case_id="a")
    segments = [segment(1, 1, 2), segment(2, 2), segment(3, 9)]
    for reader in (read_nifti_with_nibabel, read_nifti_with_simpleitk):
        back = reader(path, segments)
        assert back.geometry.is_close(OBLIQUE)
        assert (back.names, back.numbers) == ({}, (1, 2))
        for one in segments:
            np.testing.assert_array_equal(back.mask(one.number), np.isin(labels, one.values), err_msg=back.library)


@pytest.mark.parametrize("keep", [100, -20])
def test_damaged_nifti_mask_is_refused(tmp_path: Path, keep: int) -> None:
    path = write_mask(random_labels(3), scan_on(), tmp_path, case_id="a")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ScanError, match="whole"):
        read_nifti_with_nibabel(path, [segment(1)])


def test_values_that_no_structure_has_are_found(tmp_path: Path) -> None:
    labels = random_labels(3)
    path = write_mask(labels, scan_on(), tmp_path, case_id="a")
    for read in (read_nifti_with_nibabel, read_nifti_with_simpleitk):
        assert read(path, [segment(1), segment(2)]).strays == (3,)
    for layers in ([segment(1), segment(2)], [segment(1), segment(2, 1, 2)]):
        write_seg_nrrd(labels, layers, scan_on(), tmp_path / "a.seg.nrrd")
        content = (tmp_path / "a.seg.nrrd").read_bytes()
        (tmp_path / "b.seg.nrrd").write_bytes(content.replace(b"Segment1_LabelValue:=2", b"Segment1_LabelValue:=9"))
        for read in (read_seg_nrrd_with_simpleitk, read_seg_nrrd_with_pynrrd):
            assert read(tmp_path / "b.seg.nrrd").strays == (2,)


def test_mask_under_a_slope_is_refused(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(random_labels(2).astype(np.float32), OBLIQUE.affine)
    nibabel.save(image, tmp_path / "a.nii.gz")
    for read in (read_nifti_with_nibabel, read_nifti_with_simpleitk):
        with pytest.raises(ScanError, match="unsigned integers of 8 or 16 bits, got float32"):
            read(tmp_path / "a.nii.gz", [segment(1), segment(2)])
