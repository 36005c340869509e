from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.ingest.walk import walk_source
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from pydicom.uid import MediaStorageDirectoryStorage, generate_uid

from tests.dicom_files import save
from tests.ingest.sources import GRID, block, run_ingest, voxels, write_ct, write_itk, write_nifti

RUBBISH: dict[str, bytes] = {
    "readme.txt": b"Dear colleague",
    "IM_0001.txt": b"\x08\x00not DICOM at all",
    "noise": bytes(np.random.default_rng(0).integers(0, 256, 1_000_000, np.uint8)),
    "Thumbs.db": b"\xd0\xcf\x11\xe0" * 50,
    "viewer.exe": b"MZ" + b"\0" * 300,
    "report.pdf": b"%PDF-1.4",
    "table.csv": b"a;b\n1;2\n",
    "preamble only": b"\0" * 128,
    "zeros": b"\0" * 4000,
    "scan.img": b"\0" * 4000,
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    write_ct(folder / "deep" / "er" / "and" / "deeper")
    return folder


def test_rubbish_beside_scans_is_counted_and_does_no_harm(source: Path, tmp_path: Path) -> None:
    for name, content in RUBBISH.items():
        (source / "deep" / "rubbish" / name).parent.mkdir(exist_ok=True)
        (source / "deep" / "rubbish" / name).write_bytes(content)
    with zipfile.ZipFile(source / "more.zip", "w") as archive:
        archive.write(source / "deep" / "er" / "and" / "deeper" / "00000", "00000")
    done = run_ingest(source, tmp_path / "out")
    assert done.report.failures == ()
    assert done.report.unreadable == {}
    assert done.report.files["DICOM"] == 6
    assert done.report.files["other"] == len(RUBBISH) + 1
    assert len(done.manifest.cases) == 1


@pytest.mark.parametrize("name", [".hidden.nii.gz", "._ct.nii.gz", "__MACOSX/ct.nii.gz", ".cache/ct.nii.gz"])
def test_hidden_files_are_left_out(source: Path, tmp_path: Path, name: str) -> None:
    write_nifti(source / name, voxels(seed=1))
    assert len(run_ingest(source, tmp_path / "out").manifest.cases) == 1


@pytest.mark.parametrize("name", ["DICOMDIR", "index"])
def test_dicomdir_is_no_scan(source: Path, tmp_path: Path, name: str) -> None:
    directory = Dataset()
    directory.SOPClassUID, directory.SOPInstanceUID = MediaStorageDirectoryStorage, generate_uid()
    directory.FileSetID = "CD"
    save(directory, source / name)
    done = run_ingest(source, tmp_path / "out")
    assert len(done.manifest.cases) == 1
    assert done.report.is_clean


@pytest.mark.parametrize("kept", [1, 131, 132, 200, 700])
def test_cut_off_slice_is_told_and_its_series_never_passes_for_whole(source: Path, tmp_path: Path, kept: int) -> None:
    for name in ("00000", "00005"):
        path = source / "deep" / "er" / "and" / "deeper" / name
        path.write_bytes(path.read_bytes()[:kept])
    done = run_ingest(source, tmp_path / "out")
    if done.report.failures:
        assert done.report.failures[0].reason
        return
    (entry,) = done.document["cases"]
    assert sum(done.report.unreadable.values()) == 2, done.report.files
    assert any("may have been a slice" in note for note in entry["notes"])


def test_slice_with_cut_off_pixels_fails_its_case_and_no_other(source: Path, tmp_path: Path) -> None:
    write_ct(source / "whole", PatientID="whole")
    path = source / "deep" / "er" / "and" / "deeper" / "00003"
    path.write_bytes(path.read_bytes()[:-20])
    done = run_ingest(source, tmp_path / "out")
    (failure,) = done.report.failures
    assert "pixel data must hold" in failure.reason
    assert len(done.manifest.cases) == 1


@pytest.mark.parametrize("kept", [0, 200, 370, 700, -20])
def test_cut_off_copy_of_a_slice_beside_the_whole_one_refuses_nothing(source: Path, tmp_path: Path, kept: int) -> None:
    whole = run_ingest(source, tmp_path / "whole")
    slice_file = source / "deep" / "er" / "and" / "deeper" / "00003"
    (source / "again").mkdir()
    (source / "again" / "00003").write_bytes(slice_file.read_bytes()[:kept])
    done = run_ingest(source, tmp_path / "out")
    assert not done.report.failures
    np.testing.assert_array_equal(done.image(), whole.image())
    (entry,) = done.document["cases"]
    counted = sum(done.report.unreadable.values()) + sum(done.report.aside.values())
    assert counted == 1 or "1 file(s) cannot be read and were left out" in entry["notes"][0]


def test_slices_that_an_export_wrote_twice_make_one_case(source: Path, tmp_path: Path) -> None:
    whole = run_ingest(source, tmp_path / "whole")
    for path in sorted((source / "deep" / "er" / "and" / "deeper").iterdir())[1:4]:
        dataset = dcmread(path)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.save_as(path.with_name(f"{path.name} again"))
    done = run_ingest(source, tmp_path / "out")
    assert done.report.is_clean
    (entry,) = done.document["cases"]
    assert "3 file(s) hold the pixels of others at their places" in entry["notes"][0]
    np.testing.assert_array_equal(done.image(), whole.image())


def test_links_to_nowhere_and_in_circles_do_no_harm(source: Path, tmp_path: Path) -> None:
    (source / "nowhere").symlink_to(tmp_path / "no such file")
    (source / "self").symlink_to(source / "self")
    (source / "round").symlink_to(source)
    done = run_ingest(source, tmp_path / "out")
    assert done.report.files["DICOM"] == 6
    assert done.report.is_clean


def test_linked_file_is_read(tmp_path: Path) -> None:
    write_nifti(tmp_path / "store" / "ct.nii.gz", voxels())
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "ct.nii.gz").symlink_to(tmp_path / "store" / "ct.nii.gz")
    assert len(run_ingest(tmp_path / "src", tmp_path / "out").manifest.cases) == 1


