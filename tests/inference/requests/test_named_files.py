"""A request reads no file of the server: no header leads out of the request's folder."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from medseg.errors import ScanError
from medseg.inference.requests import ScanRequest, unpacked
from medseg.inference.requests import named_files as module
from medseg.scans import read_scan

META = "NDims = 3\nDimSize = 4 4 4\nElementType = MET_UCHAR\n"
NRRD = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 4 4 4\nencoding: raw\n"
HEADERS: dict[str, Callable[[str], str]] = {
    "a.mhd": lambda name: f"{META}ElementDataFile = {name}\n",
    "b.mha": lambda name: f"{META}ElementDataFile:{name}\n",
    "c.MHA": lambda name: f"Comment = ElementDataFile = LOCAL\n{META}ElementDataFile\n=\n {name}\n",
    "d.mhd": lambda name: f"{META}ElementDataFile = LIST\n{name}\n",
    "e.nhdr": lambda name: f"{NRRD}data file: {name}\n\n",
    "f.nrrd": lambda name: f"{NRRD}DATA FILE: {name}\r\n\r\n",
    "g.NRRD": lambda name: f"{NRRD}# \rdatafile: {name}\n\n",
    "h.nhdr": lambda name: f"{NRRD}data file: LIST\n{name}\n\n",
}


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, part in files.items():
            archive.writestr(name, part)
    return content.getvalue()


def read(request: ScanRequest) -> float:
    with unpacked(request) as place:
        (path,) = (path for path in place.rglob("*") if path.suffix != ".raw" and path.is_file())
        return float(read_scan([path], case_id="a").array.sum())


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.raw"
    path.write_bytes(bytes(range(64)))
    return path


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("is_zip", [False, True])
def test_header_reads_no_file_elsewhere(name: str, is_zip: bool, secret: Path) -> None:
    for path in (secret, Path("../../../../../../..") / secret.relative_to("/")):
        content = HEADERS[name](str(path)).encode()
        request = ScanRequest((zipped({name: content}),)) if is_zip else ScanRequest((content,), name)
        with pytest.raises(ScanError, match="must hold its voxels or name a file beside it"):
            read(request)


def test_name_far_into_the_file_is_found(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 100)
    for filler in range(3000, 3100, 7):
        content = f"Comment = {'x' * filler}\n{META}ElementDataFile = {secret}\n".encode()
        with pytest.raises(ScanError, match="got the name of another"), unpacked(ScanRequest((content,), "a.mha")):
            pass


@pytest.mark.parametrize("name", ["a.mhd", "b.mha", "e.nhdr", "f.nrrd"])
def test_header_may_name_a_file_beside_it_in_the_zip(name: str, secret: Path) -> None:
    content = zipped({name: HEADERS[name]("v.raw").encode(), "v.raw": secret.read_bytes()})
    assert read(ScanRequest((content,))) == sum(range(64))


@pytest.mark.parametrize("name", ["a.mhd", "b.mha", "d.mhd", "e.nhdr", "f.nrrd", "h.nhdr"])
@pytest.mark.parametrize("place", ["", "Voxels of 2026/"])
def test_header_may_name_files_below_its_folder_also_in_a_list(
    name: str, place: str, secret: Path, tmp_path: Path
) -> None:
    voxels = secret.read_bytes()
    slices = {f"{place}{number}.raw": voxels[16 * number : 16 * number + 16] for number in range(4)}
    parts = slices if name in ("d.mhd", "h.nhdr") else {f"{place}v.raw": voxels}
    header = HEADERS[name]("\n".join(parts))
    header = header.rstrip() + "\n" if name == "h.nhdr" else header  # whose empty line would be a name
    content = zipped({name: header.encode(), **parts})
    assert read(ScanRequest((content,))) == sum(range(64))
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path / "scans")
    with unpacked(ScanRequest(path=name), root=tmp_path / "scans") as path:
        assert read_scan([path], case_id="a").array.sum() == sum(range(64))


@pytest.mark.parametrize("named", ["in/../../secret.raw", "in/ ../../secret.raw", "~/secret.raw", "in/%c./%d 46 46 1"])
@pytest.mark.parametrize("name", HEADERS)
def test_no_way_leads_out_of_the_folder(name: str, named: str, tmp_path: Path) -> None:
    content = zipped({name: HEADERS[name](named).encode(), "in/v.raw": bytes(64)})
    with pytest.raises(ScanError, match="must hold its voxels or name a file beside it"):
        read(ScanRequest((content,)))


@pytest.mark.parametrize("name", HEADERS)
def test_named_file_below_a_link_counts_as_elsewhere(name: str, secret: Path, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / name).write_text(HEADERS[name]("Link/secret.raw"))
    (tmp_path / "scans" / "Link").symlink_to(secret.parent)
    with (
        pytest.raises(ScanError, match="must lie below the folder that is allowed"),
        unpacked(ScanRequest(path=name), root=tmp_path / "scans"),
    ):
        pass


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_scan_in_one_file_is_read(ending: str, tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.arange(64, dtype=np.uint8).reshape(4, 4, 4))
    image.SetMetaData("source_datafile", "/data/other.raw")
    sitk.WriteImage(image, str(tmp_path / f"a{ending}"))
    assert read(ScanRequest(((tmp_path / f"a{ending}").read_bytes(),), f"a{ending}")) == sum(range(64))
