"""Every test reads as `medseg ingest` does: with the libraries' warnings, which quote values, switched off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from medseg.scans.dicom import quiet_dicom


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with quiet_dicom():
        yield
