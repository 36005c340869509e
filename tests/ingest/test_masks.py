from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from medseg.geometry import Geometry
from medseg.ingest import Pseudonyms
from medseg.ingest.image_source import file_image
from medseg.ingest.mask_match import MaskMatcher
from medseg.ingest.patient_name import patient_names
from medseg.manifest import read_case, read_case_image

from tests.coded_labels import put_under_slope
from tests.grids import ALL_AXCODES, grid
from tests.ingest.sources import (
    GRID,
    KEY,
    SHAPE,
    Ingested,
    block,
    run_ingest,
    voxels,
    write_ct,
    write_itk,
    write_nifti,
)

LIVER = block(slice(1, 5), slice(2, 6), slice(1, 4)).astype(np.uint8)
SPLEEN = block(slice(7, 10), slice(2, 6), slice(1, 4)).astype(np.uint8)
OTHER = grid((9, 8, 5), spacing_mm=(2.0, 2.0, 5.0), origin_mm=(-20, 30, 100), axcodes="LPS")


def lost(done: Ingested) -> list[str]:
    return [line.split(": ", 1)[1] for line in done.report.lost_labels]


def notes(done: Ingested) -> list[str]:
    return [note for case in done.document["cases"] for note in case["notes"]]


def label_of(done: Ingested, patient: str) -> np.ndarray:
    (case,) = [case for case in done.manifest.cases if case.patient_id == Pseudonyms(KEY).patient(patient)]
    return done.label(case)


def reordered(array: np.ndarray, geometry: Geometry, axcodes: str) -> tuple[np.ndarray, Geometry]:
    """The same voxels at the same places, stored along other axes."""
    turned = geometry.reoriented(axcodes)
    maps = turned.axis_maps(geometry)
    flips = tuple(slice(None, None, -1 if found.scale < 0 else 1) for found in maps)
    return np.ascontiguousarray(array.transpose([found.source_axis for found in maps])[flips]), turned


def write_pair(source: Path, image: str, mask: str, *, seed: int = 0, values: np.ndarray = LIVER) -> None:
    write_nifti(source / image, voxels(seed=seed))
    write_nifti(source / mask, values)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("p1/ct.nii.gz", "p1/liver_mask.nii.gz"),
        ("p1/image.nii.gz", "p1/mask.nii.gz"),
        ("p1/ct.nii.gz", "p1/segmentations/liver.nii.gz"),
        ("p1/ct.nii.gz", "p1/masks/ct.nii.gz"),
        ("p1/images/ct.nii.gz", "p1/labels/liver.nii.gz"),
        ("images/p1.nii.gz", "labels/p1.nii.gz"),
        ("imagesTr/p1_0000.nii.gz", "labelsTr/p1.nii.gz"),
        ("images/p1.nii.gz", "masks/p1_mask.nii.gz"),
        ("p1.nii.gz", "p1_seg.nii.gz"),
        ("p1.nii.gz", "p1-label.nii.gz"),
        ("sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_T1w_label-liver_mask.nii.gz"),
        ("a b/Scan 1.nii", "a b/Scan 1 Segmentation.nii"),
    ],
)
def test_mask_finds_the_image_beside_it_and_no_other(tmp_path: Path, image: str, mask: str) -> None:
    source = tmp_path / "src"
    for patient, seed, values in (("p1", 1, LIVER), ("p2", 2, SPLEEN)):
        other = {
            name: name.replace("p1", patient).replace("01", patient).replace("a b", patient) for name in (image, mask)
        }
        write_pair(source, *other.values(), seed=seed, values=values)
    done = run_ingest(source, tmp_path / "out")
    assert done.report.is_clean, done.report
    by_image = {int(done.image(case)[0, 0, 0, 0]): done.label(case) > 0 for case in done.manifest.select("training")}
    expected = {int(voxels(seed=1)[0, 0, 0]): LIVER, int(voxels(seed=2)[0, 0, 0]): SPLEEN}
    assert by_image.keys() == expected.keys()
    for first, label in by_image.items():
        np.testing.assert_array_equal(label, expected[first] > 0)
    assert len({case.patient_id for case in done.manifest.cases}) == 2


def test_mask_says_how_it_was_matched(tmp_path: Path) -> None:
    source = tmp_path / "src"
    write_pair(source, "images/p1.nii.gz", "labels/p1.nii.gz")
    write_pair(source, "images/p2.nii.gz", "labels/p2.nii.gz")
    done = run_ingest(source, tmp_path / "out")
    assert [how for case in done.document["cases"] for how in case["labels"]] == ["mask matched by name and grid"] * 2


