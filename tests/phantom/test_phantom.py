from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import nibabel
import numpy as np
import pytest
from medseg.geometry import Geometry
from medseg.manifest import load_manifest, read_case
from medseg.phantom import LABELS, SCANNERS, Anatomy, image_anatomy, write_cohort
from medseg.phantom.scanner import Scanner, scanner_grid
from medseg.records import Manifest
from scipy import ndimage

from tests.grids import grid

COARSE = grid((52, 38, 34), spacing_mm=(6, 6, 6), origin_mm=(-153, -111, -100))


def centroid_mm(label: np.ndarray, geometry: Geometry, name: str) -> np.ndarray:
    centre = np.array(ndimage.center_of_mass(label == LABELS[name]))
    return geometry.world_mm(centre[None])[0]


@pytest.mark.parametrize("seed", range(4))
def test_every_patient_has_every_organ_on_its_own_side(seed: int) -> None:
    _, label = Anatomy(seed).draw(COARSE)
    assert label.dtype == np.uint8
    assert set(np.unique(label)) == set(LABELS.values())
    assert centroid_mm(label, COARSE, "liver")[0] > 20  # RAS+: the patient's right is positive
    assert centroid_mm(label, COARSE, "kidney_right")[0] > 20
    assert centroid_mm(label, COARSE, "kidney_left")[0] < -20


@pytest.mark.parametrize("seed", range(4))
def test_every_organ_is_one_piece_of_a_human_size(seed: int) -> None:
    _, label = Anatomy(seed).draw(COARSE)
    for name, (low_ml, high_ml) in {"liver": (400, 1800), "kidney_right": (30, 200), "kidney_left": (30, 200)}.items():
        pieces, _ = ndimage.label(label == LABELS[name])
        sizes = np.bincount(pieces.ravel())[1:]
        assert sizes.max() / sizes.sum() > 0.98
        assert low_ml < sizes.sum() * COARSE.voxel_ml < high_ml


def test_same_seed_is_the_same_patient_and_another_is_not() -> None:
    first, second, third = (Anatomy(seed).draw(COARSE) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert (first[1] != third[1]).any()


def test_patient_after_surgery_has_no_labelled_organ_but_a_body() -> None:
    signal, label = Anatomy(0, is_empty=True).draw(COARSE)
    assert not label.any()
    assert (signal > 0).mean() > 0.2


@pytest.mark.parametrize("axcodes", ["LPS", "RSP", "SAL"])
def test_patient_is_the_same_on_any_order_of_axes(axcodes: str) -> None:
    turned = COARSE.reoriented(axcodes)
    _, straight = Anatomy(1).draw(COARSE)
    _, label = Anatomy(1).draw(turned)
    image = nibabel.Nifti1Image(label, turned.affine)
    back = image.as_reoriented(nibabel.io_orientation(turned.affine))
    np.testing.assert_array_equal(np.asarray(back.dataobj), straight)


@pytest.mark.parametrize("scanner", SCANNERS, ids=lambda scanner: scanner.name)
def test_scanner_has_its_axes_spacing_and_tilt(scanner: Scanner) -> None:
    geometry = scanner_grid(scanner, np.random.default_rng(0))
    assert geometry.axcodes == scanner.axcodes == "".join(nibabel.aff2axcodes(geometry.affine))
    in_ras = geometry.reoriented("RAS")
    ratios = np.array(in_ras.spacing_mm) / scanner.spacing_mm
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-9)
    assert 0.95 <= ratios[0] <= 1.05
    obliquity = np.degrees(nibabel.affines.obliquity(geometry.affine)).max()
    assert obliquity == pytest.approx(0, abs=1e-5) if scanner.tilt_degrees == 0 else 1 < obliquity < 40


