"""Coded frames that contradict the header are refused before a decoder in C sees them: it would end the process."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.scans.dicom.codestream import check_frame
from PIL import Image
from pydicom.encaps import encapsulate, get_frame
from pydicom.filereader import dcmread

from tests.dicom_files import read_folder, recode, write_series
from tests.grids import grid
from tests.scans.dicom.test_transfer_syntax import HTJ2K

ROWS, COLUMNS = 24, 40
UPRIGHT = grid((COLUMNS, ROWS, 3), spacing_mm=(1, 1, 2), axcodes="LPS")
SYNTAXES = ("JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless")


def coded(folder: Path, syntax: str) -> bytes:
    """A frame that GDCM coded: 24 rows, 40 columns, one sample of 16 bits."""
    array = np.random.default_rng(0).integers(0, 4000, UPRIGHT.shape).astype(np.uint16)
    write_series(array, UPRIGHT, folder / "plain")
    recode(folder / "plain" / "00000", syntax, folder / "coded")
    return get_frame(dcmread(folder / "coded").PixelData, 0, number_of_frames=1)


def check(code: bytes, *, rows: int = ROWS, columns: int = COLUMNS, samples: int = 1, bits: int = 16) -> None:
    check_frame(code, rows=rows, columns=columns, samples=samples, bits_allocated=bits)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_frame_that_is_what_the_header_says_passes(tmp_path: Path, syntax: str) -> None:
    check(coded(tmp_path, syntax))


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("wrong", [{"rows": 25}, {"columns": 39}, {"samples": 3}, {"bits": 8}])
def test_frame_that_is_not_is_refused(tmp_path: Path, syntax: str, wrong: dict[str, int]) -> None:
    with pytest.raises(ScanError, match=r"coded frames must have .* got 24, 40, 1 and 16; export it again"):
        check(coded(tmp_path, syntax), **wrong)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("is_progressive", [False, True])
def test_lossy_jpeg_tells_its_form_behind_tables_and_comments(mode: str, is_progressive: bool) -> None:
    stream = io.BytesIO()
    Image.new(mode, (COLUMNS, ROWS)).save(stream, format="JPEG", comment=b"\xff\xc0" * 9, progressive=is_progressive)
    check(stream.getvalue(), samples=len(mode), bits=8)


def test_fill_bytes_between_markers_are_skipped(tmp_path: Path) -> None:
    code = coded(tmp_path, "JPEGLSLossless")
    check(code[:2] + b"\xff\xff\xff" + code[2:])


def test_high_throughput_jpeg_2000_tells_its_form() -> None:
    check_frame(base64.b64decode(HTJ2K), rows=5, columns=7, samples=1, bits_allocated=16)


def test_jpeg_2000_may_stand_in_the_boxes_of_a_file() -> None:
    stream = io.BytesIO()
    Image.new("L", (COLUMNS, ROWS)).save(stream, format="JPEG2000", no_jp2=False)
    assert stream.getvalue()[4:8] == b"jP  "
    check(stream.getvalue(), bits=8)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_frame_that_ends_in_its_own_header_is_refused(tmp_path: Path, syntax: str) -> None:
    code = coded(tmp_path, syntax)
    for end in range(20):
        with pytest.raises(ScanError, match="coded frames must"):
            check(code[:end])


@pytest.mark.parametrize(
    ("syntax", "place", "value"),
    [
        ("JPEGLosslessProcess14_1", 6, 48),  # bits per value, over which GDCM dies
        ("JPEGLSLossless", 6, 48),
        ("JPEGLosslessProcess14_1", 6, 0),
        ("JPEGLosslessProcess14_1", 3, 0xD4),  # the marker of the size
        ("JPEGLosslessProcess14_1", 16, 0xD4),  # and that of the table, as a restart marker
        ("JPEG2000Lossless", 5, 0x2A),  # length of the size marker
        ("JPEG2000Lossless", 41, 3),  # samples
        ("JPEG2000Lossless", 43, 0),  # a step of 0 pixels
        ("JPEG2000Lossless", 27, 0),  # a tile of no width
    ],
)
def test_damaged_head_of_a_frame_is_refused(tmp_path: Path, syntax: str, place: int, value: int) -> None:
    code = bytearray(coded(tmp_path, syntax))
    assert code[place] != value
    code[place] = value
    with pytest.raises(ScanError, match="coded frames must"):
        check(bytes(code))


def test_other_bytes_are_no_frame() -> None:
    with pytest.raises(ScanError, match="coded frames must start with their size, got one without"):
        check(b"Mustermann" * 20)


def test_contradiction_in_a_file_is_refused(tmp_path: Path) -> None:
    code = bytearray(coded(tmp_path, "JPEGLSLossless"))
    code[6] = 48
    dataset = dcmread(tmp_path / "coded")
    dataset.PixelData = encapsulate([bytes(code)])
    dataset.Modality = "DX"
    (tmp_path / "only").mkdir()
    dataset.save_as(tmp_path / "only" / "one")
    with pytest.raises(ScanError, match="at most 16 bits, got 24, 40, 1 and 48"):
        read_folder(tmp_path / "only")