@pytest.mark.parametrize(
    ("images", "orphan"),
    [
        (["images/case_001.nii.gz"], "labels/case_002.nii.gz"),
        (["images/case_001.nii.gz", "images/case_003.nii.gz"], "labels/case_002.nii.gz"),
        (["images/meier.nii.gz", "images/schmidt.nii.gz"], "labels/mueller.nii.gz"),
        (["s01/ct.nii.gz"], "s02/segmentations/liver.nii.gz"),
        (["s01/ct.nii.gz"], "s02/ct_mask.nii.gz"),
        (["s01/ct.nii.gz"], "s02/masks/ct_mask.nii.gz"),
        (["s01/ct.nii.gz", "s03/ct.nii.gz"], "s02/liver_mask.nii.gz"),
        (["sub-1/anat/sub-1_T1w.nii.gz"], "sub-2/anat/sub-2_T1w_mask.nii.gz"),
        (["case_001.nii.gz", "case_003.nii.gz"], "case_002_seg.nii.gz"),
        (["train/p10.nii.gz"], "train/p1_mask.nii.gz"),
        (["meier.nii.gz", "schmidt.nii.gz"], "mueller_seg.nii.gz"),
        (["dataset/images/meier.nii.gz"], "dataset/labels/mueller.nii.gz"),
        (["ct_meier.nii.gz", "ct_schmidt.nii.gz"], "ct_mueller_seg.nii.gz"),
    ],
)
def test_mask_whose_image_is_missing_goes_to_no_other_patient(tmp_path: Path, images: list[str], orphan: str) -> None:
    source = tmp_path / "src"
    for number, image in enumerate(images):
        geometry = GRID if number == 0 else OTHER
        write_nifti(source / image, voxels(geometry, seed=number), geometry)
    write_nifti(source / orphan, LIVER)
    done = run_ingest(source, tmp_path / "out")
    assert not done.manifest.select("training")
    assert len(done.report.lost_labels) == 1


def test_number_that_other_patients_folders_have_too_hides_no_image(tmp_path: Path) -> None:
    source = tmp_path / "src"
    write_nifti(source / "STS_003" / "ct.nii.gz", voxels(seed=7))
    for number in (3, 4):
        image, mask = (f"hippo/{folder}/hippocampus_00{number}.nii.gz" for folder in ("imagesTr", "labelsTr"))
        write_pair(source, image, mask, seed=number, values=LIVER * number)
    done = run_ingest(source, tmp_path / "out")
    assert done.report.is_clean, done.report
    by_first = {
        int(done.image(case)[0, 0, 0, 0]): int(done.label(case).max()) for case in done.manifest.select("training")
    }
    assert by_first == {int(voxels(seed=number)[0, 0, 0]): number for number in (3, 4)}


def test_each_mask_of_a_large_flat_folder_finds_its_own_image(tmp_path: Path) -> None:
    paths = [tmp_path / "images" / f"case_{number:05d}.nii.gz" for number in range(1200)]
    names = patient_names(paths, tmp_path)
    images = [file_image(path, tmp_path, names[path]) for path in paths]  # refused, since there is no such file
    matcher = MaskMatcher(images, tmp_path)
    for path, image in zip(paths, images, strict=True):
        assert matcher.of_mask(tmp_path / "labels" / path.name).images == (image,)
    assert matcher.of_mask(tmp_path / "labels" / "case_01200.nii.gz").images == ()


def test_mask_is_not_given_to_an_image_of_its_grid_when_its_name_says_another(tmp_path: Path) -> None:
    source = tmp_path / "src"
    write_nifti(source / "images" / "p1.nii.gz", voxels())
    write_nifti(source / "images" / "p2.nii.gz", voxels(OTHER), OTHER)
    write_nifti(source / "labels" / "p2.nii.gz", LIVER)
    done = run_ingest(source, tmp_path / "out")
    (failure,) = done.report.failures
    assert "label must lie on the grid of its image, got shape (12, 10, 6) against (9, 8, 5)" in failure.reason
    assert [case.label for case in done.manifest.cases] == [None]


def test_masks_of_dicom_series_lie_beside_them(tmp_path: Path) -> None:
    for patient, values in (("a", LIVER), ("b", SPLEEN)):
        write_ct(tmp_path / "src" / patient / "dicom" / "CT", PatientID=f"number {patient}", seed=ord(patient))
        write_nifti(tmp_path / "src" / patient / "liver_mask.nii.gz", values)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.report.is_clean, done.report
    np.testing.assert_array_equal(label_of(done, "number a") > 0, LIVER)
    np.testing.assert_array_equal(label_of(done, "number b") > 0, SPLEEN)


