from __future__ import annotations

from pathlib import Path

import pytest
from medseg.records import Manifest

from tests.audit.dirty import Dataset


@pytest.fixture
def dataset(cohort: tuple[Manifest, Path], tmp_path: Path) -> Dataset:
    """A copy of the clean cohort, to be spoiled."""
    return Dataset(cohort[1], tmp_path / "dataset")
