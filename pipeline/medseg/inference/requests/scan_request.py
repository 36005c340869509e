"""One scan that a program sends: its bytes with a name, or a path where these are allowed."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from medseg.errors import ScanError

COLUMNS = ("scan", "name", "path")
"""Keys of a request."""


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """A scan to segment.

    Attributes:
        parts: Bytes of a file for each channel, or of one file that holds all: a scan, one DICOM file, or a zip of a
            DICOM study; empty if a path is given.
        name: Name of the file, whose ending tells its form; "" where the bytes are to tell it.
        path: File or folder that the model's machine can read; "" if bytes are given.
    """

    parts: tuple[bytes, ...] = field(default=(), repr=False)
    name: str = ""
    path: str = ""


def read_requests(table: Any) -> list[ScanRequest | ScanError]:
    """The requests of a table; a row that makes none gives its error, so that the other rows are answered.

    Args:
        table: Data frame, mapping of columns or of one row, or sequence of rows. `scan` holds bytes or their base64
            text, for several channels a list of these or the JSON text of such a list; `name` and `path` are texts.
            Each may be left out.
    """
    return [_read(row) for row in _rows(table)]


def _rows(table: Any) -> list[Mapping[str, Any]]:
    if hasattr(table, "to_dict"):
        return [row for record in table.to_dict("records") for row in _split(record)]
    return _split(table) if isinstance(table, Mapping) else list(table)


def _split(columns: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Rows of columns that hold lists, as MLflow hands a mapping on; a list in `scan` alone is one row's channels."""
    lists = {key: list(columns[key]) for key in COLUMNS if _is_list(columns.get(key))}
    is_nested = any(map(_is_list, lists.get("scan", ())))
    if not is_nested and not lists.keys() - {"scan"}:
        return [columns]
    count = max(map(len, lists.values()))
    return [{key: values[n] for key, values in lists.items() if n < len(values)} for n in range(count)]


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | memoryview)


def _read(row: Mapping[str, Any]) -> ScanRequest | ScanError:
    try:
        scan, name, path = (_given(row.get(key)) for key in COLUMNS)
        if (scan is None) == (path is None):
            raise ScanError(
                f"a request must hold either scan or path, got {'neither' if scan is None else 'both'}",
                remedy="send the file's bytes, as base64 text in JSON, in the column scan",
            )
        return ScanRequest(_parts(scan), str(name or ""), str(path or ""))
    except ScanError as error:
        return error


def _given(value: Any) -> Any:
    """A value of a table; None for what data frames hold where there is none."""
    is_empty = value is None or (isinstance(value, str) and not value)
    return None if is_empty or (isinstance(value, float) and math.isnan(value)) else value


def _parts(scan: Any) -> tuple[bytes, ...]:
    if scan is None:
        return ()
    if isinstance(scan, str) and scan.lstrip().startswith("["):
        try:
            scan = json.loads(scan)
        except ValueError as error:
            raise _unreadable("a text that is no JSON list") from error
    if isinstance(scan, str | bytes | bytearray | memoryview):
        return (_bytes(scan),)
    if isinstance(scan, Iterable) and not isinstance(scan, Mapping):
        return tuple(_bytes(part) for part in scan)
    raise _unreadable(f"a value of the type {type(scan).__name__}")


def _bytes(part: Any) -> bytes:
    if isinstance(part, bytes | bytearray | memoryview):
        return bytes(part)
    if not isinstance(part, str):
        raise _unreadable(f"a part of the type {type(part).__name__}")
    try:
        return base64.b64decode("".join(part.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unreadable("a text that is no base64") from error


def _unreadable(found: str) -> ScanError:
    return ScanError(
        f"scan must hold a file's bytes or their base64 text, or a list of these, got {found}",
        remedy="encode the file's bytes, such as with base64 -w0",
    )
