from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from medseg.manifest import load_manifest, manifest_schema, read_case, save_manifest
from medseg.phantom import write_cohort
from medseg.records import Manifest

MANIFESTS = Path(__file__).parents[2] / "data_manifests"


def test_committed_schema_is_the_one_the_code_makes() -> None:
    assert json.loads((MANIFESTS / "schema.json").read_text()) == manifest_schema()


def test_saved_manifest_fits_the_schema(cohort: tuple[Manifest, Path], tmp_path: Path) -> None:
    save_manifest(cohort[0], tmp_path / "dataset.json")
    jsonschema.validate(json.loads((tmp_path / "dataset.json").read_text()), manifest_schema())


def test_nuclei_manifest_fits_the_schema() -> None:
    jsonschema.validate(json.loads((MANIFESTS / "nuclei_2d.json").read_text()), manifest_schema())


def test_phantom_recipe_recognises_the_demo_dataset(tmp_path: Path) -> None:
    write_cohort(tmp_path)
    manifest, root = load_manifest(MANIFESTS / "phantom.json", data_root=tmp_path)
    assert (len(manifest.cases), root) == (22, tmp_path)


@pytest.mark.data
def test_hippocampus_recipe_opens_a_copy_of_the_data(real_data: Path) -> None:
    manifest, _ = load_manifest(MANIFESTS / "msd_hippocampus.json", data_root=real_data / "msd_hippocampus")
    assert manifest.foreground == {"Anterior": 1, "Posterior": 2}


@pytest.mark.data
def test_nuclei_manifest_finds_files_with_its_checksums(real_data: Path) -> None:
    manifest, root = load_manifest(MANIFESTS / "nuclei_2d.json", data_root=real_data / "nuclei_2d")
    image, label = read_case(manifest.cases[0], manifest, root)
    assert image.array.shape[0] == 3
    assert set(label.ravel().tolist()) == {0, 1}
