"""A made-up hospital export is ingested whole, and its labels lie where the formulas put them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from medseg.ingest import IngestOptions, Progress, Pseudonyms, ingest
from medseg.manifest import load_manifest, read_case_label
from medseg.phantom import write_hospital_export
from medseg.phantom.hospital import STRUCTURES


def test_export_is_ingested_without_a_loss(tmp_path: Path) -> None:
    exported = write_hospital_export(tmp_path / "export", patients=3)
    assert len({one.patient_id for one in exported}) == 3
    names = Pseudonyms(bytes(32))
    report = ingest(
        tmp_path / "export", tmp_path / "dataset", names=names, options=IngestOptions(), progress=Progress()
    )
    assert report.is_clean
    assert report.files["other"] == 4
    manifest, root = load_manifest(tmp_path / "dataset")
    assert sorted(manifest.foreground) == ["kidney_left", "kidney_right", "liver"]
    by_patient = {case.patient_id: case for case in manifest.cases}
    for one in exported:
        label, geometry = read_case_label(by_patient[names.patient(one.patient_id)], manifest, root)
        for value, name in zip(STRUCTURES.values(), ("liver", "kidney_right", "kidney_left"), strict=True):
            found = geometry.world_mm(np.argwhere(label == manifest.labels[name]).astype(float))
            truth = one.geometry.world_mm(np.argwhere(one.label == value).astype(float))
            assert len(found) == len(truth)
            np.testing.assert_allclose(found.mean(axis=0), truth.mean(axis=0), atol=0.01)


def test_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_hospital_export(tmp_path / folder, patients=1, seed=3)
    first, second = (
        {
            path.relative_to(tmp_path / folder): path.stat().st_size
            for path in (tmp_path / folder).rglob("*")
            if path.is_file()
        }
        for folder in ("a", "b")
    )
    assert first == second
