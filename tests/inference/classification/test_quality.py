"""A mask that lost a part is flagged, a right one is not."""

from __future__ import annotations

import numpy as np
import pytest
from medseg.errors import ConfigError, GeometryError
from medseg.inference.classification import Calibration, ClassifierCard
from medseg.inference.classification.quality import check_mask, shared_classes
from medseg.inference.record import QualityRecord
from medseg.records import Array, SliceScores
from medseg.targets import ExclusiveLabels, SliceClasses

from tests.inference.classification.knowing import card_of

LABELS = {"background": 0, "spleen": 3, "liver": 7}
TARGET = ExclusiveLabels(labels=LABELS)


def organ(axis: int = 2) -> Array:
    """Liver on slices 2 to 7 of 12, spleen on slices 6 to 9, along an axis."""
    mask = np.zeros((10, 11, 12), np.uint8)
    mask[1:6, 1:6, 2:8] = 7
    mask[7:9, 7:9, 6:10] = 3
    return np.moveaxis(mask, 2, axis)


def scores_of(mask: Array, *, axis: int = 2, sure: float = 0.98) -> SliceScores:
    """A classifier that is nearly sure of what a mask shows: liver, then spleen."""
    planes = np.moveaxis(mask, axis, 0).reshape(mask.shape[axis], -1)
    shown = np.stack([(planes == value).any(axis=1) for value in (7, 3)], axis=1)
    p = np.where(shown, sure, 1 - sure)
    return SliceScores("a", "a", axis, np.arange(float(len(p))), p, p.max(axis=0))


def check(mask: Array, scores: SliceScores, card: ClassifierCard | None = None) -> QualityRecord:
    return check_mask(mask, scores, card or card_of(), target=TARGET, pixel_mm2=1.0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_right_mask_is_not_flagged(axis: int) -> None:
    found = check(organ(axis), scores_of(organ(axis), axis=axis))
    assert found.disagreement == pytest.approx(0.02)
    assert (found.longest_run, found.is_flagged, found.reason, found.limit) == (0, False, None, 0.05)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mask_that_lost_an_organ_on_half_of_its_slices_is_flagged(axis: int) -> None:
    mask = organ(axis)
    np.moveaxis(mask, axis, 0)[5:8][np.moveaxis(mask, axis, 0)[5:8] == 7] = 0
    found = check(mask, scores_of(organ(axis), axis=axis))
    assert found.is_flagged
    assert found.longest_run == 3
    # Three of 24 entries are wrong by 0.98, the others by 0.02.
    assert found.disagreement == pytest.approx((3 * 0.98 + 21 * 0.02) / 24)
    assert found.reason == (f"slice 5 along axis {axis}: liver is not drawn, the classifier's probability is 0.98")


def test_mask_that_invents_an_organ_is_flagged() -> None:
    mask = organ()
    mask[0, 0, 10:] = 7
    found = check(mask, scores_of(organ()))
    assert found.is_flagged
    assert found.reason == "slice 10 along axis 2: liver is drawn, the classifier's probability is 0.02"


def test_mask_of_labels_swapped_is_flagged() -> None:
    mask = organ()
    swapped = np.where(mask == 7, 3, np.where(mask == 3, 7, 0)).astype(np.uint8)
    assert check(swapped, scores_of(organ())).is_flagged


def test_turned_mask_is_flagged() -> None:
    assert check(organ()[:, :, ::-1], scores_of(organ())).is_flagged


def test_empty_mask_where_the_classifier_finds_organs_is_flagged() -> None:
    assert check(np.zeros_like(organ()), scores_of(organ())).is_flagged


def test_disagreement_at_the_limit_is_not_flagged() -> None:
    limit = check(organ(), scores_of(organ())).disagreement
    card = card_of(calibration=Calibration(cases=1, disagreement_limit=limit))
    assert not check(organ(), scores_of(organ()), card).is_flagged
    card = card_of(calibration=Calibration(cases=1, disagreement_limit=np.nextafter(limit, 0)))
    assert check(organ(), scores_of(organ()), card).is_flagged


def test_without_a_limit_nothing_is_flagged() -> None:
    found = check(np.zeros_like(organ()), scores_of(organ()), card_of(calibration=Calibration()))
    assert (found.limit, found.is_flagged, found.reason) == (None, False, None)
    assert found.disagreement > 0.3


def test_labels_that_the_classifier_does_not_know_do_not_count() -> None:
    mask = organ()
    mask[0] = 9
    target = ExclusiveLabels(labels={**LABELS, "lung": 9})
    found = check_mask(mask, scores_of(organ()), card_of(), target=target, pixel_mm2=1.0)
    assert found.disagreement == pytest.approx(0.02)
    assert shared_classes(card_of(), target) == ("spleen", "liver")


def test_classifier_that_knows_no_label_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"must know a label of the model \(background, lung\), got liver, spleen"):
        shared_classes(card_of(), ExclusiveLabels(labels={"background": 0, "lung": 1}))
    backgrounds = card_of(targets=SliceClasses(kind="multiclass", classes=("background", "spleen")))
    with pytest.raises(ConfigError, match="must know a label of the model"):
        shared_classes(backgrounds, ExclusiveLabels(labels={"background": 0, "lung": 1}))


def test_scores_of_another_scan_are_refused() -> None:
    with pytest.raises(GeometryError, match="compare the mask with the classification of the same scan and axis"):
        check(organ(), scores_of(organ()[:, :, :5]))


def test_mask_shows_a_label_where_it_exceeds_the_classifier_s_area() -> None:
    """The classifier was taught that 20 mm² of liver are none: such specks, drawn right, contradict nothing."""
    targets = SliceClasses(classes=("liver", "spleen"), min_area_mm2=20.0)
    mask = organ()
    mask[0, :10, 0] = 7  # ten voxels of 2 mm²
    for pixel_mm2, is_flagged in ((2.0, False), (2.1, True)):
        card = card_of(targets=targets, calibration=Calibration(cases=1, disagreement_limit=0.03))
        spleenless = np.where(mask == 3, 0, mask)
        scores = scores_of(np.where(organ() == 3, 0, organ()))
        found = check_mask(spleenless, scores, card, target=TARGET, pixel_mm2=pixel_mm2)
        assert found.is_flagged == is_flagged


def test_mask_of_two_labels_agrees_with_a_classifier_of_one_class_per_slice() -> None:
    """On slices 6 and 7 the liver is larger than the spleen, and that is all that a softmax can say."""
    card = card_of(targets=SliceClasses(kind="multiclass", classes=("background", "liver", "spleen")))
    p = np.zeros((12, 3))
    p[2:8, 1] = 0.98
    p[8:10, 2] = 0.98
    p[:, 0] = 1 - p[:, 1:].sum(axis=1)
    scores = SliceScores("a", "a", 2, np.arange(12.0), p, p.max(axis=0))
    found = check_mask(organ(), scores, card, target=TARGET, pixel_mm2=1.0)
    assert (found.is_flagged, found.longest_run) == (False, 0)
    assert found.disagreement == pytest.approx(8 * 0.02 / 24)
    assert check_mask(np.zeros_like(organ()), scores, card, target=TARGET, pixel_mm2=1.0).is_flagged