def test_mask_goes_to_the_series_whose_grid_it_has(tmp_path: Path) -> None:
    write_ct(tmp_path / "src" / "p1" / "thin", SeriesDescription="thin")
    write_ct(tmp_path / "src" / "p1" / "thick", OTHER, SeriesDescription="thick")
    write_nifti(tmp_path / "src" / "p1" / "liver_mask.nii.gz", LIVER)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    (entry,) = [entry for entry in done.document["cases"] if entry["labels"]]
    assert entry["channels"][0]["description"] == "thin"
    assert entry["labels"] == ["mask matched by folder and grid"]


def test_mask_that_fits_several_images_alike_is_in_no_case(tmp_path: Path) -> None:
    for name in ("native", "venous"):
        write_nifti(tmp_path / "src" / "p1" / f"{name}.nii.gz", voxels())
    write_nifti(tmp_path / "src" / "p1" / "liver_mask.nii.gz", LIVER)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert lost(done) == ["2 images fit it equally well (by folder and grid); name it like its image"]
    assert not done.manifest.select("training")


def test_mask_beside_images_of_several_patients_needs_a_like_name_and_their_grid(tmp_path: Path) -> None:
    source = tmp_path / "src"
    write_nifti(source / "example_ct_sm.nii.gz", voxels())
    write_nifti(source / "example_mr_sm.nii.gz", voxels(OTHER), OTHER)
    write_nifti(source / "example_seg.nii.gz", LIVER)
    write_nifti(source / "example_seg_mr.nii.gz", np.ones(OTHER.shape, np.uint8), OTHER)
    far = grid(SHAPE, spacing_mm=(9.0, 9.0, 9.0))
    write_nifti(source / "example_seg_far.nii.gz", LIVER, far)
    done = run_ingest(source, tmp_path / "out")
    assert len(done.manifest.select("training")) == 2
    assert lost(done) == ["no image beside it lies on its grid and has a like name; name it like its image"]


@pytest.mark.parametrize("ending", ["nrrd", "mha", "mhd", "nhdr", "nii", "nii.gz", "seg.nrrd"])
def test_masks_of_every_format_are_read(tmp_path: Path, ending: str) -> None:
    source = tmp_path / "src" / "p1"
    write_nifti(source / "ct.nii.gz", voxels())
    if ending.startswith("nii"):
        write_nifti(source / f"liver_mask.{ending}", LIVER)
    else:
        write_itk(source / f"liver_mask.{ending}", LIVER)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    np.testing.assert_array_equal(done.label(), LIVER)
    assert set(done.manifest.labels) == {"background", "liver"}


@pytest.mark.parametrize("ending", ["nrrd", "mha", "mhd", "nii", "hdr"])
def test_images_of_every_format_are_read_on_their_grid(tmp_path: Path, ending: str) -> None:
    source = tmp_path / "src" / "p1"
    if ending == "nii":
        write_nifti(source / "ct.nii", voxels())
    elif ending == "hdr":
        pair: Any = nibabel.Nifti1Pair(voxels(), GRID.affine)
        source.mkdir(parents=True)
        pair.to_filename(source / "ct.hdr")
    else:
        write_itk(source / f"ct.{ending}", voxels())
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    np.testing.assert_array_equal(done.image()[0], voxels())
    assert read_case_image(done.case, done.manifest, done.folder).geometry.is_close(GRID)


@pytest.mark.parametrize("ending", ["hdr", "mhd"])
def test_voxels_in_a_file_of_their_own_count_as_part_of_the_image(tmp_path: Path, ending: str) -> None:
    source = tmp_path / "src" / "p1"
    source.mkdir(parents=True)
    voxel_file = source / ("ct.img" if ending == "hdr" else "ct.raw")
    sums = []
    for seed in (1, 2):
        if ending == "hdr":
            pair: Any = nibabel.Nifti1Pair(voxels(seed=seed), GRID.affine)
            pair.to_filename(source / "ct.hdr")
        else:
            sitk.WriteImage(sitk.GetImageFromArray(voxels(seed=seed).transpose(2, 1, 0)), str(source / "ct.mhd"))
        os.utime(source / f"ct.{ending}", ns=(0, 0))  # the header is as it was
        os.utime(voxel_file, ns=(0, seed * 1_000_000_000))
        done = run_ingest(tmp_path / "src", tmp_path / "out")
        np.testing.assert_array_equal(done.image()[0], voxels(seed=seed))
        sums.append(done.document["cases"][0]["channels"][0]["sha256_of_files"])
    assert sums[0] != sums[1]


