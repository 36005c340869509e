"""Facts about a case are taken when it is prepared, and are kept in the store."""

from __future__ import annotations

from pathlib import Path

import pytest
from medseg.manifest import manifest_target, read_case
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.scan_facts import ScanFacts
from medseg.preprocess.segmentation import prepare_cases
from medseg.records import Manifest

CONFIG = PreprocessConfig(spacing_mm=(6.0, 6.0, 8.0), normalisation=(ChannelNormalisation(kind="zscore"),))


def test_facts_are_of_the_scan_as_it_was_read_and_of_its_own_label(
    cohort: tuple[Manifest, Path], tmp_path: Path
) -> None:
    manifest, root = cohort
    for _ in range(2):  # made, then opened
        (stored,), failures = prepare_cases(manifest.cases[:1], manifest, root, config=CONFIG, store=tmp_path)
        assert failures == ()
        scan, label = read_case(manifest.cases[0], manifest, root)
        assert stored.facts is not None
        assert stored.facts.scan == ScanFacts.of(scan)
        counts = manifest_target(manifest).voxels(label)
        found = {name: facts.voxels for name, facts in stored.facts.structures.items()}
        assert found == {name: count for name, count in counts.items() if count}
        assert stored.facts.scan.voxel_ml == pytest.approx(scan.geometry.voxel_ml, rel=1e-4)
