"""Packed files: what Python's own gzip reads, and how damage is reported."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
from medseg.scans.unpacked import open_unpacked

CONTENT = np.random.default_rng(0).integers(0, 40, 200_000, dtype=np.int16).tobytes()
PACKED = gzip.compress(CONTENT)


def read(path: Path) -> bytes:
    with open_unpacked(path) as stream:
        return stream.read()


@pytest.mark.parametrize(
    ("packed", "content"),
    [
        (PACKED, CONTENT),
        (PACKED + PACKED, CONTENT + CONTENT),  # several members, as bgzip and `cat` write them
        (PACKED + bytes(512), CONTENT),  # tapes fill blocks with zeros
        (gzip.compress(b""), b""),
        (b"", b""),
    ],
    ids=["packed", "several members", "zeros behind", "nothing packed", "no bytes"],
)
def test_packed_content_is_that_of_gzip(tmp_path: Path, packed: bytes, content: bytes) -> None:
    (tmp_path / "A.NII.GZ").write_bytes(packed)
    assert read(tmp_path / "A.NII.GZ") == gzip.decompress(packed) == content


def test_other_endings_are_read_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(PACKED)
    assert read(tmp_path / "a.nii") == PACKED


@pytest.mark.parametrize("keep", [5, 10, len(PACKED) // 2, len(PACKED) - 8, len(PACKED) - 1])
def test_file_that_ends_too_early_is_reported_as_by_gzip(tmp_path: Path, keep: int) -> None:
    (tmp_path / "a.gz").write_bytes(PACKED[:keep])
    with pytest.raises(EOFError, match="ended before the end-of-stream marker"):
        read(tmp_path / "a.gz")


@pytest.mark.parametrize(
    ("start", "wrong", "phrase"),
    [(0, b"no", "Not a gzipped file"), (-8, b"abcd", "CRC check failed"), (-4, b"abcd", "Incorrect length of data")],
)
def test_wrong_signature_checksum_and_length_are_reported_as_by_gzip(
    tmp_path: Path, start: int, wrong: bytes, phrase: str
) -> None:
    start %= len(PACKED)
    (tmp_path / "a.gz").write_bytes(PACKED[:start] + wrong + PACKED[start + len(wrong) :])
    with pytest.raises(gzip.BadGzipFile, match=phrase):
        read(tmp_path / "a.gz")


def test_damaged_stream_is_an_error_of_zlib(tmp_path: Path) -> None:
    kind_that_does_not_exist = b"\x07"  # the last block, of kind 3
    (tmp_path / "a.gz").write_bytes(PACKED[:10] + kind_that_does_not_exist + PACKED[11:])
    with pytest.raises(zlib.error):
        read(tmp_path / "a.gz")
