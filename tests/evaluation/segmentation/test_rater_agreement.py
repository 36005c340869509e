from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from medseg.evaluation.segmentation import (
    EvaluationContract,
    RaterPair,
    measure_raters,
    rater_agreement,
    with_raters_dice,
    write_rater_pairs,
)
from medseg.manifest import load_manifest
from medseg.records import CaseMetrics

from tests.several_raters import boxes, write, write_raters

SMALL = EvaluationContract(metrics=("dice", "hd95_mm"))
# Boxes of 8, 10 and 8 voxels along i, of which the first is shifted by 2: overlaps of 8, 6 and 8.
ORGAN = {("A", "B"): 2 * 8 / 18, ("A", "C"): 2 * 6 / 16, ("B", "C"): 2 * 8 / 18}
NODE = {("A", "B"): 1.0, ("A", "C"): 0.0, ("B", "C"): 0.0}


def pair(first: str, second: str, dice: float, *, case_id: str = "c0", label: str = "organ") -> RaterPair:
    return RaterPair(first, second, CaseMetrics(case_id, label, {"dice": dice}, 10, 10))


def test_pairs_of_raters_have_the_dice_of_their_boxes(tmp_path: Path) -> None:
    manifest, root = load_manifest(write_raters(tmp_path, cases=2))
    pairs, failures = measure_raters(manifest.cases, manifest, root, contract=SMALL)
    assert not failures
    for case_id in ("r0", "r1"):
        for label, expected in (("organ", ORGAN), ("node", NODE)):
            own = [one for one in pairs if (one.row.case_id, one.row.label) == (case_id, label)]
            found = {(one.first, one.second): one.row.values["dice"] for one in own}
            assert found == pytest.approx(expected)
    agreement = rater_agreement(pairs, patients={})
    means = {entry.label: entry.mean for entry in agreement.between.labels if entry.metric == "dice"}
    assert means == pytest.approx({"organ": sum(ORGAN.values()) / 3, "node": 1 / 3})
    shifted = next(one.row for one in pairs if (one.first, one.second, one.row.label) == ("A", "C", "organ"))
    assert shifted.values["hd95_mm"] == 2.0  # two voxels of 1 mm
    assert {(one["first"], one["second"]): one["cases"] for one in agreement.by_pair} == dict.fromkeys(ORGAN, 2)


def test_mask_is_measured_against_each_rater(tmp_path: Path) -> None:
    manifest, root = load_manifest(write_raters(tmp_path, cases=1))
    write(boxes(4, more=2)[None], tmp_path / "masks" / "r0.nii.gz")  # as rater B
    pairs, _ = measure_raters(manifest.cases, manifest, root, masks=tmp_path / "masks", contract=SMALL)
    agreement = rater_agreement(pairs, patients={})
    found = {name: one.means["dice"] for name, one in agreement.with_mask.items()}
    assert found == pytest.approx({"A": (ORGAN["A", "B"] + 1) / 2, "B": 1.0, "C": (ORGAN["B", "C"] + 0) / 2})
    (row,) = with_raters_dice([CaseMetrics("r0", "organ", {"dice": 1.0}, 1, 1)], pairs)
    assert row.values == pytest.approx({"dice": 1.0, "raters_dice": (1 + 2 * 16 / 18) / 3})


def test_case_counts_once_however_many_raters_it_has() -> None:
    few = [pair("A", "B", 0.5)]
    many = [pair(a, b, 0.9, case_id="c1") for a, b in (("A", "B"), ("A", "C"), ("B", "C"))]
    assert rater_agreement([*few, *many], patients={}).between.means["dice"] == pytest.approx(0.7)


def test_model_is_within_the_spread_from_the_agreement_of_the_worst_rater_on() -> None:
    """A and B agree at 0.9, C with both at 0.6: the raters' means are 0.75, 0.75 and 0.6."""
    among = [pair("A", "B", 0.9), pair("A", "C", 0.6), pair("B", "C", 0.6)]
    for dice, within in ((0.6, 1), (0.59, 0)):
        model = [pair(name, "mask", dice) for name in "ABC"]
        (spread,) = rater_agreement([*among, *model], patients={}).spread
        assert (spread.structure, spread.cases, spread.within) == ("organ", 1, within)
        assert spread.index == pytest.approx(dice / 0.7)


