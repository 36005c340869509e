from __future__ import annotations

import pytest
from medseg.manifest.version import next_version


@pytest.mark.parametrize(
    ("version", "after"),
    [
        ("1", "2"),
        ("9", "10"),
        ("1.9", "1.10"),
        ("2.0.1", "2.0.2"),
        ("", "1"),
        ("2024-05", "2024-05.1"),
        ("2024-05.1", "2024-05.2"),
        ("v1", "v1.1"),
        ("1.0 04/05/2018", "1.0 04/05/2018.1"),
        ("beta", "beta.1"),
    ],
)
def test_last_number_of_a_version_is_increased_or_one_is_added(version: str, after: str) -> None:
    assert next_version(version) == after
