"""Rules change a decided mask part by part, and say what they have changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from medseg.errors import CheckpointError, ConfigError
from medseg.geometry import Geometry
from medseg.inference import CaseInput, load_record
from medseg.inference.postprocessed_record import PostprocessedRecord
from medseg.inference.segmentation import ModelCard, Predictor, load_card, predict_cases, save_card
from medseg.inference.segmentation.ensemble import Ensemble
from medseg.inference.segmentation.postprocess import Postprocessing, StructureRule, holes, numbered_parts, postprocess
from medseg.inference.sidecar import load_sidecar
from medseg.records import Scan
from medseg.scans import read_label, write_scan
from medseg.targets import ExclusiveLabels
from pydantic import ValidationError
from scipy.ndimage import generate_binary_structure, label

from tests.grids import grid
from tests.inference.segmentation.test_predictor import Steps

CardBuilder = Callable[..., ModelCard]
CPU = torch.device("cpu")
TARGET = ExclusiveLabels(labels={"background": 0, "spleen": 3, "liver": 7})
GRID = grid((12, 11, 10), spacing_mm=(2.0, 2.0, 2.5))  # a voxel is 0.01 ml


def rules(**choices: object) -> Postprocessing:
    return Postprocessing(structures=(StructureRule.model_validate({"structure": "liver", **choices}),))


def two_parts() -> np.ndarray:
    """A liver of 27 voxels and one of 8 apart from it, and a spleen of 1."""
    mask = np.zeros(GRID.shape, np.uint8)
    mask[1:4, 1:4, 1:4] = 7
    mask[7:9, 7:9, 7:9] = 7
    mask[10, 1, 1] = 3
    return mask


def changed(mask: np.ndarray, asked: Postprocessing) -> tuple[np.ndarray, tuple[PostprocessedRecord, ...]]:
    before = mask.copy()
    found, records = postprocess(mask, asked, target=TARGET, voxel_ml=GRID.voxel_ml)
    np.testing.assert_array_equal(mask, before)  # the mask that is given stays
    assert found.dtype == mask.dtype
    return found, records


def test_largest_part_alone_is_kept_and_other_labels_stay() -> None:
    mask, expected = two_parts(), two_parts()
    expected[7:9, 7:9, 7:9] = 0
    found, (record,) = changed(mask, rules(keep_largest=True))
    np.testing.assert_array_equal(found, expected)
    assert record == PostprocessedRecord(structure="liver", rule="largest part", voxels=8, volume_ml=0.08, parts=1)


def test_parts_below_the_smallest_volume_are_removed_and_one_of_that_volume_is_not() -> None:
    exactly, none_removed = changed(two_parts(), rules(smallest_ml=0.08))
    np.testing.assert_array_equal(exactly, two_parts())
    assert none_removed == ()
    _, (record,) = changed(two_parts(), rules(smallest_ml=0.0801))
    assert (record.voxels, record.parts, record.is_emptied) == (8, 1, False)


def test_structure_of_which_nothing_is_left_is_said_to_be_emptied() -> None:
    found, (record,) = changed(two_parts(), rules(smallest_ml=1.0))
    assert not (found == 7).any()
    assert (found == 3).sum() == 1
    assert record.is_emptied
    assert (record.voxels, record.volume_ml, record.parts) == (35, 0.35, 2)


def test_largest_part_never_empties_a_structure() -> None:
    mask = np.zeros(GRID.shape, np.uint8)
    mask[2, 2, 2] = mask[8, 8, 8] = 7  # alike: the first stays
    found, (record,) = changed(mask, rules(keep_largest=True))
    assert (found[2, 2, 2], found[8, 8, 8]) == (7, 0)
    assert not record.is_emptied


def test_voxels_that_share_a_corner_are_one_part() -> None:
    where = np.zeros((4, 4, 4), bool)
    where[0, 0, 0] = where[1, 1, 1] = True
    assert numbered_parts(where).voxels.tolist() == [2]


def test_parts_are_those_of_scipy_on_the_whole_grid() -> None:
    where = np.random.default_rng(0).random((14, 9, 11)) < 0.12
    whole, count = label(where, structure=generate_binary_structure(3, 3))
    parts = numbered_parts(where)
    assert parts.voxels.tolist() == np.bincount(whole.ravel())[1:].tolist()
    assert len(parts.voxels) == count > 3
    np.testing.assert_array_equal(parts.numbers, whole[parts.box])


def test_hole_is_filled_where_it_is_background_and_another_label_in_it_stays() -> None:
    mask = np.zeros(GRID.shape, np.uint8)
    mask[2:7, 2:7, 2:7] = 7
    mask[3:6, 3:6, 3:6] = 0
    mask[4, 4, 4] = 3
    found, (record,) = changed(mask, rules(fill_holes=True))
    assert (found[2:7, 2:7, 2:7] == 7).sum() == 124
    assert found[4, 4, 4] == 3
    assert (record.rule, record.voxels, record.volume_ml) == ("holes", 26, 0.26)


def test_cavity_that_is_open_to_the_border_of_the_scan_is_no_hole() -> None:
    where = np.zeros((5, 5, 5), bool)
    where[1:4, 1:4, :] = True
    where[2, 2, :] = False
    assert not holes(where).any()


def test_hole_of_a_picture_is_found_in_its_plane() -> None:
    where = np.zeros((5, 6, 1), bool)
    where[1:4, 1:4, 0] = True
    where[2, 2, 0] = False
    assert np.argwhere(holes(where)).tolist() == [[2, 2, 0]]


@pytest.mark.parametrize("order", ["C", "F"])
def test_rules_of_many_labels_change_what_they_would_on_the_whole_scan(order: Literal["C", "F"]) -> None:
    values = range(1, 41)
    target = ExclusiveLabels(labels={"background": 0, **{f"s{value}": value for value in values}})
    rng = np.random.default_rng(0)
    mask = np.asarray(np.repeat(rng.integers(0, 41, (9, 8, 7)), 2, axis=0).astype(np.uint8), order=order)
    mask[rng.random(mask.shape) < 0.3] = 0
    mask[2:5, 2:5, 3] = 40
    mask[3, 3, 3] = 0  # in a flat ring, which encloses nothing
    expected = mask.copy()
    for value in values:
        parts = numbered_parts(expected == value)
        kept = np.zeros(mask.shape, bool)
        kept[parts.box] = parts.numbers == 1 + np.argmax(parts.voxels)
        expected[(expected == value) & ~kept] = 0
        expected[holes(expected == value) & (expected == 0)] = value
    structures = tuple(StructureRule(structure=f"s{value}", keep_largest=True, fill_holes=True) for value in values)
    found, records = postprocess(mask, Postprocessing(structures=structures), target=target, voxel_ml=0.01)
    np.testing.assert_array_equal(found, expected)
    assert {record.structure for record in records} == set(target.structures)
    assert found[3, 3, 3] == 0


def test_parts_are_removed_before_holes_are_filled() -> None:
    mask = np.zeros(GRID.shape, np.uint8)
    mask[1:8, 1:8, 1:8] = 7
    mask[2:7, 2:7, 2:7] = 0
    mask[4, 4, 4] = 7  # an island in the hole
    found, records = changed(mask, rules(keep_largest=True, fill_holes=True))
    assert (found == 7).sum() == 343
    assert [(record.rule, record.voxels) for record in records] == [("largest part", 1), ("holes", 125)]


def test_empty_structure_is_left_alone() -> None:
    blank = np.zeros(GRID.shape, np.uint8)
    found, records = changed(blank, rules(smallest_ml=1.0, fill_holes=True))
    assert not found.any()
    assert records == ()


def test_rules_that_exclude_each_other_or_do_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="exclude each other"):
        rules(keep_largest=True, smallest_ml=1.0)
    with pytest.raises(ValidationError, match="must do something"):
        rules()
    with pytest.raises(ValidationError, match="one rule each"):
        Postprocessing(structures=(*rules(keep_largest=True).structures, *rules(fill_holes=True).structures))


def test_card_keeps_its_rules_and_is_without_the_key_where_there_are_none(
    build_card: CardBuilder, tmp_path: Path
) -> None:
    asked = rules(smallest_ml=0.25, fill_holes=True)
    save_card(build_card(postprocessing=asked), tmp_path / "with")
    assert load_card(tmp_path / "with").postprocessing == asked
    save_card(build_card(), tmp_path / "without")
    assert "postprocessing" not in (tmp_path / "without" / "model.json").read_text(encoding="utf-8")
    assert load_card(tmp_path / "without").postprocessing is None


def test_card_with_a_rule_for_a_label_that_it_lacks_is_refused(build_card: CardBuilder, tmp_path: Path) -> None:
    save_card(build_card(postprocessing=rules(keep_largest=True)), tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"structure": "liver"', '"structure": "lever"'))
    with pytest.raises(CheckpointError, match="postprocessing must be of the labels"):
        load_card(tmp_path)


def predictor(card: ModelCard) -> Predictor:
    return Predictor(Steps(), card, device=CPU, precision="fp32")


def scan_of(mask: np.ndarray, geometry: Geometry = GRID) -> Scan:
    """The scan of which `Steps` draws a mask: its intensities are channels."""
    return Scan(np.searchsorted([0, 3, 7], mask)[None].astype(np.float32), geometry)


def test_model_and_ensemble_carry_out_the_rules_of_their_cards(build_card: CardBuilder) -> None:
    asked = rules(keep_largest=True)
    expected, records = changed(two_parts(), asked)
    card = build_card(postprocessing=asked)
    alone = predictor(card).prepare(scan_of(two_parts())).draw()
    together = Ensemble([predictor(card), predictor(card)]).prepare(scan_of(two_parts())).draw()
    for drawing in (alone, together):
        np.testing.assert_array_equal(drawing.mask, expected)
        assert drawing.changes == records
    np.testing.assert_array_equal(predictor(build_card()).mask(scan_of(two_parts())), two_parts())


def test_models_with_other_rules_do_not_draw_together(build_card: CardBuilder) -> None:
    with pytest.raises(ConfigError, match="same postprocessing to draw one mask, got liver: keep the largest part"):
        Ensemble([predictor(build_card(postprocessing=rules(keep_largest=True))), predictor(build_card())])


@pytest.mark.parametrize("choices", [{}, {"probabilities": True}])
def test_what_was_removed_stands_in_sidecar_and_record_and_an_emptied_structure_is_told(
    build_card: CardBuilder, tmp_path: Path, caplog: pytest.LogCaptureFixture, choices: dict[str, bool]
) -> None:
    scan = scan_of(two_parts())
    write_scan(scan.array, scan.geometry, tmp_path / "one.nii.gz")
    case = CaseInput("one", (tmp_path / "one.nii.gz",))
    model = predictor(build_card(postprocessing=rules(smallest_ml=1.0)))
    (prediction,), failures = predict_cases(model, [case], tmp_path / "masks", choices=choices)
    assert failures == []
    assert not (read_label(prediction.mask_path, case_id="one")[0] == 7).any()
    expected = PostprocessedRecord(
        structure="liver", rule="smallest volume", voxels=35, volume_ml=0.35, parts=2, is_emptied=True
    )
    sidecar, record = load_sidecar(tmp_path / "masks" / "one.json"), load_record(tmp_path / "masks")
    assert sidecar is not None
    assert record is not None
    assert sidecar.postprocessed == record.cases[0].postprocessed == (expected,)
    assert record.cases[0].volume_ml == {"spleen": 0.01, "liver": 0.0}
    assert "case one: all of liver is removed, 0.35 ml in 2 part(s)" in caplog.text


def test_record_of_a_model_without_rules_is_as_it_was(build_card: CardBuilder, tmp_path: Path) -> None:
    scan = scan_of(two_parts())
    write_scan(scan.array, scan.geometry, tmp_path / "one.nii.gz")
    predict_cases(predictor(build_card()), [CaseInput("one", (tmp_path / "one.nii.gz",))], tmp_path / "masks")
    for name in ("one.json", "predictions.json"):
        text = (tmp_path / "masks" / name).read_text(encoding="utf-8")
        assert "postprocessed" not in text
        assert "drawn_by" not in text
