"""Whatever goes into an ingest comes out or stands in its report with a reason."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from medseg.ingest import IngestOptions, Progress, Pseudonyms, ingest
from medseg.ingest.fates import UNACCOUNTED
from medseg.phantom import write_hospital_export
from medseg.scans import write_picture

from tests.ingest.sources import (
    KEY,
    Ingested,
    block,
    run_ingest,
    voxels,
    write_ct,
    write_nifti,
    write_rtstruct,
    write_seg,
)

REAL = ("chest_ct_dicom", "ct_organs", "dicom_edge", "dicom_seg", "left_atrium", "msd_hippocampus", "nuclei_2d",
        "pet_with_seg", "sts_sarcoma")  # fmt: skip


def files_below(source: Path) -> int:
    """Number of files, counted by the operating system; the tests' sources hold no links to folders."""
    return sum(len(names) for _, _, names in os.walk(source))


def check_conserved(done: Ingested, source: Path) -> None:
    """Every file, series and patient is accounted for once, by the report alone."""
    document = done.document
    assert document["files_became"].get("unaccounted", 0) == 0
    assert UNACCOUNTED not in str(document)
    assert sum(document["files"].values()) == files_below(source)
    assert sum(document["files_became"].values()) == files_below(source)
    listed = Counter(entry["became"] for entry in document["sources"])
    assert all(entry["why"] for entry in document["sources"] if entry["became"] not in ("image", "label"))
    channels = [channel for case in document["cases"] for channel in case["channels"]]
    assert listed["image"] == len(channels)
    images = {entry["case_id"] for entry in document["sources"] if entry["became"] == "image"}
    assert images == {case["case_id"] for case in document["cases"]}
    assert sum(entry["files"] for entry in document["sources"] if entry["became"] == "image") == sum(
        channel["files"] for channel in channels
    )
    assert listed["label"] == sum(len(case["labels"]) for case in document["cases"])
    in_manifest = {case.case_id for case in done.manifest.cases} if document["cases"] else set()
    left_out = {entry["case_id"] for entry in document["sources"] if entry["became"] == "image" and entry["why"]}
    assert images - left_out == in_manifest
    failed = {entry["case_id"] for entry in document["sources"] if entry["became"] == "failed" and entry["case_id"]}
    assert {failure["case_id"] for failure in document["failures"]} <= failed


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything at once: labels that fit and do not, copies, damage, pictures, hidden files and rubbish."""
    folder = tmp_path_factory.mktemp("conservation") / "src"
    images = write_ct(folder / "a" / "ct", seed=1, PatientID="a")
    write_rtstruct({"GTV": (2, 5, 2, 5, 1, 3)}, images, folder / "a" / "rs")
    write_seg({"Leber": block(slice(0, 2), slice(0, 2), slice(0, 2))}, images, folder / "a" / "seg")
    shutil.copytree(folder / "a" / "ct", folder / "a" / "copy")
    elsewhere = write_ct(folder.parent / "gone", PatientID="gone")
    write_rtstruct({"GTV": (2, 5, 2, 5, 1, 3)}, elsewhere, folder / "lost_rs")
    write_ct(folder / "b", seed=2, PatientID="b", Modality="MR")
    write_ct(folder / "a" / "later", seed=3, PatientID="a")
    for path in sorted(write_ct(folder / "short", seed=4, PatientID="c") and (folder / "short").iterdir())[2:]:
        path.unlink()
    write_ct(folder / "localizer", seed=5, PatientID="b", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_nifti(folder / "d" / "ct.nii.gz", voxels(seed=6))
    write_nifti(folder / "d" / "liver_mask.nii.gz", block(slice(2, 5)).astype(np.uint8))
    write_nifti(folder / "e" / "pair.hdr", voxels(seed=7))
    write_nifti(folder / "f" / "export.nii.gz", voxels(seed=1))
    for name in ("g.png", "g_mask.png"):
        write_picture(np.full((1, 20, 30, 1), 60, np.uint8), folder / "pictures" / name)
    (folder / "cut.dcm").write_bytes((folder / "b" / "00000").read_bytes()[:300])
    (folder / "damaged.nii.gz").write_bytes(b"\0" * 50)
    for name in (".DS_Store", "._ct.dcm", "DICOMDIR", "notes.txt", "README", "a/.hidden/x.dcm", "__MACOSX/y.dcm"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"some bytes")
    (folder / "empty.dcm").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    "options",
    [{}, {"kind": "pictures"}, {"kind": "volumes", "modality": "CT"}, {"modality": "MR"}, {"patients_from": "study"},
     {"patients_from": "folder"}, {"mapping": "channels: [{name: x, modality: CT}]\nlabels: {}\nignore: ['*']"},
     {"mapping": "channels: [{name: x, modality: CT}, {name: y, modality: MR}]\ngroup_by: patient\nignore: ['*']"},
     {"mapping": "labels: {gtv: {value: 1, names: [GTV]}}"}, {"keep_ids": True}],
    ids=lambda options: "-".join(str(value) for value in options.values())[:40] or "plain",
)  # fmt: skip
def test_everything_of_a_made_up_source_is_accounted_for(
    source: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    done = run_ingest(source, tmp_path / "out", **options)  # type: ignore[arg-type]
    check_conserved(done, source)


def test_everything_of_a_made_up_hospital_is_accounted_for(tmp_path: Path) -> None:
    exported = write_hospital_export(tmp_path / "src", patients=3)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    check_conserved(done, tmp_path / "src")
    assert len({case.patient_id for case in done.manifest.cases}) == len(exported)


def test_second_ingest_accounts_for_the_same(source: Path, tmp_path: Path) -> None:
    first = run_ingest(source, tmp_path / "out").document
    assert run_ingest(source, tmp_path / "out").document == first


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
def test_everything_of_a_real_source_is_accounted_for(real_data: Path, tmp_path: Path, name: str) -> None:
    report = ingest(
        real_data / name,
        tmp_path / "out",
        names=Pseudonyms(KEY),
        options=IngestOptions(),
        progress=Progress(),
    )
    check_conserved(Ingested(report, tmp_path / "out"), real_data / name)