@pytest.mark.parametrize("keep_ids", [True, False])
@pytest.mark.parametrize(
    "name",
    [b"with space", "Ünïcode ß".encode(), b"line\nbreak", b"bad \xff\xfe bytes", b"quote'\"*?[x]", b"-rf", b"%s%n"],
)
def test_any_name_of_file_and_folder_can_be_read(tmp_path: Path, name: bytes, keep_ids: bool) -> None:
    patient = Path(os.fsdecode(os.fsencode(tmp_path / "src") + b"/" + name))
    write_ct(tmp_path / "made")
    patient.mkdir(parents=True)
    for path in (tmp_path / "made").iterdir():
        shutil.move(path, Path(os.fsdecode(os.fsencode(patient) + b"/" + name + path.name.encode())))
    for seed, ending in enumerate(("nii.gz", "nrrd"), start=1):
        made = tmp_path / f"ct.{ending}"
        mask = tmp_path / f"mask.{ending}"
        write_volume(made, voxels(seed=seed))
        write_volume(mask, block(slice(2, 5)).astype(np.uint8))
        for kind, path in (("", made), ("_mask", mask)):
            folder = Path(os.fsdecode(os.fsencode(tmp_path / "src") + f"/{ending} ".encode() + name))
            folder.mkdir(exist_ok=True)
            shutil.copy(path, Path(os.fsdecode(os.fsencode(folder) + b"/" + name + f"{kind}.{ending}".encode())))
    done = run_ingest(tmp_path / "src", tmp_path / "out", keep_ids=keep_ids)
    if b"\xff" in name:  # which SimpleITK cannot open
        assert [failure.reason.split(": ")[1] for failure in done.report.failures] == [
            "names of NRRD and MetaImage files must be UTF-8; rename it"
        ]
        assert len(done.report.lost_labels) == 1
    else:
        assert done.report.is_clean
    assert len(done.manifest.cases) == (2 if b"\xff" in name else 3)
    assert sum(case.label is not None for case in done.manifest.cases) == (1 if b"\xff" in name else 2)