@pytest.mark.parametrize("axcodes", ALL_AXCODES[::7])
def test_mask_along_other_axes_is_turned(tmp_path: Path, axcodes: str) -> None:
    source = tmp_path / "src" / "p1"
    write_nifti(source / "ct.nii.gz", voxels())
    write_nifti(source / "liver_mask.nii.gz", *reordered(LIVER, GRID, axcodes))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    np.testing.assert_array_equal(done.label(), LIVER)
    turned = f"structure liver: its axes were turned from {axcodes} to the image's LPS"
    assert notes(done) == ([] if axcodes == "LPS" else [turned])


def test_mask_on_another_grid_is_refused_or_resampled_on_request(tmp_path: Path) -> None:
    source = tmp_path / "src" / "p1"
    fine = GRID.resampled((0.5, 0.5, 4.0))
    write_nifti(source / "ct.nii.gz", voxels())
    write_nifti(source / "liver_mask.nii.gz", LIVER.repeat(3, axis=0).repeat(3, axis=1), fine)
    refused = run_ingest(tmp_path / "src", tmp_path / "refused")
    assert "ingest with the repair grids to resample it (nearest)" in refused.report.failures[0].reason
    done = run_ingest(tmp_path / "src", tmp_path / "out", repair=["grids"])
    np.testing.assert_array_equal(done.label(), LIVER)
    assert notes(done) == ["structure liver: it was resampled (nearest) onto the image's grid"]


@pytest.mark.parametrize("axcodes", ["LPS", "SAR"])
@pytest.mark.parametrize("ending", ["nii.gz", "seg.nrrd"])
def test_mask_that_was_cropped_to_its_structures_is_put_back(tmp_path: Path, axcodes: str, ending: str) -> None:
    source = tmp_path / "src" / "p1"
    write_nifti(source / "ct.nii.gz", voxels())
    cropped = GRID
    for axis, extent in enumerate((range(1, 7), range(2, 6), range(1, 4))):
        cropped = cropped.cropped(axis, extent)
    mask, stored = reordered(LIVER[1:7, 2:6, 1:4], cropped, axcodes)
    (write_nifti if ending == "nii.gz" else write_itk)(source / f"liver_mask.{ending}", mask, stored)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    np.testing.assert_array_equal(done.label(), LIVER)
    cropping = f"it was stored cropped to {stored.shape} voxels"
    assert notes(done) == [f"structure liver: {cropping}, and filled up with background to the image's (12, 10, 6)"]


@pytest.mark.parametrize("shift", [(0.3, 0, 0), (-3, 0, 0), (0, 0, 4)])
def test_mask_off_the_voxels_or_beyond_the_image_is_refused(tmp_path: Path, shift: tuple[float, float, float]) -> None:
    source = tmp_path / "src" / "p1"
    write_nifti(source / "ct.nii.gz", voxels())
    affine = GRID.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array(shift)
    write_nifti(source / "liver_mask.nii.gz", LIVER[:9, :, :4], Geometry((9, 10, 4), affine))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert "label must lie on the grid of its image" in done.report.failures[0].reason


def test_one_mask_per_organ_becomes_one_label_volume(tmp_path: Path) -> None:
    for patient, both in (("s0001", True), ("s0002", False)):
        folder = tmp_path / "src" / patient
        write_nifti(folder / "ct.nii.gz", voxels(seed=int(patient[-1])))
        write_nifti(folder / "segmentations" / "liver.nii.gz", LIVER)
        write_nifti(folder / "segmentations" / "spleen.nii.gz", SPLEEN if both else SPLEEN * 0)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.manifest.labels == {"background": 0, "liver": 1, "spleen": 2}
    np.testing.assert_array_equal(label_of(done, "s0001"), LIVER + SPLEEN * 2)
    np.testing.assert_array_equal(label_of(done, "s0002"), LIVER)


def test_masks_of_parts_that_share_a_label_are_joined(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "s0001"
    write_nifti(folder / "ct.nii.gz", voxels())
    write_nifti(folder / "segmentations" / "lung_lower_lobe_left.nii.gz", LIVER)
    write_nifti(folder / "segmentations" / "lung_upper_lobe_left.nii.gz", SPLEEN)
    mapping = "labels: {lung: {value: 1, names: ['lung*']}}"
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=mapping)
    np.testing.assert_array_equal(done.label(), LIVER | SPLEEN)


