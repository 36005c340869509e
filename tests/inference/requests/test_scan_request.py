"""Rows of tables, as programs send them, are requests or say why they are none."""

from __future__ import annotations

import base64
import json
from typing import Any

import pandas
import pytest
from medseg.errors import ScanError
from medseg.inference.requests import ScanRequest, read_requests

BYTES = b"\x1f\x8b a scan"
TEXT = base64.b64encode(BYTES).decode()


@pytest.mark.parametrize(
    "scan", [BYTES, bytearray(BYTES), TEXT, f"{TEXT[:8]}\n{TEXT[8:]}\n", [TEXT], json.dumps([TEXT])]
)
def test_bytes_and_their_base64_text_are_one_file(scan: Any) -> None:
    assert read_requests([{"scan": scan}]) == [ScanRequest((BYTES,))]


@pytest.mark.parametrize("scan", [[BYTES, TEXT], json.dumps([TEXT, TEXT])])
def test_list_holds_the_files_of_the_channels(scan: Any) -> None:
    assert read_requests([{"scan": scan, "name": "a.nii"}]) == [ScanRequest((BYTES, BYTES), "a.nii")]


def test_data_frame_gives_a_request_for_each_row() -> None:
    table = pandas.DataFrame({"scan": [TEXT, None], "name": ["a.nii", None], "path": [None, "b.nii"]})
    assert read_requests(table) == [ScanRequest((BYTES,), "a.nii"), ScanRequest(path="b.nii")]


def test_mapping_gives_the_requests_of_its_columns() -> None:
    expected = [ScanRequest((BYTES,), "a.nii"), ScanRequest((BYTES,), "b.nii")]
    columns = {"scan": [TEXT, TEXT], "name": ["a.nii", "b.nii"]}
    assert read_requests(columns) == expected
    assert read_requests(pandas.DataFrame([columns])) == expected
    assert read_requests({"path": ["a", "b"]}) == [ScanRequest(path="a"), ScanRequest(path="b")]


def test_bad_row_does_not_stop_the_others() -> None:
    bad, good = read_requests([{"scan": "no base64!"}, {"scan": TEXT}])
    assert isinstance(bad, ScanError)
    assert good == ScanRequest((BYTES,))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "must hold either scan or path, got neither"),
        ({"scan": TEXT, "path": "a"}, "must hold either scan or path, got both"),
        ({"scan": float("nan"), "name": "a"}, "got neither"),
        ({"scan": "[1"}, "got a text that is no JSON list"),
        ({"scan": [1]}, "got a part of the type int"),
        ({"scan": 1}, "got a value of the type int"),
    ],
)
def test_row_without_a_scan_says_why(row: dict[str, Any], message: str) -> None:
    (error,) = read_requests([row])
    assert isinstance(error, ScanError)
    assert message in str(error)


def test_bytes_of_a_scan_are_not_shown_in_logs() -> None:
    assert repr(ScanRequest((BYTES,), "a.nii")) == "ScanRequest(name='a.nii', path='')"