def test_model_that_finds_nothing_is_not_within_the_spread_of_a_rater_who_forgot() -> None:
    """C draws nothing where A and B agree at 0.9; the least who agree with anybody have 0.45 on average."""
    among = [pair("A", "B", 0.9), pair("A", "C", 0.0), pair("B", "C", 0.0)]
    for dice, within in ((0.0, 0), (0.44, 0), (0.46, 1)):
        model = [pair(name, "mask", dice) for name in "ABC"]
        (spread,) = rater_agreement([*among, *model], patients={}).spread
        assert (spread.cases, spread.within) == (1, within)
    nobody = [pair("A", "B", 0.0), pair("A", "mask", 0.0), pair("B", "mask", 0.0)]
    (spread,) = rater_agreement(nobody, patients={}).spread
    assert (spread.cases, spread.within) == (1, 0)


def test_model_is_held_against_the_raters_by_patient() -> None:
    pairs, patients = [], {}
    for number in range(8):
        case_id = f"c{number}"
        patients[case_id] = f"p{number}"
        pairs += [pair("A", "B", 0.8 + number / 100, case_id=case_id)]
        pairs += [pair(name, "mask", 0.7 + number / 100 + number % 2 / 50, case_id=case_id) for name in "AB"]
    found = rater_agreement(pairs, patients=patients)
    (entry,) = found.against
    assert (entry.first, entry.second) == pytest.approx((0.835, 0.745))
    assert (entry.cases, entry.verdict) == (8, "first")
    assert "readers agree at Dice 0.8350; the model at 0.7450, -0.0900" in str(found)
    assert "within the raters' spread in 0 of 8 cases" in str(found)
    content = found.content()
    assert [one["verdict"] for one in content["model_against_raters"]] == ["first"]
    assert set(content["model_with_raters"]) == {"A", "B"}


def test_structure_that_nobody_drew_is_left_out() -> None:
    nothing = CaseMetrics("c0", "node", {"dice": np.nan}, 0, 0)
    pairs = [RaterPair("A", "B", nothing), RaterPair("A", "mask", nothing), RaterPair("B", "mask", nothing)]
    (spread,) = rater_agreement(pairs, patients={}).spread
    assert (spread.cases, spread.within) == (0, 0)
    assert np.isnan(spread.index)


def test_voxels_that_one_of_a_pair_has_not_annotated_do_not_count(tmp_path: Path) -> None:
    dataset = write_raters(tmp_path, cases=1, ignore=255)
    partial = boxes(4, node=False)
    partial[12:] = 255  # where B goes on
    write(partial[None], dataset / "labels_C/r0.nii.gz")
    manifest, root = load_manifest(dataset)
    pairs, _ = measure_raters(manifest.cases, manifest, root, contract=SMALL)
    found = {(one.first, one.second): one.row.values["dice"] for one in pairs if one.row.label == "organ"}
    assert found == pytest.approx({**ORGAN, ("B", "C"): 1.0, ("A", "C"): 2 * 6 / 14})


def test_table_has_a_line_for_each_pair_and_structure(tmp_path: Path) -> None:
    write_rater_pairs([pair("A", "B", 0.5), pair("A", "mask", float("nan"))], tmp_path / "raters.csv")
    with (tmp_path / "raters.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["first"], row["second"], row["dice"]) for row in rows] == [("A", "B", "0.500000"), ("A", "mask", "")]


def test_case_whose_rater_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    dataset = write_raters(tmp_path, cases=2)
    (dataset / "labels_B/r0.nii.gz").unlink()
    manifest, root = load_manifest(dataset)
    pairs, failures = measure_raters(manifest.cases, manifest, root, contract=SMALL)
    assert {one.row.case_id for one in pairs} == {"r1"}
    assert [(one.case_id, one.stage) for one in failures] == [("r0", "compare with raters")]