def test_later_of_two_masks_of_one_structure_counts_and_that_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "p1"
    write_nifti(folder / "ct.nii.gz", voxels())
    write_nifti(folder / "liver_mask.nii.gz", LIVER)
    write_nifti(folder / "liver_seg.nii.gz", SPLEEN)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    np.testing.assert_array_equal(done.label(), SPLEEN)
    assert notes(done) == ["label liver is held by several objects; the latest counts"]


def test_ribs_that_differ_in_their_number_stay_apart(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "p1"
    write_nifti(folder / "ct.nii.gz", voxels())
    for number, values in enumerate((LIVER, SPLEEN), start=1):
        write_nifti(folder / "segmentations" / f"rib_left_{number}.nii.gz", values)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert set(done.manifest.labels) == {"background", "rib_1_left", "rib_2_left"}
    np.testing.assert_array_equal(done.label(), LIVER + SPLEEN * 2)


def test_values_without_names_keep_their_values(tmp_path: Path) -> None:
    write_pair(tmp_path / "src", "images/p1.nii.gz", "labels/p1.nii.gz", values=LIVER * 3 + SPLEEN * 12)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.manifest.labels == {"background": 0, "value_3": 3, "value_12": 12}
    np.testing.assert_array_equal(done.label(), LIVER * 3 + SPLEEN * 12)


def test_names_of_values_come_from_the_dataset_json_above_the_masks(tmp_path: Path) -> None:
    source = tmp_path / "src"
    write_pair(source, "imagesTr/p1.nii.gz", "labelsTr/p1.nii.gz", values=LIVER + SPLEEN * 2)
    msd = {
        "name": "x", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver", "2": "Milz"},
        "training": [{"image": "./imagesTr/p1.nii.gz", "label": "./labelsTr/p1.nii.gz"}], "test": [],
    }  # fmt: skip
    (source / "dataset.json").write_text(json.dumps(msd))
    done = run_ingest(source, tmp_path / "out")
    assert done.manifest.labels == {"background": 0, "liver": 1, "spleen": 2}
    np.testing.assert_array_equal(done.label(), LIVER + SPLEEN * 2)


def test_dataset_json_that_is_no_manifest_names_nothing(tmp_path: Path) -> None:
    write_pair(tmp_path / "src", "images/p1.nii.gz", "labels/p1.nii.gz")
    (tmp_path / "src" / "dataset.json").write_text("[1, 2")
    assert run_ingest(tmp_path / "src", tmp_path / "out").manifest.labels == {"background": 0, "value_1": 1}


def test_names_of_slicer_segments_are_read(tmp_path: Path) -> None:
    source = tmp_path / "src" / "p1"
    write_nifti(source / "ct.nii.gz", voxels())
    names = {
        "Segment0_Name": "Leber",
        "Segment0_LabelValue": "1",
        "Segment1_Name": "Spleen",
        "Segment1_LabelValue": "2",
    }
    write_itk(source / "Segmentation.seg.nrrd", LIVER + SPLEEN * 2, **names)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.manifest.labels == {"background": 0, "liver": 1, "spleen": 2}
    np.testing.assert_array_equal(done.label(), LIVER + SPLEEN * 2)


LAYERS = {"liver": (0, 1), "spleen": (0, 2), "tumour": (1, 1)}
TUMOUR = block(slice(2, 4), slice(3, 5), slice(2, 3)).astype(np.uint8)


def write_layers(path: Path, segments: dict[str, tuple[int, int]], *, layers: int = 2) -> None:
    """A segmentation of 3D Slicer whose segments may overlap: a list of layers as the fastest axis."""
    masks = {"liver": LIVER, "spleen": SPLEEN, "tumour": TUMOUR}
    voxel = np.zeros((layers, *SHAPE), np.uint8)
    for name, (layer, value) in segments.items():
        if layer < layers:
            voxel[layer][masks[name] > 0] = value
    affine = GRID.to_lps()
    axes = " ".join(f"({','.join(repr(float(one)) for one in affine[:3, axis])})" for axis in range(3))
    lines = [
        "NRRD0004", "type: unsigned char", "dimension: 4", "space: left-posterior-superior",
        f"sizes: {layers} {' '.join(map(str, SHAPE))}", f"space directions: none {axes}",
        "kinds: list domain domain domain", "encoding: raw",
        f"space origin: ({','.join(repr(float(one)) for one in affine[:3, 3])})",
    ]  # fmt: skip
    for number, (name, (layer, value)) in enumerate(segments.items()):
        fields = {"ID": f"s{number}", "LabelValue": value, "Layer": layer, "Name": name}
        lines += [f"Segment{number}_{key}:={text}" for key, text in fields.items()]
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + voxel.tobytes(order="F"))


