from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.cohort import ThreadExecutor
from medseg.records import Case, Manifest
from medseg.scans import write_scan
from medseg.split import cases_to_measure, measure_labels, split_manifest
from medseg.split.config import FEATURES, SplitConfig

from tests.grids import grid
from tests.split.cohorts import LABELS, case_of, cohort_of

GRID = grid((6, 5, 4), spacing_mm=(2.0, 2.5, 4.0), angles=(0.2, 0.1, -0.3))
VOXEL_ML = 0.02


def write_label(root: Path, name: str, **voxels: int) -> Case:
    """A case whose label has so many voxels of each name."""
    flat = np.zeros(np.prod(GRID.shape), np.uint8)
    values = np.repeat([LABELS[label] for label in voxels], list(voxels.values()))
    flat[: len(values)] = values
    write_scan(flat.reshape((1, *GRID.shape), order="F"), GRID, root / f"{name}.nii.gz")
    return case_of(name, f"p_{name}", label=f"{name}.nii.gz")


def test_volumes_are_voxels_times_their_size(tmp_path: Path) -> None:
    cases = [
        write_label(tmp_path, "a", liver=30, tumour=7),
        write_label(tmp_path, "b", cyst=1),
        write_label(tmp_path, "c"),
    ]
    measured = measure_labels(cohort_of(cases), tmp_path, by=FEATURES)
    assert measured.failures == ()
    found = [case.label_ml for case in measured.manifest.cases]
    assert found == [
        {"liver": pytest.approx(0.6), "tumour": pytest.approx(0.14)},
        {"cyst": pytest.approx(VOXEL_ML)},
        {},
    ]
    assert all(len(f"{ml:.9g}") <= 8 for volumes in found for ml in (volumes or {}).values())


def test_volumes_that_are_known_are_not_measured_again(tmp_path: Path) -> None:
    known = write_label(tmp_path, "a", liver=30).model_copy(update={"label_ml": {"liver": 5.0}})
    manifest = cohort_of([known, case_of("b", "q")])
    assert cases_to_measure(manifest, FEATURES) == ()
    assert measure_labels(manifest, tmp_path, by=FEATURES).manifest == manifest


@pytest.mark.parametrize("by", [(), ("site", "scanner", "modality")])
def test_no_label_is_read_that_is_not_asked_for(tmp_path: Path, by: tuple[str, ...]) -> None:
    assert cases_to_measure(cohort_of([case_of("a", "p", label="gone.nii.gz")]), by) == ()


@pytest.mark.parametrize("by", ["label", "volume"])
def test_labels_are_read_for_presence_and_for_volume(by: str) -> None:
    case = case_of("a", "p", label="a.nii.gz")
    assert cases_to_measure(cohort_of([case]), (by,)) == (case,)


def test_labels_of_a_classification_are_no_files_to_measure() -> None:
    manifest = cohort_of([case_of("a", "p", label="a.nii.gz")], task="classification")
    assert cases_to_measure(manifest, FEATURES) == ()


def test_instances_are_the_one_foreground_label(tmp_path: Path) -> None:
    label = np.zeros((1, *GRID.shape), np.uint16)
    label[0, :2, 0, 0], label[0, 2:5, 0, 0] = 300, 7
    write_scan(label, GRID, tmp_path / "a.nii.gz")
    manifest = cohort_of([case_of("a", "p", label="a.nii.gz")], labels={"background": 0, "nucleus": 3}, instances=True)
    (case,) = measure_labels(manifest, tmp_path, by=FEATURES).manifest.cases
    assert case.label_ml == {"nucleus": pytest.approx(5 * VOXEL_ML)}


def test_label_that_cannot_be_read_is_named_and_stops_nobody_else(tmp_path: Path) -> None:
    cases = [write_label(tmp_path, f"c{n}", liver=n + 1) for n in range(6)]
    (tmp_path / "c1.nii.gz").write_bytes(b"broken")
    (tmp_path / "c4.nii.gz").unlink()
    seen: list[str] = []
    measured = measure_labels(cohort_of(cases), tmp_path, by=FEATURES, executor=ThreadExecutor(3), on_done=seen.append)
    assert sorted(seen) == [case.case_id for case in cases]
    assert [failure.case_id for failure in measured.failures] == ["c1", "c4"]
    assert all(failure.reason.startswith(f"case {failure.case_id}: ") for failure in measured.failures)
    assert [case.label_ml is None for case in measured.manifest.cases] == [n in (1, 4) for n in range(6)]
    split = split_manifest(measured.manifest, SplitConfig(folds=2))
    assert next(row.cases[0] for row in split.balance.rows if row.name == "liver") == 4


def test_phantom_is_measured_and_split(cohort: tuple[Manifest, Path]) -> None:
    manifest, root = cohort
    measured = measure_labels(manifest, root, by=FEATURES)
    assert measured.failures == ()
    split = split_manifest(measured.manifest, SplitConfig(folds=3))
    livers = [case.label_ml["liver"] for case in split.manifest.cases if case.label_ml and "liver" in case.label_ml]
    assert 700 < np.median(livers) < 1600
