"""Published data: what is told of it was looked at by hand, and is true."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from medseg.audit import audit_manifest, load_for_audit
from medseg.audit.canonical import canonical
from medseg.audit.image_hash import shrink
from medseg.audit.near_duplicates import LIKELY, find_near_duplicates
from medseg.scans import read_scan
from scipy import ndimage

from tests.audit.dirty import findings

MANIFESTS = Path(__file__).parents[2] / "data_manifests"


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)


@pytest.mark.data
def test_hippocampus_crops_that_look_alike_are_no_duplicates(real_data: Path) -> None:
    loaded = load_for_audit(real_data / "msd_hippocampus")
    audit = audit_manifest(loaded.manifest, loaded.root)
    assert audit.count("error") == 0
    # One label is float32, one has four voxels beside it, the intensities are on three scales, nobody has an id.
    assert {(found.check, found.case_id) for found in audit.findings} == {
        ("label_type", "hippocampus_243"),
        ("speckle", "hippocampus_156"),
        ("no_patients", None),
        ("intensity", None),
    }


@pytest.mark.data
def test_nuclei_are_clean_but_for_their_two_kinds_of_microscopy(real_data: Path) -> None:
    loaded = load_for_audit(MANIFESTS / "nuclei_2d.json", data_root=real_data / "nuclei_2d")
    audit = audit_manifest(loaded.manifest, loaded.root)
    assert [found.check for found in findings(audit)] == ["no_patients"]
    assert {found.check for found in audit.findings} == {"no_patients", "intensity"}


@pytest.mark.data
def test_changed_copies_of_real_crops_are_found_among_their_likes(real_data: Path) -> None:
    rng = np.random.default_rng(0)
    paths = sorted((real_data / "msd_hippocampus/imagesTr").glob("*.nii.gz"))[:40]
    scans = [read_scan(path, case_id=path.name) for path in paths]
    volumes = [canonical(scan.array[0], scan.geometry)[0] for scan in scans]
    copies = [
        volumes[3] + rng.normal(0, 0.04 * np.ptp(volumes[3]), volumes[3].shape),
        ndimage.zoom(volumes[9], 0.8, order=1),
        volumes[21][1:, 1:-1, :-1] * 3,
        volumes[30][::-1],
    ]
    pairs, _ = find_near_duplicates([shrink(np.asarray(volume)) for volume in (*volumes, *copies)])
    assert sorted((pair.first, pair.second) for pair in pairs) == [(3, 40), (9, 41), (21, 42), (30, 43)]
    assert min(pair.likeness for pair in pairs) > LIKELY + 0.05