def test_segments_on_layers_are_drawn_each_and_their_overlap_is_counted(tmp_path: Path) -> None:
    source = tmp_path / "src" / "p1"
    write_nifti(source / "ct.nii.gz", voxels())
    write_layers(source / "Segmentation.seg.nrrd", LAYERS)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    values, label = done.manifest.labels, done.label()
    np.testing.assert_array_equal(label == values["tumor"], TUMOUR > 0)
    np.testing.assert_array_equal(label == values["liver"], (LIVER > 0) & (TUMOUR == 0))
    np.testing.assert_array_equal(label == values["spleen"], SPLEEN > 0)
    assert notes(done) == [f"labels liver and tumor overlap in {TUMOUR.sum()} voxels; tumor is drawn on top"]
    mapping = "labels: {tumour: {value: 1, names: [tumour]}, organ: {value: 2, names: [liver, spleen]}}"
    joined = run_ingest(tmp_path / "src", tmp_path / "joined", mapping=mapping)
    np.testing.assert_array_equal(joined.label() == 2, (LIVER | SPLEEN) > 0)
    assert "label tumour has no voxel left" in notes(joined)[-1]


def test_segment_on_a_layer_that_is_missing_is_told(tmp_path: Path) -> None:
    source = tmp_path / "src" / "p1"
    write_nifti(source / "ct.nii.gz", voxels())
    write_layers(source / "Segmentation.seg.nrrd", {**LAYERS, "tumour": (2, 1)})
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert lost(done) == ["the segments must lie on the file's 2 layer(s), got others; export it again"]


NAMELESS = ["1st_manual/{p}_manual1.nii.gz", "Masken/{p}.nii.gz", "scans/{p}_reader1.nii.gz", "scans/{p}_HP.nii.gz",
            "ground_truth/{p}.nii.gz", "outlines/{p}.nii.gz", "máscaras/{p}.nii.gz", "drawn/{p}.nii.gz"]  # fmt: skip


@pytest.mark.parametrize("place", NAMELESS)
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_file_of_few_whole_values_on_a_scans_grid_is_a_mask_whatever_its_name(
    tmp_path: Path, place: str, kind: type
) -> None:
    for patient, seed, values in (("p1", 1, LIVER), ("p2", 2, SPLEEN)):
        write_pair(
            tmp_path / "src", f"scans/{patient}.nii.gz", place.format(p=patient), seed=seed, values=values.astype(kind)
        )
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.report.is_clean, done.report
    by_image = {int(done.image(case)[0, 0, 0, 0]): done.label(case) > 0 for case in done.manifest.select("training")}
    assert len(done.manifest.cases) == 2
    for seed, values in ((1, LIVER), (2, SPLEEN)):
        np.testing.assert_array_equal(by_image[int(voxels(seed=seed)[0, 0, 0])], values > 0)
    hows = {how for case in done.document["cases"] for how in case["labels"]}
    assert hows == {"mask known by its few whole values matched by name and grid"}
    assert "Are these masks?" in (done.folder / "mapping.yaml").read_text()


@pytest.mark.parametrize("folders", [("reader1", "reader2"), ("1st_manual", "2nd_manual"), ("masks/AB", "masks/CD")])
def test_masks_that_only_their_folders_tell_apart_are_two(tmp_path: Path, folders: tuple[str, str]) -> None:
    for number in range(3):
        write_nifti(tmp_path / "src" / "images" / f"p{number}.nii.gz", voxels(seed=number))
        for folder, values in zip(folders, (LIVER, SPLEEN), strict=True):
            write_nifti(tmp_path / "src" / folder / f"p{number}.nii.gz", values)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    labels = [folder.removeprefix("masks/").lower() for folder in folders]
    assert set(done.manifest.foreground) == set(labels)
    for case in done.manifest.cases:
        for label, values in zip(labels, (LIVER, SPLEEN), strict=True):
            drawn = done.label(case)
            np.testing.assert_array_equal(drawn == done.manifest.labels[label], values > 0)


