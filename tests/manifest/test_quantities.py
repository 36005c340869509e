from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import GeometryError, ManifestError, ScanError
from medseg.geometry import Geometry
from medseg.manifest import load_manifest, manifest_digest, read_case_with_quantities, save_manifest
from medseg.quantity import Quantity
from medseg.records import Manifest
from medseg.scans import write_scan

from tests.grids import OBLIQUE
from tests.manifest.datasets import load_own, own_content, write_dataset

DOSE = {"dose": {"unit": "Gy", "prescription": 60.0}}


def beams(**changes: Any) -> dict[str, Any]:
    """Content of a regression with one training case."""
    entry = {"case_id": "a", "patient_id": "p", "image": "a.nii.gz", "quantities": {"dose": "a_dose.nii.gz"}}
    content = {"name": "beams", "task": "regression", "channel_names": {"0": "CT"}, "quantities": DOSE}
    return {**content, "training": [entry], **changes}


def load(folder: Path, **changes: Any) -> Manifest:
    return load_manifest(write_dataset(folder, beams(**changes)))[0]


def write_case(folder: Path, dose: np.ndarray, *, offset: tuple[float, float, float] = (0, 0, 0)) -> Manifest:
    shape = dose.shape
    write_scan(np.zeros((1, *shape), np.float32), Geometry(shape, OBLIQUE.affine), folder / "a.nii.gz")
    affine = OBLIQUE.affine.copy()
    affine[:3, 3] += offset
    write_scan(dose[np.newaxis].astype(np.float32), Geometry(shape, affine), folder / "a_dose.nii.gz")
    return load(folder)


def test_quantities_survive_a_save_and_need_no_labels(tmp_path: Path) -> None:
    manifest = load(tmp_path, quantities={"dose": {"unit": "Gy", "range": [0, 70]}})
    assert manifest.quantities == {"dose": Quantity(unit="Gy", range=(0, 70))}
    assert manifest.labels == {"background": 0}
    assert manifest.cases[0].quantities == {"dose": "a_dose.nii.gz"}
    save_manifest(manifest, tmp_path / "again.json")
    assert load_manifest(tmp_path / "again.json")[0] == manifest


def test_a_manifest_of_labels_is_saved_without_quantities(tmp_path: Path) -> None:
    save_manifest(load_own(tmp_path), tmp_path / "again.json")
    assert "quantities" not in (tmp_path / "again.json").read_text()


def test_the_digest_knows_units_and_files(tmp_path: Path) -> None:
    first = load(tmp_path)
    other_unit = load(tmp_path, quantities={"dose": {"unit": "cGy", "prescription": 60.0}})
    other_file = load(tmp_path, training=[{**beams()["training"][0], "quantities": {"dose": "b.nii.gz"}}])
    assert len({manifest_digest(manifest) for manifest in (first, other_unit, other_file)}) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quantities": {"dose": {}}}, r"quantities\.dose\.unit"),
        ({"quantities": {"dose": {"unit": " "}}}, "unit must be a unit as it is shown"),
        ({"quantities": {"dose": {"unit": "Gy", "prescription": 0}}}, "prescription"),
        ({"quantities": {"dose": {"unit": "Gy", "range": [70, 0]}}}, "range must rise"),
        ({"quantities": {}}, "a regression must name its quantities, got none"),
        ({"quantities": None}, "a regression must name its quantities, got none"),
        ({"quantities": {"mean": {"unit": "Gy"}}}, "quantity names must be usable as folder names"),
        ({"quantities": {"a/b": {"unit": "Gy"}}}, "quantity names must be usable as folder names"),
        ({"quantities": {"uptake": {"unit": "SUV"}}}, r"case a: quantities must be among .*'uptake'.* got \['dose'\]"),
        ({"task": "segmentation"}, "quantities must be of a regression, got task segmentation"),
        ({"task": "classification"}, "quantities must be of a regression, got task classification"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        load(tmp_path, **changes)


def test_quantities_of_a_segmentations_case_are_refused(tmp_path: Path) -> None:
    training = [{**own_content()["training"][0], "quantities": {"dose": "a.nii.gz"}}]
    with pytest.raises(ManifestError, match=r"case c0: quantities must be among .* got \['dose'\]"):
        load_own(tmp_path, training=training)


def test_paths_of_quantities_stay_under_the_data_root_and_may_be_from_windows(tmp_path: Path) -> None:
    entry = beams()["training"][0]
    with pytest.raises(ManifestError, match="paths must stay under the data root"):
        load(tmp_path, training=[{**entry, "quantities": {"dose": "../dose.nii.gz"}}])
    manifest = load(tmp_path, training=[{**entry, "quantities": {"dose": "doses\\a.nii.gz"}}])
    assert manifest.cases[0].quantities == {"dose": "doses/a.nii.gz"}


def test_values_are_read_as_they_stand_with_nan_where_not_known(tmp_path: Path) -> None:
    dose = np.random.default_rng(0).uniform(0, 66, (5, 4, 3)).astype(np.float32)
    dose[0, 0, 0] = np.nan
    manifest = write_case(tmp_path, dose)
    _, values = read_case_with_quantities(manifest.cases[0], manifest, tmp_path)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, dose[np.newaxis])


@pytest.mark.parametrize(
    ("value", "words"), [(np.inf, "got 60 infinite voxels"), (np.nan, "must be known in at least one voxel")]
)
def test_infinite_values_and_nothing_known_are_refused(tmp_path: Path, value: float, words: str) -> None:
    manifest = write_case(tmp_path, np.full((5, 4, 3), value))
    with pytest.raises(ScanError, match=f"case a: quantity dose .*{words}"):
        read_case_with_quantities(manifest.cases[0], manifest, tmp_path)


def test_another_grid_is_refused_with_a_fitting_remedy(tmp_path: Path) -> None:
    manifest = write_case(tmp_path, np.ones((5, 4, 3)), offset=(2, 0, 0))
    with pytest.raises(GeometryError, match=r"quantity dose must lie on the grid of its image.* linear interpolation"):
        read_case_with_quantities(manifest.cases[0], manifest, tmp_path)


def test_a_missing_quantity_is_named(tmp_path: Path) -> None:
    manifest = load(tmp_path, quantities={**DOSE, "let": {"unit": "keV/um"}})
    write_scan(np.zeros((1, 5, 4, 3), np.float32), Geometry((5, 4, 3), OBLIQUE.affine), tmp_path / "a.nii.gz")
    with pytest.raises(ScanError, match=r"case a: quantities must name a file for each of .* got none for \['let'\]"):
        read_case_with_quantities(manifest.cases[0], manifest, tmp_path)
