"""The files of a request lie in a folder of its own, and nowhere else."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from medseg.errors import ScanError
from medseg.inference.requests import RequestLimits, ScanRequest, allowed_path, unpacked


def names_in(request: ScanRequest) -> list[str]:
    with unpacked(request) as place:
        return sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())


def zipped(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, b"1234")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (b"\x1f\x8b", "", "scan.nii.gz"),
        (b"\x5c\x01", "", "scan.nii"),
        (b"\0" * 128 + b"DICM", "", "scan.dcm"),
        (b"\x89PNG", "", "scan.png"),
        (b"\x1f\x8b", "case_7.nii.gz", "case_7.nii.gz"),
        (b"x", "case 7.NRRD", "case 7.nrrd"),
        (b"\x1f\x8b", "case_7", "case_7.nii.gz"),
        (b"x", "../../etc/passwd.nii", "passwd.nii"),
        (b"x", "C:\\scans\\a.nii", "a.nii"),
        (b"x", "..nii", "unnamed.nii"),
    ],
)
def test_name_tells_the_form_and_leads_nowhere(content: bytes, name: str, expected: str) -> None:
    assert names_in(ScanRequest((content,), name)) == [expected]


def test_channels_are_numbered() -> None:
    assert names_in(ScanRequest((b"\x1f\x8b", b"\x1f\x8b"), "a.nii.gz")) == ["a_0000.nii.gz", "a_0001.nii.gz"]


def test_zip_is_unpacked_inside_the_folder_alone() -> None:
    content = zipped("1.dcm", "deep/2.dcm", "../../3.dcm", "/4.dcm")
    assert names_in(ScanRequest((content,), "study")) == [
        "study/1.dcm", "study/3.dcm", "study/4.dcm", "study/deep/2.dcm",
    ]  # fmt: skip


def test_nothing_is_left_of_a_request() -> None:
    with unpacked(ScanRequest((b"x",), "a.nii")) as place:
        folder = place.parent
    assert not folder.exists()


def test_zip_that_grows_too_large_is_refused() -> None:
    with (
        pytest.raises(ScanError, match="at most 999 bytes unpacked, got 1000 or more; send a smaller part of it"),
        unpacked(ScanRequest((packed_zip("1.dcm", 1000),)), limits=RequestLimits(most_bytes=999)),
    ):
        pass


def test_zips_of_a_request_are_counted_together() -> None:
    parts = (packed_zip("1.dcm", 1000), packed_zip("2.dcm", 1000))
    with unpacked(ScanRequest(parts), limits=RequestLimits(most_bytes=2000, most_files=2)):
        pass
    for limits, named in ((RequestLimits(most_bytes=1999), "1999 bytes"), (RequestLimits(most_files=1), "1 files")):
        with pytest.raises(ScanError, match=f"at most {named}"), unpacked(ScanRequest(parts), limits=limits):
            pass


def packed_zip(name: str, size: int, kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", kind) as archive:
        archive.writestr(name, b"\0" * size)
    return content.getvalue()


@pytest.mark.parametrize("kind", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_zip_that_is_packed_in_another_way_is_refused(kind: int) -> None:
    request = ScanRequest((packed_zip("a.nii", 99, kind),))
    with pytest.raises(ScanError, match="neither stored nor deflated"), unpacked(request):
        pass


@pytest.mark.parametrize("names", [("a" * 300,), ("a", "a/b")])
def test_zip_whose_names_make_no_files_is_refused(names: tuple[str, ...]) -> None:
    with (
        pytest.raises(ScanError, match=r"a name of a file with: .*pack the files again"),
        unpacked(ScanRequest((zipped(*names),))),
    ):
        pass


def test_list_of_a_zip_is_not_read_where_it_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    content = zipped(*map(str, range(50)))
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with (
        pytest.raises(ScanError, match="at most 49 files, got 50 or more; send its series alone"),
        unpacked(ScanRequest((content,)), limits=RequestLimits(most_files=49)),
    ):
        pass


@pytest.mark.parametrize("torn", [zipped("1.dcm")[:40], b"PK\x03\x04"], ids=["middle", "start"])
def test_torn_zip_is_refused(torn: bytes) -> None:
    with pytest.raises(ScanError, match="a zip must be whole"), unpacked(ScanRequest((torn,))):
        pass


def test_no_path_is_read_unless_a_folder_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "a.nii").touch()
    request = ScanRequest(path=str(tmp_path / "a.nii"))
    with pytest.raises(ScanError, match="must hold the bytes of its scan, got a path"), unpacked(request):
        pass
    with unpacked(request, root=tmp_path) as place:
        assert place == tmp_path / "a.nii"
    assert place.exists()


def test_only_what_lies_below_the_allowed_folder_is_read(tmp_path: Path) -> None:
    root = tmp_path / "scans"
    root.mkdir()
    (root / "a.nii").touch()
    (tmp_path / "secret.nii").touch()
    (root / "link.nii").symlink_to(tmp_path / "secret.nii")
    assert allowed_path("a.nii", root) == allowed_path(str(root / "a.nii"), root) == root / "a.nii"
    messages = set()
    for path in ("../secret.nii", str(tmp_path / "secret.nii"), "link.nii", "gone.nii", "/etc/passwd", "a\0b"):
        with pytest.raises(ScanError, match="below the folder that is allowed") as caught:
            allowed_path(path, root)
        messages.add(str(caught.value))
    assert len(messages) == 1, "whether a file exists elsewhere must not be told"