@pytest.mark.parametrize("stored", ["DICOM", "along other axes"])
def test_mask_of_any_name_is_known_beside_dicom_and_along_other_axes(tmp_path: Path, stored: str) -> None:
    folder = tmp_path / "src" / "p1"
    if stored == "DICOM":
        write_ct(folder / "ct")
        write_nifti(folder / "drawn by AB.nii.gz", LIVER)
    else:
        write_nifti(folder / "ct.nii.gz", voxels())
        write_nifti(folder / "drawn by AB.nii.gz", *reordered(LIVER, GRID, "SAL"))
    np.testing.assert_array_equal(run_ingest(tmp_path / "src", tmp_path / "out").label() > 0, LIVER > 0)


def test_word_of_the_user_makes_a_file_an_image_or_a_mask(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "p1"
    write_nifti(folder / "ct.nii.gz", voxels())
    write_nifti(folder / "perfusion.nii.gz", LIVER)
    fine = GRID.resampled((0.5, 0.5, 4.0))
    write_nifti(folder / "ct_drawn.nii.gz", LIVER.repeat(3, axis=0).repeat(3, axis=1), fine)
    mapping = "{labels: {liver: {value: 1, names: [drawn]}}, images: ['*perfusion*'], masks: ['P1/*drawn*']}"
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=mapping, repair=["grids"])
    assert len(done.report.cases) == 2
    (case,) = done.manifest.select("training")
    np.testing.assert_array_equal(done.label(case), LIVER)
    taken = run_ingest(tmp_path / "src", tmp_path / "taken")
    hows = [how for case in taken.document["cases"] for how in case["labels"]]
    assert hows == ["mask known by its few whole values matched by folder and grid"]
    noted = [note for note in notes(taken) if "it holds few whole values, as a mask does" in note]
    assert len(noted) == 1


def test_scan_that_looks_like_no_mask_stays_a_scan_on_the_grid_of_others(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kinds = {
        "many values": rng.integers(0, 100, SHAPE).astype(np.int16),
        "fractions": np.where(LIVER > 0, 0.5, 0).astype(np.float32),
        "below zero": LIVER.astype(np.int16) - 1,
        "all alike": np.full(SHAPE, 7, np.int16),
    }
    for name, array in kinds.items():
        write_nifti(tmp_path / "src" / "p1" / f"{name}.nii.gz", array)
    write_nifti(tmp_path / "src" / "p1" / "ct.nii.gz", voxels())
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert len(done.manifest.cases) == 5
    assert notes(done) == []


def test_scan_in_the_place_of_a_mask_gives_no_thousands_of_labels(tmp_path: Path) -> None:
    large = grid((30, 30, 10), spacing_mm=(2, 2, 2))
    write_nifti(tmp_path / "src" / "p1" / "ct.nii.gz", voxels(large), large)
    write_nifti(tmp_path / "src" / "p1" / "roi.nii.gz", voxels(large, seed=1) * 3, large)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    (reason,) = lost(done)
    assert reason == (
        "a mask must hold at most 1000 structures, got 8999 values; list it under images in the mapping if it is an "
        "image"
    )
    listed = run_ingest(tmp_path / "src", tmp_path / "listed", mapping="images: ['*/roi*']")
    assert len(listed.manifest.cases) == 2
    assert listed.report.is_clean


@pytest.mark.parametrize(
    ("stored", "slope", "intercept"),
    [
        ((0, 2, 4), 0.5, 0.0),
        ((3, 2, 1), -1.0, 3.0),
        ((0, 127, 254), 1 / 127, 0.0),
        ((-5, -4, -3), 1.0, 5.0),
    ],
)
def test_mask_under_a_slope_has_its_scaled_values(
    tmp_path: Path, stored: tuple[int, int, int], slope: float, intercept: float
) -> None:
    source = tmp_path / "src"
    for number in range(2):
        folder = source / f"p{number}"
        write_pair(source, f"p{number}/ct.nii.gz", f"p{number}/mask.nii.gz", seed=number, values=LIVER + 2 * SPLEEN)
        if number:
            coded = np.choose(LIVER + 2 * SPLEEN, stored).astype(np.int16)
            put_under_slope(folder / "mask.nii.gz", coded, slope=slope, intercept=intercept)
    done = run_ingest(source, tmp_path / "out")
    assert done.manifest.labels == {"background": 0, "value_1": 1, "value_2": 2}
    for case in done.manifest.cases:
        np.testing.assert_array_equal(done.label(case), LIVER + 2 * SPLEEN)
    (note,) = notes(done)
    assert note.startswith("structure value 1: its values are scaled (stored values times the header's slope")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (LIVER.astype(np.float32) * 0.5, "must hold whole numbers, got fractions"),
        (LIVER.astype(np.int16) * -1, "must not be negative, got -1"),
        (np.stack([LIVER, LIVER], axis=-1), "must have one channel, got 2"),
    ],
)
def test_mask_that_holds_no_labels_is_told_and_its_image_stays(tmp_path: Path, values: np.ndarray, reason: str) -> None:
    source = tmp_path / "src" / "p1"
    write_nifti(source / "ct.nii.gz", voxels())
    nibabel.save(nibabel.Nifti1Image(values, GRID.affine), source / "mask.nii.gz")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert len(done.manifest.cases) == 1
    assert len(lost(done)) == 1
    assert reason in lost(done)[0]