def write_volume(path: Path, array: np.ndarray) -> None:
    if path.suffix == ".nrrd":
        write_itk(path, array, GRID)
    else:
        write_nifti(path, array)


def test_folder_that_cannot_be_listed_is_told(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source / "locked").mkdir()
    scandir = os.scandir

    def locked(path: Any = ".") -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    done = run_ingest(source, tmp_path / "out")
    assert done.report.unreadable == {"a folder must be readable, got: Permission denied; fix its permissions": 1}
    assert not done.report.is_clean
    assert len(done.manifest.cases) == 1


def test_file_that_cannot_be_opened_is_told(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source / "locked").write_bytes(b"secret")
    opened = Path.open

    def locked(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", locked)
    done = run_ingest(source, tmp_path / "out")
    assert done.report.unreadable == {"a file must be readable, got: Permission denied; fix its permissions": 1}
    assert len(done.manifest.cases) == 1


def test_dicom_needs_neither_ending_nor_preamble(tmp_path: Path) -> None:
    write_ct(tmp_path / "src")
    for path in (tmp_path / "src").iterdir():
        path.write_bytes(path.read_bytes()[132:])
    assert len(run_ingest(tmp_path / "src", tmp_path / "out").manifest.cases) == 1


def test_dicom_that_is_named_like_another_format_is_dicom(tmp_path: Path) -> None:
    write_ct(tmp_path / "src")
    for path, ending in zip(
        sorted((tmp_path / "src").iterdir()), ("png", "nii.gz", "jpg", "nrrd", "tif", "mha"), strict=True
    ):
        path.rename(path.with_name(f"{path.name}.{ending}"))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.report.files["DICOM"] == 6
    assert done.report.is_clean


def test_copies_of_a_series_make_one_case(source: Path, tmp_path: Path) -> None:
    shutil.copytree(source / "deep", source / "copy")
    (entry,) = run_ingest(source, tmp_path / "out").document["cases"]
    assert entry["notes"] == ["6 file(s) are copies of others of the series and were left out"]


def test_damaged_volume_files_fail_alone(source: Path, tmp_path: Path) -> None:
    write_nifti(source / "x" / "whole.nii.gz", voxels(seed=1))
    content = (source / "x" / "whole.nii.gz").read_bytes()
    for number, damaged in enumerate((b"", content[:40], content[:-30], b"\0" * 400, content[:400] + b"\0" * 400)):
        (source / f"damaged {number}" / "ct.nii.gz").parent.mkdir()
        (source / f"damaged {number}" / "ct.nii.gz").write_bytes(damaged)
    done = run_ingest(source, tmp_path / "out")
    assert len(done.report.failures) == 5
    assert len(done.manifest.cases) == 2


def test_voxels_that_are_no_numbers_fail_their_case(tmp_path: Path) -> None:
    array = voxels().astype(np.float32)
    array[0, 0, 0] = np.nan
    write_nifti(tmp_path / "src" / "bad" / "ct.nii.gz", array)
    write_nifti(tmp_path / "src" / "good" / "ct.nii.gz", voxels())
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    (failure,) = done.report.failures
    assert "must hold finite voxels, got 1 NaN" in failure.reason
    assert len(done.manifest.cases) == 1


def test_walk_counts_every_file_once(source: Path, tmp_path: Path) -> None:
    counts: list[int] = []
    for number in range(100):
        (source / f"{number}.txt").write_text("x")
    found = walk_source(source, without=tmp_path / "out", workers=3, on_file=counts.append)
    assert sum(counts) == found.count == 106