def test_scanners_are_anisotropic_oblique_and_of_different_axes() -> None:
    assert len({scanner.axcodes for scanner in SCANNERS}) == len(SCANNERS)
    assert any(max(scanner.spacing_mm) / min(scanner.spacing_mm) >= 1.5 for scanner in SCANNERS)
    assert any(scanner.tilt_degrees > 0 for scanner in SCANNERS)


@pytest.mark.parametrize("scanner", SCANNERS, ids=lambda scanner: scanner.name)
def test_image_shows_what_the_label_says(scanner: Scanner) -> None:
    image, label, geometry = image_anatomy(Anatomy(2), scanner, seed=5)
    assert (image.dtype, label.dtype) == (np.int16, np.uint8)
    assert image.shape == label.shape == geometry.shape
    assert image.min() >= 0  # a magnitude
    air = Anatomy(2).draw(geometry)[0] == 0
    assert np.median(image[label == LABELS["liver"]]) > 5 * np.median(image[air])


def test_same_scan_seed_is_the_same_scan_and_another_is_not() -> None:
    first, second, third = (image_anatomy(Anatomy(2), SCANNERS[1], seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[2].affine, second[2].affine)
    assert first[0].shape != third[0].shape or (first[0] != third[0]).any()


def test_cohort_has_returning_patients_held_out_patients_and_two_sites(cohort: tuple[Manifest, Path]) -> None:
    manifest, _ = cohort
    studies = Counter(case.patient_id for case in manifest.cases)
    assert (len(studies), len(manifest.cases)) == (8, 11)
    assert sorted(studies.values()) == [1, 1, 1, 1, 1, 2, 2, 2]
    assert {case.site for case in manifest.cases} == {"north", "south"}
    held_out = {case.patient_id for case in manifest.select("test")}
    assert held_out == {"patient_06", "patient_07"}
    assert held_out.isdisjoint(case.patient_id for case in manifest.select("training"))


def test_second_study_of_a_patient_is_from_another_scanner(cohort: tuple[Manifest, Path]) -> None:
    first, second = (case for case in cohort[0].cases if case.patient_id == "patient_00")
    assert first.scanner != second.scanner


def test_two_studies_of_a_patient_show_the_same_organs_in_millimetres(cohort: tuple[Manifest, Path]) -> None:
    manifest, root = cohort
    found = []
    for case in manifest.cases:
        if case.patient_id == "patient_00":
            scan, label = read_case(case, manifest, root)
            found.append([centroid_mm(label, scan.geometry, name) for name in ("liver", "kidney_left")])
    np.testing.assert_allclose(found[0], found[1], atol=8.0)  # fields of view cut the liver a little differently


def test_every_case_of_the_cohort_can_be_read(cohort: tuple[Manifest, Path]) -> None:
    manifest, root = cohort
    for case in manifest.cases:
        assert set(np.unique(read_case(case, manifest, root).label)) == set(LABELS.values())


def test_written_cohort_is_the_returned_one_and_the_same_each_time(tmp_path: Path) -> None:
    done: list[str] = []
    manifests = [write_cohort(tmp_path / name, patients=2, test_patients=1, on_done=done.append) for name in "ab"]
    assert manifests[0] == manifests[1] == load_manifest(tmp_path / "a")[0]
    assert done == ["phantom_00_0", "phantom_00_1", "phantom_01_0"] * 2
    for case in manifests[0].cases:
        voxels = [np.asarray(nibabel.load(tmp_path / name / case.images[0]).dataobj) for name in "ab"]
        np.testing.assert_array_equal(voxels[0], voxels[1])


def test_another_seed_gives_another_cohort(tmp_path: Path) -> None:
    digests = set()
    for seed in (0, 1):
        manifest = write_cohort(tmp_path / str(seed), patients=1, test_patients=0, seed=seed)
        image = nibabel.load(tmp_path / str(seed) / manifest.cases[0].images[0])
        digests.add(hashlib.sha256(np.asarray(image.dataobj).tobytes()).hexdigest())
    assert len(digests) == 2