def test_mask_with_larger_values_than_a_manifest_holds_is_numbered_anew(tmp_path: Path) -> None:
    values = LIVER.astype(np.uint32) * 182_305_696 + SPLEEN * np.uint32(70_000)
    source = tmp_path / "src" / "p1"
    source.mkdir(parents=True)
    write_nifti(source / "ct.nii.gz", voxels())
    nibabel.save(nibabel.Nifti1Image(values, GRID.affine), source / "atlas_mask.nii.gz")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert sorted(done.manifest.labels.values()) == [0, 1, 2]
    np.testing.assert_array_equal(done.label(), LIVER * 2 + SPLEEN)


def test_empty_mask_is_no_label_of_nothing(tmp_path: Path) -> None:
    source = tmp_path / "src"
    write_pair(source, "p1/ct.nii.gz", "p1/liver_mask.nii.gz", values=LIVER * 0)
    write_pair(source, "p2/ct.nii.gz", "p2/liver_mask.nii.gz", seed=1)
    done = run_ingest(source, tmp_path / "out")
    assert len(done.manifest.cases) == 2
    for case in done.manifest.select("training"):
        if case.label_ml and case.label_ml["liver"] > 0:
            read_case(case, done.manifest, done.folder)


def test_labels_of_patients_in_folders_of_a_label_folder_are_labels(tmp_path: Path) -> None:
    source = tmp_path / "src"
    for patient, values in (("p1", LIVER), ("p2", SPLEEN)):
        write_pair(
            source, f"images/{patient}/ct.nii.gz", f"labels/{patient}/liver.nii.gz", seed=int(patient[1]), values=values
        )
    done = run_ingest(source, tmp_path / "out")
    assert len(done.manifest.select("training")) == 2
    assert sorted(int((done.label(case) > 0).argmax()) for case in done.manifest.cases) == sorted(
        int((values > 0).argmax()) for values in (LIVER, SPLEEN)
    )


def test_files_of_one_folder_are_one_patient_and_many_files_are_many(tmp_path: Path) -> None:
    for name in ("t1", "t2", "flair"):
        write_nifti(tmp_path / "src" / "p1" / f"{name}.nii.gz", voxels())
    for number in range(13):
        write_nifti(tmp_path / "src" / "cohort" / f"{number}.nii.gz", voxels())
    cases = run_ingest(tmp_path / "src", tmp_path / "out").manifest.cases
    assert len(cases) == 16
    assert len({case.patient_id for case in cases}) == 14


def test_label_volume_is_unsigned_and_unscaled_on_the_grid_of_the_image(tmp_path: Path) -> None:
    write_pair(tmp_path / "src", "p1/ct.nii.gz", "p1/liver_mask.nii.gz", values=LIVER.astype(np.int16))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    image: Any = nibabel.load(done.folder / str(done.case.label))
    assert image.get_data_dtype() == np.uint8
    assert (image.dataobj.slope, image.dataobj.inter) == (1, 0)
    assert image.shape == SHAPE
    np.testing.assert_allclose(image.affine, GRID.affine, atol=1e-5)
    assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 1


def test_object_values_beyond_sixteen_bits_are_numbered_instead_of_wrapping_round(tmp_path: Path) -> None:
    mask = np.zeros(SHAPE, np.int32)
    mask[1:3, 1:3, 1], mask[4:6, 1:3, 1], mask[7:9, 1:3, 1] = 3, 65536, 131075
    write_nifti(tmp_path / "src" / "a.nii.gz", voxels())
    write_nifti(tmp_path / "src" / "a_mask.nii.gz", mask)
    mapping = 'instances: true\nlabels: {cell: {value: 1, names: ["*"]}}'
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=mapping)
    np.testing.assert_array_equal(done.label(), np.unique(mask, return_inverse=True)[1].reshape(SHAPE))
    (entry,) = done.document["cases"]
    assert "its objects were numbered from 1 to 3, since values above 65535 cannot be written" in entry["notes"]
