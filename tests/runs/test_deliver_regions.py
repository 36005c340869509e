"""Overlapping regions are delivered as they overlap, and other libraries read them so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import highdicom
import numpy as np
import pytest
from medseg.delivery.certificate import load_certificate
from medseg.manifest import manifest_target
from medseg.runs.segmentation.deliver import DeliverResult

from tests.ingest.sources import run_ingest
from tests.runs.delivered import STRAIGHT, blobs, deliver, draw_masks

REGIONS = {"abdomen": [1, 2, 5], "both kidneys": [2, 5], "kidney of the left": [2]}


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Masks whose values make up regions."""
    folder = draw_masks(tmp_path_factory.mktemp("regions"))
    record = json.loads((folder / "predictions.json").read_text())
    (folder / "predictions.json").write_text(json.dumps({**record, "regions": REGIONS}))
    return folder


@pytest.fixture(scope="module")
def delivered(masks: Path, tmp_path_factory: pytest.TempPathFactory) -> DeliverResult:
    """The DICOM case in the default forms, and as contours."""
    place = tmp_path_factory.mktemp("all")
    deliver(masks, place / "default", cases=("A",))
    forms = ("nifti", "seg-nrrd", "seg-binary", "rtstruct", "csv")
    return deliver(masks, place / "out", *forms, cases=("A",))


def test_every_form_of_regions_is_certified(delivered: DeliverResult) -> None:
    assert not delivered.failures
    (one,) = delivered.delivered
    for file in load_certificate(one.folder).files:
        assert all(reader.is_passed for reader in file.readers)
        for reader in file.readers:
            assert [row.name for row in reader.structures] == list(REGIONS)


def test_default_seg_of_regions_is_binary(delivered: DeliverResult) -> None:
    (one,) = delivered.delivered
    default = one.folder.parent.parent / "default" / "A"
    assert {path.name for path in default.glob("*.seg.dcm")} == {"A.binary.seg.dcm"}


def test_highdicom_reads_overlapping_segments(delivered: DeliverResult) -> None:
    (one,) = delivered.delivered
    seg = highdicom.seg.segread(one.folder / "A.binary.seg.dcm")
    assert [seg.get_segment_description(n).segment_label for n in (1, 2, 3)] == list(REGIONS)
    volume = seg.get_volume(combine_segments=False, rescale_fractional=False)
    values = blobs(STRAIGHT)
    for number, held in enumerate(REGIONS.values()):
        assert int((np.asarray(volume.array)[..., number] > 0).sum()) == int(np.isin(values, held).sum())


def test_labelmap_seg_of_regions_is_refused_by_case(masks: Path, tmp_path: Path) -> None:
    (failure,) = deliver(masks, tmp_path / "out", "seg", cases=("A",)).failures
    assert "segments of a labelmap must share no voxels, got 'abdomen' and 'both kidneys' that do" in failure.reason


@pytest.mark.parametrize("form", ["seg-binary", "seg-nrrd", "rtstruct"])
def test_delivered_overlap_comes_back_through_ingest(masks: Path, tmp_path: Path, form: str) -> None:
    """Out as overlapping segments, in as a data set: the same voxels of each region."""
    (one,) = deliver(masks, tmp_path / "out", form, cases=("A",)).delivered
    source = tmp_path / "source"
    shutil.copytree(masks.parent / "scans" / "study", source / "study")
    (written,) = (
        path for path in one.folder.iterdir() if path.name.startswith("A.") and path.suffix in (".dcm", ".nrrd")
    )
    shutil.copy(written, source / "study" / written.name)
    rules = "\n".join(f"  {name}: {{value: {n}, names: [{name}]}}" for n, name in enumerate(REGIONS, start=1))
    found = run_ingest(source, tmp_path / "dataset", mapping=f"overlapping: true\nlabels:\n{rules}\n")
    target, label = manifest_target(found.manifest), found.label()
    values = blobs(STRAIGHT)
    for name, held in REGIONS.items():
        assert target.voxels(label)[name] == int(np.isin(values, held).sum())
    assert target.structures == tuple(REGIONS)
