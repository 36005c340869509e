from __future__ import annotations

import pytest
from medseg.audit.plain import plain


@pytest.mark.parametrize(
    ("value", "text"),
    [(1058.4, "1,058"), (93.21, "93.2"), (0.00421, "0.00421"), (0, "0"), (462_306.6, "462,307"), (float("inf"), "inf")],
)
def test_numbers_are_written_without_exponents(value: float, text: str) -> None:
    assert plain(value) == text
