"""What a case does not annotate is not learned, measured or counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.audit.facts import FileFacts
from medseg.audit.label_checks import check_label_values
from medseg.errors import ScanError
from medseg.evaluation.segmentation import EvaluationContract, evaluate_cases, ignored_note, measure_case
from medseg.geometry import Geometry
from medseg.manifest import manifest_target, read_case
from medseg.manifest.case_scans import read_case_label
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.partial_labels import resample_partial
from medseg.preprocess.segmentation import prepare_cases
from medseg.records import Case, Manifest
from medseg.scans import write_scan
from medseg.split.label_volumes import measure_labels
from medseg.training.segmentation import TrainingConfig
from medseg.training.segmentation.marginal_loss import open_groups, open_index
from medseg.training.segmentation.patches import PatchDataset

from tests.grids import OBLIQUE
from tests.manifest.datasets import manifest_of, write_case

IGNORE = 9
LABEL = np.zeros(OBLIQUE.shape, np.uint8)
LABEL[1:4, 2:5, 1:3], LABEL[4:6, 2:5, 1:3] = 1, 2
PARTIAL = np.where(np.indices(OBLIQUE.shape)[2] > 1, IGNORE, LABEL).astype(np.uint8)
REGIONS: dict[str, Any] = {"regions": {"organ": (1, 2), "tumour region": (2,)}, "regions_order": (1, 2)}
CONTRACT = EvaluationContract(metrics=("dice", "iou", "sensitivity", "volume_difference_ml"))


def write(place: Path, label: np.ndarray, **changes: Any) -> tuple[Case, Manifest]:
    case = write_case(place, label=label).model_copy(update=changes.pop("case", {}))
    return case, manifest_of([case], **changes)


def test_ignored_voxels_are_legal_where_the_manifest_names_their_value(tmp_path: Path) -> None:
    case, manifest = write(tmp_path, PARTIAL, ignore=IGNORE)
    assert np.array_equal(read_case(case, manifest, tmp_path).label, PARTIAL)
    with pytest.raises(ScanError, match=r"label values must be among \[0, 1, 2\], got \[9\]"):
        read_case(case, manifest_of([case]), tmp_path)


@pytest.mark.parametrize("allow_empty", [False, True])
def test_label_of_ignored_voxels_alone_is_refused(tmp_path: Path, allow_empty: bool) -> None:
    """It would count as a perfect mask wherever nothing is drawn in nothing."""
    nothing = np.full(OBLIQUE.shape, IGNORE, np.uint8)
    case, manifest = write(tmp_path, nothing, ignore=IGNORE, allow_empty_labels=allow_empty)
    with pytest.raises(ScanError, match="label must hold at least one annotated voxel, got none"):
        read_case(case, manifest, tmp_path)
    assert [one.check for one in check_label_values(case, nothing, manifest, forms_of())] == ["empty_label"]


def forms_of() -> FileFacts:
    return FileFacts("label.nii.gz", True, {}, None)


def test_background_of_a_partly_annotated_case_may_be_what_it_does_not_annotate(
    tmp_path: Path, config: TrainingConfig
) -> None:
    """Of the background, a patch says that it is none of the annotated labels, and no more."""
    alone = np.where(LABEL == 2, 0, LABEL)
    case, manifest = write(tmp_path, alone, case={"annotated_labels": ("liver",)})
    whole = case.model_copy(update={"case_id": "d", "annotated_labels": None})
    prepared = [*_prepared(whole, manifest, tmp_path), *_prepared(case, manifest, tmp_path)]
    patches = PatchDataset(prepared, config, target=manifest_target(manifest))
    assert open_groups(prepared, manifest_target(manifest)) == (("tumour",),)
    found = {patches._case_at(0, place): set() for place in range(8)}  # type: ignore[var-annotated]
    for position in range(8):
        place = int(patches._order(0, 8)[position])
        found[patches._case_at(0, place)] |= set(patches[position]["label"].unique().tolist())
    assert found == {0: {0, 1}, 1: {open_index(0), 1}}


def test_what_lies_beside_an_annotated_label_is_wrong(tmp_path: Path) -> None:
    """The case says where the liver is, and so where it is not, though its background may be any other label."""
    alone = np.where(LABEL == 2, 0, LABEL).astype(np.uint8)
    case, manifest = write(tmp_path, alone, case={"annotated_labels": ("liver",)})
    drawn = alone.copy()
    drawn[0, :, :] = 1
    rows, failures = evaluated(case, manifest, tmp_path, drawn)
    inside, false = int((alone == 1).sum()), int((drawn == 1).sum() - (alone == 1).sum())
    assert not failures
    assert [(row.label, row.ignored_share) for row in rows] == [("liver", 0)]
    assert rows[0].values["dice"] == pytest.approx(2 * inside / (2 * inside + false))

    (stored,) = _prepared(case, manifest, tmp_path)
    validated = measure_case(
        stored.native_label(), drawn, target=manifest_target(manifest), case_id="c", unannotated=stored.unannotated
    )
    assert [(row.label, row.values["dice"]) for row in validated] == [("liver", rows[0].values["dice"])]


def evaluated(case: Case, manifest: Manifest, root: Path, drawn: np.ndarray, **contract: Any) -> Any:
    (root / "masks").mkdir(exist_ok=True)
    write_scan(drawn[None].astype(np.uint8), OBLIQUE, root / "masks" / "c.nii.gz")
    wanted = EvaluationContract(metrics=("dice",), **contract)
    return evaluate_cases([case], manifest, root, masks=root / "masks", contract=wanted)


def test_parts_of_an_annotated_region_are_not_measured(tmp_path: Path) -> None:
    """Where the organ alone was annotated, its values do not tell its parts apart."""
    organ = (LABEL > 0).astype(np.uint8)
    case, manifest = write(tmp_path, organ, case={"annotated_labels": ("organ",)}, **REGIONS)
    rows, failures = evaluated(case, manifest, tmp_path, LABEL, regions={"both": ("liver", "tumour")})
    assert not failures
    assert [(row.label, row.values["dice"]) for row in rows] == [("both", 1.0)]


def test_label_of_what_is_not_annotated_is_refused(tmp_path: Path) -> None:
    case, manifest = write(tmp_path, LABEL, case={"annotated_labels": ("liver",)})
    with pytest.raises(ScanError, match=r"no more than annotated_labels names, \['liver'\], got \['tumour'\]"):
        read_case_label(case, manifest, tmp_path)


def test_volumes_leave_ignored_voxels_out(tmp_path: Path) -> None:
    _, manifest = write(tmp_path, PARTIAL, ignore=IGNORE)
    (measured,) = measure_labels(manifest, tmp_path, by=("volume",)).manifest.cases
    expected = {name: (value == PARTIAL).sum() * OBLIQUE.voxel_ml for name, value in manifest.foreground.items()}
    assert measured.label_ml == pytest.approx(expected, rel=1e-5)


def test_masks_may_hold_anything_where_nobody_annotated(tmp_path: Path) -> None:
    """The mask that is wrong in ignored voxels alone is as good as the label, and the share left out is told."""
    case, manifest = write(tmp_path, PARTIAL, ignore=IGNORE)
    (tmp_path / "masks").mkdir()
    wrong = np.where(PARTIAL == IGNORE, 2, LABEL).astype(np.uint8)
    write_scan(wrong[None], OBLIQUE, tmp_path / "masks" / "c.nii.gz")
    rows, failures = evaluate_cases([case], manifest, tmp_path, masks=tmp_path / "masks", contract=CONTRACT)
    assert not failures
    assert {row.label: row.values["dice"] for row in rows} == {"liver": 1.0, "tumour": 1.0}
    assert all(row.values["volume_difference_ml"] == 0 for row in rows)
    share = float((PARTIAL == IGNORE).mean())
    assert ignored_note(rows)["ignored"] == {"mean_share": share, "share_by_case": {"c": round(share, 6)}}


def test_background_metrics_leave_ignored_voxels_out(tmp_path: Path) -> None:
    """One false voxel in the annotated part, whose voxels alone are counted."""
    case, manifest = write(tmp_path, PARTIAL, ignore=IGNORE)
    (tmp_path / "masks").mkdir()
    wrong = LABEL.copy()
    wrong[0, 0, 0] = 1
    write_scan(wrong[None], OBLIQUE, tmp_path / "masks" / "c.nii.gz")
    contract = EvaluationContract(metrics=("dice", "accuracy", "specificity"))
    rows, _ = evaluate_cases([case], manifest, tmp_path, masks=tmp_path / "masks", contract=contract)
    (liver,) = (row for row in rows if row.label == "liver")
    annotated, inside = int((PARTIAL != IGNORE).sum()), int((PARTIAL == 1).sum())
    assert liver.values["accuracy"] == pytest.approx((annotated - 1) / annotated)
    assert liver.values["specificity"] == pytest.approx((annotated - inside - 1) / (annotated - inside))


def test_regions_that_a_case_does_not_annotate_are_not_measured(tmp_path: Path) -> None:
    organ = (LABEL > 0).astype(np.uint8)
    case, manifest = write(tmp_path, organ, case={"annotated_labels": ("organ",)}, **REGIONS)
    (tmp_path / "masks").mkdir()
    write_scan(LABEL[None], OBLIQUE, tmp_path / "masks" / "c.nii.gz")
    rows, failures = evaluate_cases([case], manifest, tmp_path, masks=tmp_path / "masks", contract=CONTRACT)
    assert not failures
    assert [(row.label, row.values["dice"]) for row in rows] == [("organ", 1.0)]


@pytest.fixture
def config() -> TrainingConfig:
    return TrainingConfig(patch_size=(4, 4, 4), batch_size=1, patches_per_case=4, foreground_share=0.0)


def test_every_patch_of_a_scribble_holds_an_annotated_voxel(tmp_path: Path, config: TrainingConfig) -> None:
    scribble = np.full(OBLIQUE.shape, IGNORE, np.uint8)
    scribble[0, 0, 0], scribble[-1, -1, -1] = 0, 1
    case, manifest = write(tmp_path, scribble, ignore=IGNORE)
    prepared = _prepared(case, manifest, tmp_path)
    patches = PatchDataset(prepared, config, target=manifest_target(manifest))
    assert all((patches[n]["label"] >= 0).any() for n in range(20))


def test_channels_of_unannotated_regions_do_not_count(tmp_path: Path, config: TrainingConfig) -> None:
    organ = (LABEL > 0).astype(np.uint8)
    case, manifest = write(tmp_path, organ, case={"annotated_labels": ("organ",)}, **REGIONS)
    label = PatchDataset(_prepared(case, manifest, tmp_path), config, target=manifest_target(manifest))[0]["label"]
    assert set(label[0].unique().tolist()) <= {0, 1}
    assert label[1].unique().tolist() == [-1]


def _prepared(case: Case, manifest: Manifest, root: Path) -> Any:
    config = PreprocessConfig(spacing_mm=None, axcodes=None, normalisation=(ChannelNormalisation(kind="zscore"),))
    done = prepare_cases([case], manifest, root, config=config, store=root / "store")
    assert not done.failures, done.failures
    return done.cases


def test_other_grids_make_no_background_beside_a_scribble() -> None:
    """A new voxel is as its nearest where one of its own is ignored, and decided by all of them elsewhere."""
    fine, coarse = np.eye(4), np.diag([2.0, 1.0, 1.0, 1.0])
    coarse[0, 3] = 0.5  # centre of the first pair
    labels = np.array([1, 1, 1, IGNORE, IGNORE, IGNORE, 0, 0], np.uint8)[:, None, None]
    moved = resample_partial(labels, Geometry((8, 1, 1), fine), Geometry((4, 1, 1), coarse), ignore=IGNORE)
    assert moved.ravel().tolist() == [1, 1, IGNORE, 0]
