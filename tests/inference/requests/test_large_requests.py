"""A small request that promises or unpacks to a huge scan takes neither memory nor time."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.inference.requests import RequestLimits, ScanRequest, only_case, unpacked
from medseg.inference.requests.checked_files import check_files
from medseg.scans import read_scan, write_scan
from medseg.scans.dicom import inflated_bytes
from PIL import Image

from tests.dicom_files import write_series

MIB = 1 << 20
BOMB = 48 * MIB  # bytes that some 50 kB unpack to
LIMITS = RequestLimits(most_bytes=16 * MIB)


def packed(*parts: bytes, zeros: int = 0) -> bytes:
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb") as stream:
        for part in (*parts, *[b"\0" * MIB] * (zeros // MIB)):
            stream.write(part)
    return content.getvalue()


def nifti_header(shape: tuple[int, ...], *, voxels_at: int = 352) -> bytes:
    """Header of a scan of bytes, and the four bytes after it."""
    import nibabel

    header = nibabel.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.uint8)
    header.set_sform(np.eye(4), code=1)
    header["magic"], header["vox_offset"] = b"n+1", voxels_at
    return bytes(header.binaryblock) + b"\0" * 4


def deflated_dicom(zeros: int) -> bytes:
    """A file in the deflated transfer syntax with a private value of zeros before its pixels."""
    syntax = b"1.2.840.10008.1.2.1.99"
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax
    modality = struct.pack("<HH2sH", 8, 0x60, b"CS", 2) + b"CT"
    private = struct.pack("<HH2sHI", 9, 0x1001, b"OB", 0, zeros) + b"\0" * zeros
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(modality + private) + packer.flush()
    return b"\0" * 128 + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta)) + meta + body


@contextmanager
def little_memory(most: int = 8 * MIB) -> Iterator[None]:
    """Fail where more is taken at a time than the bytes of a request explain."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (packed(nifti_header((16, 16, 16)), zeros=BOMB), "trailing.nii.gz"),
        (packed(nifti_header((16, 16, 16), voxels_at=BOMB), zeros=BOMB), "extension.nii.gz"),
        (deflated_dicom(BOMB), "deflated.dcm"),
        (deflated_dicom(BOMB), "deflated.nii"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_file_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(content: bytes, name: str) -> None:
    assert len(content) < MIB // 2
    with (
        little_memory(),
        pytest.raises(ScanError, match=f"at most {16 * MIB} bytes unpacked, got .* or more"),
        unpacked(ScanRequest((content,), name), limits=LIMITS),
    ):
        pass


def test_counting_stops_where_it_is_too_much(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(deflated_dicom(BOMB))
    assert LIMITS.most_bytes < inflated_bytes(path, most=LIMITS.most_bytes) <= LIMITS.most_bytes + MIB
    assert inflated_bytes(path, most=2 * BOMB) == BOMB + 10 + 12
    path.write_bytes(path.read_bytes()[:-1000])
    assert inflated_bytes(path, most=2 * BOMB) < BOMB


@pytest.mark.parametrize(
    ("ending", "channels"), [(".zip", 1), *((end, n) for end in (".nii.gz", ".nii", ".nrrd", ".png") for n in (1, 3))]
)
def test_voxels_are_counted_by_the_header(ending: str, channels: int, tmp_path: Path) -> None:
    content, shape = request_bytes(tmp_path, ending, channels)
    count = int(np.prod(shape)) * channels
    names = ("a", "b", "c")[:channels]
    with unpacked(ScanRequest((content,), f"scan{ending}")) as place:
        assert only_case(place, channels=names, limits=RequestLimits(most_voxels=count)).case_id
        with pytest.raises(ScanError, match=f"at most {count - 1} voxels.* got {count}; send a smaller part") as caught:
            only_case(place, channels=names, limits=RequestLimits(most_voxels=count - 1))
    assert caught.value.case_id is not None


def request_bytes(place: Path, ending: str, channels: int) -> tuple[bytes, tuple[int, int, int]]:
    """A scan of noise in each form, and its shape; a DICOM series of one channel in a zip."""
    shape = (6, 5, 1) if ending == ".png" else (6, 5, 4)
    noise = np.random.default_rng(0).integers(0, 200, size=(channels, *shape)).astype(np.uint8)
    path = place / f"scan{ending}"
    if ending == ".zip":
        write_series(noise[0].astype(np.int16), Geometry(shape, np.eye(4)), place / "series")
        return zipped(place / "series"), shape
    if ending == ".png":
        pixels = noise[..., 0].transpose(2, 1, 0)
        Image.fromarray(pixels if channels > 1 else pixels[..., 0]).save(path)
    elif ending == ".nrrd":
        import SimpleITK as sitk

        voxels = noise.transpose(3, 2, 1, 0)
        sitk.WriteImage(sitk.GetImageFromArray(voxels if channels > 1 else voxels[..., 0], channels > 1), str(path))
    else:
        write_scan(noise.astype(np.float32), Geometry(shape, np.eye(4)), place / "scan.nii.gz")
        if ending == ".nii":
            path.write_bytes(gzip.decompress((place / "scan.nii.gz").read_bytes()))
    return path.read_bytes(), shape


def zipped(folder: Path) -> bytes:
    import zipfile

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    return content.getvalue()


def test_scan_of_a_folder_is_held_to_the_same_limits(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(packed(nifti_header((16, 16, 16)), zeros=BOMB))
    request = ScanRequest(path="a.nii.gz")
    with pytest.raises(ScanError, match="bytes unpacked"), unpacked(request, root=tmp_path, limits=LIMITS):
        pass


@pytest.mark.parametrize("name", ["link.nii.gz", "study", "header.mhd", "pair.hdr"])
def test_no_link_below_the_allowed_folder_leads_out_of_it(name: str, tmp_path: Path) -> None:
    root, secret = tmp_path / "scans", tmp_path / "secret"
    (root / "study").mkdir(parents=True)
    secret.write_bytes(b"\0" * 400)
    for link in ("link.nii.gz", "study/1.nii.gz", "v.raw", "pair.img"):
        (root / link).symlink_to(secret)
    (root / "header.mhd").write_text("NDims = 1\nDimSize = 4\nElementType = MET_UCHAR\nElementDataFile = v.raw\n")
    (root / "pair.hdr").write_bytes(nifti_header((4, 4, 4)))
    with pytest.raises(ScanError, match="must lie below the folder that is allowed"):
        check_files(root / name, root, RequestLimits())


def test_header_below_the_allowed_folder_names_no_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "secret.raw").write_bytes(b"\0" * 64)
    header = "NDims = 3\nDimSize = 4 4 4\nElementType = MET_UCHAR\nElementDataFile = ../secret.raw\n"
    (tmp_path / "scans" / "a.mhd").write_text(header)
    with (
        pytest.raises(ScanError, match="must hold its voxels or name a file beside it"),
        unpacked(ScanRequest(path="a.mhd"), root=tmp_path / "scans"),
    ):
        pass


def test_extensions_of_a_packed_file_are_held_in_memory_only_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medseg.scans import nifti

    monkeypatch.setattr(nifti, "_MOST_EXTENSIONS", MIB)
    path = tmp_path / "a.nii.gz"
    for size in (MIB, 2 * MIB):
        header = nifti_header((4, 4, 4), voxels_at=size)
        path.write_bytes(packed(header + b"\0" * (size - len(header)) + bytes(range(64))))
        if size == MIB:
            assert read_scan(path, case_id="a").array.sum() == sum(range(64))
        else:
            with pytest.raises(ScanError, match=f"within its first {MIB} bytes, got byte {2 * MIB}"):
                read_scan(path, case_id="a")
