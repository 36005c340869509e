from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
from medseg.geometry import Geometry
from medseg.ingest import REPAIR_CHOICES
from medseg.manifest import load_manifest
from medseg.scans import read_scan
from medseg.workflows.ingest import REPAIRS

from tests.conftest import Medseg
from tests.ingest.sources import block, voxels, write_ct, write_nifti, write_rtstruct

BOX = (2, 5, 2, 5, 1, 3)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A CT with a structure set, and a NIfTI file without a label."""
    images = write_ct(tmp_path / "src" / "ct")
    write_rtstruct({"GTV": BOX, "Couch": (8, 9, 2, 5, 1, 3)}, images, tmp_path / "src" / "rs")
    write_nifti(tmp_path / "src" / "p2" / "scan.nii.gz", voxels(seed=1))
    return tmp_path / "src"


def test_ingest_says_what_it_found_and_where_it_went(medseg: Medseg, source: Path, tmp_path: Path) -> None:
    (source / "notes.txt").write_text("x")
    outcome = medseg("ingest", source, "--out", tmp_path / "ds")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0] == "found: 7 DICOM, 1 NIfTI, NRRD, MetaImage, 1 other"
    assert [line.split() for line in lines[1:4]] == [
        ["modality", "cases", "labelled", "refused"],
        ["CT", "1", "1", "0"],
        ["other", "1", "0", "0"],
    ]
    assert "structure: 'GTV' -> label gtv in 1 case(s)" in lines
    assert f"2 case(s) in {tmp_path / 'ds'}; details in {tmp_path / 'ds' / 'ingest.json'}" in lines
    assert f"the key of the pseudonyms is {tmp_path / 'ds.key'}" in outcome.out
    assert len(load_manifest(tmp_path / "ds")[0].cases) == 2


def test_key_lies_beside_the_dataset_and_not_in_it(medseg: Medseg, source: Path, tmp_path: Path) -> None:
    medseg("ingest", source, "--out", tmp_path / "deep" / "ds")
    assert stat.S_IMODE((tmp_path / "deep" / "ds.key").stat().st_mode) == 0o600
    key = (tmp_path / "deep" / "ds.key").read_text().strip()
    assert not [
        path for path in (tmp_path / "deep" / "ds").rglob("*") if path.is_file() and key.encode() in path.read_bytes()
    ]


def test_given_key_gives_the_same_names_again(medseg: Medseg, source: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert medseg("ingest", source, "--out", tmp_path / name, "--key", tmp_path / "k" / "key").code == 0
    cases = [[case.case_id for case in load_manifest(tmp_path / name)[0].cases] for name in ("one", "two")]
    assert cases[0] == cases[1]
    assert not (tmp_path / "one.key").exists()


def test_key_within_the_dataset_is_refused(medseg: Medseg, source: Path, tmp_path: Path) -> None:
    outcome = medseg("ingest", source, "--out", tmp_path / "ds", "--key", tmp_path / "ds" / "key")
    assert outcome.code == 2
    assert "must not lie in the dataset" in outcome.err
    assert not (tmp_path / "ds").exists()


def test_other_key_on_a_begun_dataset_is_refused(medseg: Medseg, source: Path, tmp_path: Path) -> None:
    assert medseg("ingest", source, "--out", tmp_path / "ds").code == 0
    outcome = medseg("ingest", source, "--out", tmp_path / "ds", "--key", tmp_path / "other")
    assert outcome.code == 1
    assert "give the same key, or another output folder" in outcome.err


def test_reviewed_mapping_changes_the_labels(medseg: Medseg, source: Path, tmp_path: Path) -> None:
    assert medseg("ingest", source, "--out", tmp_path / "ds").code == 0
    mapping = tmp_path / "ds" / "mapping.yaml"
    mapping.write_text("labels:\n  mass: {value: 5, names: [gtv]}\nignore: [couch]\n")
    assert medseg("ingest", source, "--out", tmp_path / "ds").code == 2
    outcome = medseg("ingest", source, "--out", tmp_path / "ds", "--mapping", mapping)
    assert outcome.code == 0, outcome.err
    assert load_manifest(tmp_path / "ds")[0].labels == {"background": 0, "mass": 5}
    assert "structure: 'Couch' -> label (ignored) in 1 case(s)" in outcome.out


@pytest.mark.parametrize("spoil", ["gap", "label", "file"])
def test_whatever_was_refused_ends_with_code_1_and_its_reason(
    medseg: Medseg, source: Path, tmp_path: Path, spoil: str
) -> None:
    if spoil == "gap":
        (source / "ct" / "00002").unlink()
        reason = "1 missing in 1 gap(s)"
    elif spoil == "label":
        write_nifti(source / "p3" / "liver_mask.nii.gz", block(slice(0, 2)).astype(np.uint8))
        reason = "in no case: label"
    else:
        (source / "ct" / "extra.dcm").write_bytes((source / "ct" / "00002").read_bytes()[:200])
        reason = "unreadable 1 file(s)"
    outcome = medseg("ingest", source, "--out", tmp_path / "ds")
    assert outcome.code == 1
    assert reason in outcome.out + outcome.err
    assert load_manifest(tmp_path / "ds")[0].cases


def test_repairs_are_a_list(medseg: Medseg, source: Path, tmp_path: Path) -> None:
    (source / "ct" / "00002").unlink()
    outcome = medseg("ingest", source, "--out", tmp_path / "ds", "--repair", "tilt, gaps")
    assert outcome.code == 0, outcome.err
    assert "1 of 6 slices were interpolated (gaps)" in outcome.out


def test_single_slice_is_a_volume_if_one_is_enough(medseg: Medseg, tmp_path: Path) -> None:
    write_ct(tmp_path / "src", Geometry((6, 5, 1), np.diag([-0.5, -0.5, 7.5, 1])))
    refused = medseg("ingest", tmp_path / "src", "--out", tmp_path / "refused")
    assert "got 1; copy the whole series, or lower the minimum number of slices" in refused.err
    outcome = medseg("ingest", tmp_path / "src", "--out", tmp_path / "ds", "--min-slices", "1")
    assert outcome.code == 0, outcome.err
    manifest, _ = load_manifest(tmp_path / "ds")
    scan = read_scan(tmp_path / "ds" / manifest.cases[0].images[0], case_id="one")
    assert scan.geometry.shape == (6, 5, 1)
    assert scan.geometry.spacing_mm == (0.5, 0.5, 7.5)


def test_unknown_repair_names_the_choices(medseg: Medseg, source: Path, tmp_path: Path) -> None:
    outcome = medseg("ingest", source, "--out", tmp_path / "ds", "--repair", "gaps,tillt")
    assert outcome.code == 2
    assert "'tillt' is no repair; choose among tilt, gaps, grids, orientations" in outcome.err
    assert not (tmp_path / "ds").exists()
    assert not (tmp_path / "ds.key").exists()


def test_command_offers_the_repairs_of_the_library() -> None:
    assert REPAIRS == REPAIR_CHOICES


@pytest.mark.parametrize(
    "arguments",
    [
        ("nowhere", "--out", "ds"),
        ("src",),
        ("src", "--out", "ds", "--mapping", "none.yaml"),
        ("src", "--out", "ds", "--min-slices", "0"),
        ("src", "--out", "ds", "--kind", "films"),
        ("src", "--out", "ds", "--keep-id"),
        ("src/ct/00000", "--out", "ds"),
    ],
)
def test_wrong_usage_ends_with_code_2_and_writes_nothing(
    medseg: Medseg, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = medseg("ingest", *arguments)
    assert outcome.code == 2
    assert "Usage" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


def test_misspelt_key_of_a_mapping_is_wrong_usage(medseg: Medseg, source: Path, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("lables: {}")
    outcome = medseg("ingest", source, "--out", tmp_path / "ds", "--mapping", tmp_path / "m.yaml")
    assert outcome.code == 2
    assert "did you mean 'labels'" in outcome.err
    assert not (tmp_path / "ds").exists()


def test_output_that_is_a_file_is_refused(medseg: Medseg, source: Path, tmp_path: Path) -> None:
    (tmp_path / "ds").write_text("mine")
    outcome = medseg("ingest", source, "--out", tmp_path / "ds")
    assert outcome.code in (1, 2)
    assert "Traceback" not in outcome.err
    assert (tmp_path / "ds").read_text() == "mine"


def test_folder_without_a_scan_is_told(medseg: Medseg, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "notes.txt").write_text("x")
    outcome = medseg("ingest", tmp_path / "src", "--out", tmp_path / "ds")
    assert outcome.code == 1
    assert "must hold a scan, got none in 1 file(s)" in outcome.err


def test_long_lists_are_cut_on_the_terminal(medseg: Medseg, tmp_path: Path) -> None:
    for number in range(12):
        write_nifti(tmp_path / "src" / f"p{number}" / "scan.nii.gz", voxels(seed=number))
        write_nifti(
            tmp_path / "src" / f"p{number}" / f"{'abcdefghijkl'[number]}_mask.nii.gz",
            block(slice(1, 3)).astype(np.uint8),
        )
    outcome = medseg("ingest", tmp_path / "src", "--out", tmp_path / "ds")
    assert outcome.code == 0, outcome.err
    lines = [line for line in outcome.out.splitlines() if line.startswith("structure:")]
    assert len(lines) == 11
    assert lines[-1] == "structure: and 2 more; see ingest.json"


def test_risks_are_told(medseg: Medseg, tmp_path: Path) -> None:
    write_ct(tmp_path / "src", BodyPartExamined="HEAD", BurnedInAnnotation="YES")
    outcome = medseg("ingest", tmp_path / "src", "--out", tmp_path / "ds")
    assert outcome.code == 0
    assert "risk: 1 case(s) with face; see ingest.json" in outcome.err
    assert "risk: 1 case(s) with burned in text; see ingest.json" in outcome.err


def test_ingested_dataset_goes_through_the_next_stages(medseg: Medseg, tmp_path: Path) -> None:
    for number in range(6):
        images = write_ct(tmp_path / "src" / str(number), PatientID=f"10000{number}", seed=number)
        write_rtstruct({"GTV": BOX}, images, tmp_path / "src" / str(number) / "rs")
    assert medseg("ingest", tmp_path / "src", "--out", tmp_path / "ds").code == 0
    outcome = medseg("split", tmp_path / "ds", "--folds", 3)
    assert outcome.code == 0, outcome.err
    assert {case.fold for case in load_manifest(tmp_path / "ds")[0].cases} == {0, 1, 2}


def test_dataset_that_grows_keeps_its_test_set_and_its_folds(medseg: Medseg, tmp_path: Path) -> None:
    def write_patient(number: int, *, series: int = 0) -> None:
        folder = tmp_path / "src" / f"{number} {series}"
        images = write_ct(folder, PatientID=f"10000{number}", seed=10 * number + series)
        write_rtstruct({"GTV": BOX}, images, folder / "rs")

    for number in range(8):
        write_patient(number)
    medseg("ingest", tmp_path / "src", "--out", tmp_path / "ds")
    assert medseg("split", tmp_path / "ds", "--folds", 3, "--test", 0.25).code == 0
    before = {case.patient_id: (case.split, case.fold) for case in load_manifest(tmp_path / "ds")[0].cases}
    assert {split for split, _ in before.values()} == {"training", "test"}
    for number in range(8):
        write_patient(number, series=1)
    write_patient(8)
    medseg("ingest", tmp_path / "src", "--out", tmp_path / "ds")
    after = load_manifest(tmp_path / "ds")[0].cases
    assert len(after) == 17
    assert {case.patient_id: (case.split, case.fold) for case in after if case.patient_id in before} == before
    assert [(case.split, case.fold) for case in after if case.patient_id not in before] == [("training", None)]


def test_new_ingest_keeps_the_folds_that_were_drawn(medseg: Medseg, tmp_path: Path) -> None:
    for number in range(6):
        images = write_ct(tmp_path / "src" / str(number), PatientID=f"10000{number}", seed=number)
        write_rtstruct({"GTV": BOX}, images, tmp_path / "src" / str(number) / "rs")
    medseg("ingest", tmp_path / "src", "--out", tmp_path / "ds")
    medseg("split", tmp_path / "ds", "--folds", 3)
    before = (tmp_path / "ds" / "dataset.json").read_bytes()
    assert medseg("ingest", tmp_path / "src", "--out", tmp_path / "ds").code == 0
    assert (tmp_path / "ds" / "dataset.json").read_bytes() == before
