"""DICOM SEG that highdicom wrote: each segment comes back on the image's grid as the mask that went in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.scans.dicom import Drawn, draw_label_object, find_series, read_instance, read_label_object
from medseg.scans.dicom.series import LABEL_CLASSES, SeriesRules
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import JPEG2000Lossless, RLELossless, generate_uid

from tests.dicom_files import decimals, write_series
from tests.grid_strategies import grids
from tests.grids import OBLIQUE, grid

SHAPE = OBLIQUE.shape  # 7 columns by 9 rows are 63 pixels: frames of single bits do not end on bytes


def blobs(count: int, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    """Random masks that overlap each other, `(count, I, J, K)`; each holds a voxel."""
    masks = np.random.default_rng(seed).random((count, *shape)) > 0.6
    masks[:, 0, 0, 0] = True
    return masks


def write_images(folder: Path, geometry: Geometry = OBLIQUE) -> list[Dataset]:
    return write_series(np.zeros(geometry.shape, np.int16), geometry, folder, StudyTime="101010", PatientSex="")


def write_seg(
    masks: np.ndarray,
    images: Sequence[Dataset],
    path: Path,
    *,
    kind: str = "BINARY",
    geometry: Geometry | None = None,
    **more: Any,
) -> Dataset:
    """Write masks of shape `(segments, I, J, K)` or fractions of one; `geometry` if it is not that of the images."""
    for image in images:
        image.StudyID = "1"
    frames = masks.transpose(3, 2, 1, 0)  # (K, rows, columns, segments)
    if kind == "LABELMAP":
        numbers = np.arange(1, len(masks) + 1)
        frames = (frames * numbers).max(axis=-1).astype(np.uint8)
    elif kind == "BINARY":
        frames = frames.astype(np.uint8)
    if geometry is not None:
        affine, spacing = geometry.to_lps(), geometry.spacing_mm
        axes = decimals([*(affine[:3, 0] / spacing[0]), *(affine[:3, 1] / spacing[1])])
        more |= {
            "plane_orientation": highdicom.PlaneOrientationSequence("PATIENT", [float(axis) for axis in axes]),
            "pixel_measures": highdicom.PixelMeasuresSequence((spacing[1], spacing[0]), spacing[2]),
            "plane_positions": [
                highdicom.PlanePositionSequence("PATIENT", [float(v) for v in affine[:3, 3] + k * affine[:3, 2]])
                for k in range(geometry.shape[2])
            ],
        }
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number + 1,
            segment_label=f"organ {number + 1}",
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Kidney,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number in range(len(masks))
    ]
    dataset = highdicom.seg.Segmentation(
        source_images=list(images), pixel_array=np.ascontiguousarray(frames), segmentation_type=kind,
        segment_descriptions=segments, series_instance_uid=generate_uid(), series_number=2,
        sop_instance_uid=generate_uid(), instance_number=1, manufacturer="Maker", manufacturer_model_name="M",
        software_versions="1", device_serial_number="1", **more,
    )  # fmt: skip
    dataset.save_as(path)
    return dataset


def draw(path: Path, geometry: Geometry = OBLIQUE, *, tolerance: float = 0.1) -> list[Drawn]:
    return list(draw_label_object(read_label_object(path), geometry, tolerance=tolerance))


def on(geometry: Geometry, mask: np.ndarray, target: Geometry) -> np.ndarray:
    """A mask on another grid of the same voxels, by millimetres."""
    out = np.zeros(target.shape, bool)
    places = np.rint(target.voxels(geometry.world_mm(np.argwhere(mask).astype(float)))).astype(int)
    out[tuple(places.T)] = True
    return out


@settings(max_examples=20, deadline=None)
@given(
    geometry=grids(min_size=3),
    seed=st.integers(0, 999),
    kind=st.sampled_from(["BINARY", "LABELMAP"]),
    segments=st.integers(1, 3),
)
def test_segments_on_any_grid_come_back(
    tmp_path_factory: pytest.TempPathFactory, geometry: Geometry, seed: int, kind: str, segments: int
) -> None:
    folder = tmp_path_factory.mktemp("seg")
    masks = blobs(segments, geometry.shape, seed)
    if kind == "LABELMAP":
        numbers = np.random.default_rng(seed).integers(0, segments + 1, geometry.shape)
        masks = np.stack([numbers == number + 1 for number in range(segments)])
    write_seg(masks, write_images(folder / "images", geometry), folder / "seg", kind=kind)
    drawn = draw(folder / "seg", geometry)
    assert [one.name for one in drawn] == [f"organ {n + 1}" for n in range(segments)]
    assert [one.notes for one in drawn] == [()] * segments
    for one, mask in zip(drawn, masks, strict=True):
        np.testing.assert_array_equal(one.mask, mask)


def test_overlapping_segments_both_keep_their_voxels(tmp_path: Path) -> None:
    masks = blobs(3)
    assert (masks[0] & masks[1]).any()
    write_seg(masks, write_images(tmp_path / "images"), tmp_path / "seg")
    np.testing.assert_array_equal([one.mask for one in draw(tmp_path / "seg")], masks)


def test_fractions_count_from_a_half(tmp_path: Path) -> None:
    fractions = np.random.default_rng(0).integers(0, 11, SHAPE) / 10
    write_seg(fractions[np.newaxis], write_images(tmp_path / "images"), tmp_path / "seg", kind="FRACTIONAL")
    (drawn,) = draw(tmp_path / "seg")
    np.testing.assert_array_equal(drawn.mask, fractions >= 0.5)


def test_fractions_count_from_half_of_the_largest_value(tmp_path: Path) -> None:
    fractions = np.random.default_rng(0).integers(0, 11, SHAPE) / 10
    write_seg(
        fractions[np.newaxis], write_images(tmp_path / "images"), tmp_path / "seg", kind="FRACTIONAL",
        max_fractional_value=100,
    )  # fmt: skip
    np.testing.assert_array_equal(draw(tmp_path / "seg")[0].mask, fractions >= 0.5)


@pytest.mark.parametrize("kind", ["LABELMAP", "FRACTIONAL"])
@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless], ids=lambda syntax: syntax.keyword)
def test_coded_segments_come_back(tmp_path: Path, kind: str, syntax: str) -> None:
    geometry = grid((40, 33, 4), spacing_mm=(1, 1, 2), axcodes="LPS")
    mask = blobs(1, geometry.shape).astype(float if kind == "FRACTIONAL" else bool)
    write_seg(
        mask, write_images(tmp_path / "images", geometry), tmp_path / "seg", kind=kind, transfer_syntax_uid=syntax
    )
    np.testing.assert_array_equal(draw(tmp_path / "seg", geometry)[0].mask, mask[0].astype(bool))


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_slices_without_a_frame_are_empty(tmp_path: Path, kind: str) -> None:
    masks = blobs(1)
    masks[..., [0, 3]] = False
    write_seg(masks, write_images(tmp_path / "images"), tmp_path / "seg", kind=kind)
    assert dcmread(tmp_path / "seg").NumberOfFrames == 3
    np.testing.assert_array_equal(draw(tmp_path / "seg")[0].mask, masks[0])


def test_segmentation_of_some_images_lies_on_their_slices(tmp_path: Path) -> None:
    masks = blobs(2)
    masks[..., [0, 4]] = False
    images = write_images(tmp_path / "images")
    write_seg(masks[..., 1:4], images[1:4], tmp_path / "seg")
    np.testing.assert_array_equal([one.mask for one in draw(tmp_path / "seg")], masks)


def test_frames_in_any_order_lie_where_they_say(tmp_path: Path) -> None:
    masks = blobs(2)
    dataset = write_seg(masks, write_images(tmp_path / "images"), tmp_path / "seg")
    order = np.random.default_rng(0).permutation(dataset.NumberOfFrames)
    pixels = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
    frames = pixels[: 63 * len(order)].reshape(-1, 63)[order]
    groups = dataset.PerFrameFunctionalGroupsSequence
    dataset.PerFrameFunctionalGroupsSequence = [groups[n] for n in order]
    packed = np.packbits(frames.ravel(), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    dataset.save_as(tmp_path / "seg")
    np.testing.assert_array_equal([one.mask for one in draw(tmp_path / "seg")], masks)


@pytest.mark.parametrize("axcodes", ["RAS", "LAI", "PSR", "SLP", "ILA", "RSP"])
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_segmentation_whose_frames_lie_otherwise_is_turned_onto_the_image(
    tmp_path: Path, axcodes: str, kind: str
) -> None:
    turned = OBLIQUE.reoriented(axcodes)
    mask = blobs(1, turned.shape)
    write_seg(mask, write_images(tmp_path / "images"), tmp_path / "seg", kind=kind, geometry=turned)
    (drawn,) = draw(tmp_path / "seg")
    assert drawn.notes == ()
    np.testing.assert_array_equal(drawn.mask, on(turned, mask[0], OBLIQUE))


def shifted(voxels: tuple[float, float, float], shape: tuple[int, int, int] = SHAPE) -> Geometry:
    affine = OBLIQUE.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ voxels
    return Geometry(shape, affine)


@pytest.mark.parametrize("voxels", [(0.3, 0, 0), (0, -0.3, 0), (0, 0, 0.3)])
def test_segmentation_off_the_grid_is_refused_with_the_distance(tmp_path: Path, voxels: tuple[float, ...]) -> None:
    write_seg(blobs(1), write_images(tmp_path / "images"), tmp_path / "seg", geometry=shifted(voxels))  # type: ignore[arg-type]
    with pytest.raises(
        GeometryError,
        match=r"must lie on the voxels of its image, got some 0\.3 voxels off; ingest with the repair grids",
    ):
        draw(tmp_path / "seg")


def test_segmentation_off_the_grid_is_moved_to_the_nearest_voxels_where_that_is_allowed(tmp_path: Path) -> None:
    masks = blobs(1)
    write_seg(masks, write_images(tmp_path / "images"), tmp_path / "seg", geometry=shifted((0.3, -0.2, 0.4)))
    np.testing.assert_array_equal(draw(tmp_path / "seg", tolerance=0.5)[0].mask, masks[0])


@pytest.mark.parametrize("tolerance", [0.1, 0.5])
@pytest.mark.parametrize("factor", [(2, 2, 1), (0.5, 0.5, 1), (1.2, 1, 1)])
def test_segmentation_of_another_pixel_size_is_refused(
    tmp_path: Path, factor: tuple[float, float, float], tolerance: float
) -> None:
    affine = OBLIQUE.affine @ np.diag([*factor, 1.0])
    write_seg(blobs(1), write_images(tmp_path / "images"), tmp_path / "seg", geometry=Geometry(OBLIQUE.shape, affine))
    with pytest.raises(
        GeometryError, match=r"frames of a SEG must have the pixels of its image, got steps of"
    ) as reported:
        draw(tmp_path / "seg", tolerance=tolerance)
    assert f"{factor[0]:.3g}" in str(reported.value)


def test_slightly_rotated_segmentation_is_refused(tmp_path: Path) -> None:
    geometry = grid((40, 40, 3), spacing_mm=(1, 1, 2), axcodes="LPS")
    rotated = grid((40, 40, 3), spacing_mm=(1, 1, 2), angles=(0, 0, 0.01), axcodes="LPS")
    write_seg(blobs(1, geometry.shape), write_images(tmp_path / "images", geometry), tmp_path / "seg", geometry=rotated)
    with pytest.raises(GeometryError, match=r"got some 0\.[34]\d? voxels off"):
        draw(tmp_path / "seg", geometry, tolerance=0.5)


def test_pixels_outside_the_image_are_counted(tmp_path: Path) -> None:
    """A segmentation that starts two columns and one row before the image and ends beyond its last slice."""
    wider = shifted((-2, -1, 0), (11, 10, 6))
    mask = np.zeros((1, *wider.shape), bool)
    mask[0, :3, 1:3, 0] = True  # two of three columns lie outside, each of two pixels
    mask[0, 5, 5, 5] = True
    write_seg(mask, write_images(tmp_path / "images"), tmp_path / "seg", geometry=wider)
    (drawn,) = draw(tmp_path / "seg")
    assert drawn.notes == ("5 labelled pixel(s) lie outside the image",)
    assert [tuple(place) for place in np.argwhere(drawn.mask)] == [(0, 0, 0), (0, 1, 0)]


def test_empty_frames_off_the_grid_do_no_harm(tmp_path: Path) -> None:
    masks = np.zeros((1, *SHAPE), bool)
    masks[0, 2, 2, 2] = True
    dataset = write_seg(masks, write_images(tmp_path / "images"), tmp_path / "seg", omit_empty_frames=False)
    dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient = [0, 0, 0]
    dataset.save_as(tmp_path / "seg")
    np.testing.assert_array_equal(draw(tmp_path / "seg")[0].mask, masks[0])


def test_segmentation_tells_what_it_belongs_to(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images")
    dataset = write_seg(blobs(2), images, tmp_path / "seg")
    label = read_label_object(tmp_path / "seg")
    assert (label.kind, label.names) == ("SEG", ("organ 1", "organ 2"))
    assert label.referenced_images == {image.SOPInstanceUID for image in images}
    assert label.referenced_series == {images[0].SeriesInstanceUID}
    assert label.frame_of_reference_uid == images[0].FrameOfReferenceUID
    corners = OBLIQUE.to_lps()[:3] @ np.stack([np.zeros(5), np.zeros(5), np.arange(5.0), np.ones(5)])
    assert len(label.planes_mm) == dataset.NumberOfFrames
    np.testing.assert_allclose(np.unique(label.planes_mm.round(6), axis=0), np.unique(corners.T.round(6), axis=0))


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_segmentation_is_no_image(tmp_path: Path, kind: str) -> None:
    write_seg(blobs(1).astype(float if kind == "FRACTIONAL" else bool), write_images(tmp_path / "images"),
              tmp_path / "seg", kind=kind)  # fmt: skip
    instance = read_instance(tmp_path / "seg")
    assert instance is not None
    assert instance.sop_class in LABEL_CLASSES
    assert find_series([instance], SeriesRules()) == []


def test_segment_without_a_label_is_called_by_its_number(tmp_path: Path) -> None:
    dataset = write_seg(blobs(3), write_images(tmp_path / "images"), tmp_path / "seg")
    dataset.SegmentSequence[0].SegmentLabel = ""
    dataset.SegmentSequence[1].SegmentLabel = ""
    dataset.SegmentSequence[1].SegmentDescription = "spleen"
    dataset.SegmentSequence = dataset.SegmentSequence[::-1]
    dataset.save_as(tmp_path / "seg")
    drawn = draw(tmp_path / "seg")
    assert [one.name for one in drawn] == ["segment 1", "spleen", "organ 3"]
    np.testing.assert_array_equal([one.mask for one in drawn], blobs(3))


def test_segment_of_all_frames_may_stand_in_the_shared_groups(tmp_path: Path) -> None:
    masks = blobs(1)
    dataset = write_seg(masks, write_images(tmp_path / "images"), tmp_path / "seg")
    assert "SegmentIdentificationSequence" in dataset.SharedFunctionalGroupsSequence[0]
    np.testing.assert_array_equal(draw(tmp_path / "seg")[0].mask, masks[0])


def test_frame_that_names_no_segment_is_refused(tmp_path: Path) -> None:
    dataset = write_seg(blobs(2), write_images(tmp_path / "images"), tmp_path / "seg")
    del dataset.PerFrameFunctionalGroupsSequence[1].SegmentIdentificationSequence
    dataset.save_as(tmp_path / "seg")
    with pytest.raises(ScanError, match="every frame of a SEG must name its segment, got one that does not"):
        draw(tmp_path / "seg")


def test_frame_without_a_place_is_refused(tmp_path: Path) -> None:
    dataset = write_seg(blobs(1), write_images(tmp_path / "images"), tmp_path / "seg")
    del dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence
    dataset.save_as(tmp_path / "seg")
    with pytest.raises(GeometryError, match="every frame of a SEG must give its place in the patient"):
        draw(tmp_path / "seg")


def test_segmentation_that_ends_early_is_refused(tmp_path: Path) -> None:
    write_seg(blobs(2), write_images(tmp_path / "images"), tmp_path / "seg")
    content = (tmp_path / "seg").read_bytes()
    (tmp_path / "seg").write_bytes(content[:-20])
    with pytest.raises(ScanError, match="DICOM label must be whole"):
        draw(tmp_path / "seg")


def test_other_objects_are_no_label(tmp_path: Path) -> None:
    write_images(tmp_path / "images")
    with pytest.raises(ScanError, match="a label object must be a SEG or an RTSTRUCT, got neither"):
        read_label_object(tmp_path / "images" / "00000")
