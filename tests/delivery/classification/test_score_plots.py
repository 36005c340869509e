"""ROC, precision-recall, reliability and confusion pictures, read from the figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
from medseg.delivery.classification import (
    save_confusion,
    save_outcomes,
    save_precision_recall,
    save_reliability,
    save_roc,
)
from medseg.evaluation.classification import reliability_bins, stack_scores, summarise_scores

from tests.delivery.classification.conftest import Caught, texts
from tests.evaluation.classification.made_scores import case_of, random_choices, random_cohort

CLASSES = ("liver", "spleen")


def line(axis: object, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Points of the line whose label begins with a name."""
    found = next(one for one in axis.get_lines() if str(one.get_label()).startswith(name))  # type: ignore[attr-defined]
    return found.get_data()


def test_roc_shows_each_curve_with_its_auroc_and_the_point_at_the_specificity(tmp_path: Path, caught: Caught) -> None:
    scores = random_cohort(0, decimals=2)
    summary = summarise_scores(scores, classes=CLASSES, kind="multilabel", specificity=0.9, resamples=60)
    save_roc(scores, summary, tmp_path / "roc.png", title="fold 0")
    (axis,) = caught.last(tmp_path / "roc.png").axes
    table = stack_scores(scores, classes=CLASSES, level="slice")
    for index, entry in enumerate(summary.slice.classes):
        probabilities, truth, _ = table.known(index)
        alarms, hits, _ = sklearn.metrics.roc_curve(truth, probabilities, drop_intermediate=False)
        np.testing.assert_allclose(line(axis, entry.name), [alarms, hits])
        auroc = entry.measures["auroc"]
        assert f"{entry.name}: {auroc.value:.3f} ({auroc.low:.3f}–{auroc.high:.3f})" in texts(axis)
        marks = [one.get_xydata()[0] for one in axis.get_lines() if one.get_marker() == "o"]
        assert marks[index][1] == entry.measures["sensitivity"].value
        assert 1 - marks[index][0] >= 0.9
        assert any(np.allclose(marks[index], point) for point in np.stack([alarms, hits], axis=1))
    assert axis.get_title() == "fold 0\nROC, 108 slices"
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("1 − specificity", "sensitivity")
    assert "specificity 0.9" in texts(axis)


def test_precision_recall_shows_average_precision_and_prevalence(tmp_path: Path, caught: Caught) -> None:
    scores = random_cohort(1)
    summary = summarise_scores(scores, classes=CLASSES, kind="multilabel", resamples=60)
    save_precision_recall(scores, summary, tmp_path / "pr.png", level="study")
    (axis,) = caught.last(tmp_path / "pr.png").axes
    for entry in summary.study.classes:
        recall, precision = line(axis, entry.name)
        drawn = next(one for one in axis.get_lines() if one.get_label().startswith(entry.name))
        assert drawn.get_drawstyle() == "steps-pre"  # a precision holds for the recall that led to it
        # The area under the steps is the average precision.
        assert float((np.diff(recall) * precision[1:]).sum()) == pytest.approx(
            entry.measures["average_precision"].value
        )
        assert any(
            text.startswith(f"{entry.name}: {entry.measures['average_precision'].value:.3f}") for text in texts(axis)
        )
        levels = [one.get_ydata()[0] for one in axis.get_lines() if len(set(one.get_ydata())) == 1]
        assert any(level == pytest.approx(entry.prevalence) for level in levels)
    assert axis.get_title() == "Precision and recall, 12 studies"


@pytest.mark.parametrize("save", [save_roc, save_precision_recall])
def test_class_without_a_curve_says_why(tmp_path: Path, caught: Caught, save: object) -> None:
    scores = [case_of([[0.9, 0.1], [0.2, 0.4]], [[1, 0], [0, 0]])]
    summary = summarise_scores(scores, classes=CLASSES, kind="multilabel", resamples=50)
    save(scores, summary, tmp_path / "a.png")  # type: ignore[operator]
    (axis,) = caught.last(tmp_path / "a.png").axes
    assert "spleen: only negatives" in texts(axis)
    assert "liver: 1.000" in texts(axis)  # one patient: no interval


def test_of_many_classes_the_weakest_twenty_are_shown(tmp_path: Path, caught: Caught) -> None:
    scores = random_choices(0, classes=25, cases=20, slices=20)
    names = tuple(f"c{n:02d}" for n in range(25))
    summary = summarise_scores(scores, classes=names, kind="multiclass", resamples=50)
    save_roc(scores, summary, tmp_path / "roc.png")
    (axis,) = caught.last(tmp_path / "roc.png").axes
    shown = [text[:3] for text in texts(axis) if text.startswith("c") and text != "chance"]
    weakest = sorted(summary.slice.classes, key=lambda entry: entry.measures["auroc"].value)[:20]
    assert shown == sorted(entry.name for entry in weakest)
    assert "the 20 weakest of 25 classes" in axis.get_title()


def test_reliability_states_the_error_before_and_after(tmp_path: Path, caught: Caught) -> None:
    before, after = random_cohort(2, decimals=3), random_cohort(3, decimals=3)
    save_reliability(after, tmp_path / "r.png", classes=CLASSES, uncalibrated=before, title="T = 2")
    figure = caught.last(tmp_path / "r.png")
    for index, name in enumerate(CLASSES):
        axis = next(one for one in figure.axes if one.get_title() == name)
        errors = []
        for scores in (after, before):
            table = stack_scores(scores, classes=CLASSES, level="slice")
            errors.append(reliability_bins(table.probabilities[:, index], table.truth[:, index]))
        assert texts(axis) == [f"calibrated: ECE {errors[0].error:.3f}", f"uncalibrated: ECE {errors[1].error:.3f}"]
        there = errors[0].counts > 0
        np.testing.assert_allclose(line(axis, "calibrated"), [errors[0].stated[there], errors[0].observed[there]])
    histogram = next(one for one in figure.axes if one.get_ylabel() == "rows")
    assert histogram.get_xlabel() == "stated probability"
    assert histogram.patches[0].get_data().values.sum() == sum((case.truth[:, 0] >= 0).sum() for case in after)  # type: ignore[index]


def test_reliability_of_no_known_truth_is_an_empty_picture(tmp_path: Path, caught: Caught) -> None:
    save_reliability([case_of([0.5], None)], tmp_path / "r.png", classes=("liver",))
    axis = next(one for one in caught.last(tmp_path / "r.png").axes if one.get_title() == "liver")
    assert texts(axis) == ["calibrated: no truth"]


@pytest.mark.parametrize("count", [1, 2, 7, 20])
def test_confusion_writes_counts_and_row_shares(tmp_path: Path, caught: Caught, count: int) -> None:
    confusion = np.random.default_rng(0).integers(1, 50, size=(count, count))
    names = [f"a rather long class name {n}" for n in range(count)]
    save_confusion(confusion.tolist(), tmp_path / "c.png", classes=names)
    axis = caught.last(tmp_path / "c.png").axes[0]
    written = {tuple(text.get_position()): text.get_text() for text in axis.texts}
    assert len(written) == count**2
    for (row, column), cell in np.ndenumerate(confusion):
        assert written[column, row] == f"{cell}\n{100 * cell / confusion[row].sum():.0f} %"
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("most probable class", "true class")


def test_confusion_of_a_class_that_never_occurs_is_zero_not_an_error(tmp_path: Path, caught: Caught) -> None:
    save_confusion([[3, 1], [0, 0]], tmp_path / "c.png", classes=CLASSES)
    axis = caught.last(tmp_path / "c.png").axes[0]
    assert [text.get_text() for text in axis.texts] == ["3\n75 %", "1\n25 %", "0", "0"]


def test_outcomes_show_both_thresholds_of_each_class(tmp_path: Path, caught: Caught) -> None:
    scores = [case_of([[0.9, 0.1], [0.6, 0.4], [0.2, 0.1]], [[1, 0], [0, 0], [0, 0]])]
    summary = summarise_scores(scores, classes=CLASSES, kind="multilabel", resamples=50)
    save_outcomes(summary.slice, tmp_path / "o.png", specificity=0.95)
    at_half, spleen, at_specificity, nothing = caught.last(tmp_path / "o.png").axes
    assert [text.get_text() for text in at_half.texts] == ["1\n50 %", "1\n50 %", "0", "1\n100 %"]
    assert [text.get_text() for text in at_specificity.texts] == ["2\n100 %", "0", "0", "1\n100 %"]
    assert at_specificity.get_title() == "specificity ≥ 0.95\nat 0.9"
    assert spleen.get_title() == "spleen\nat 0.5"
    assert nothing.texts[0].get_text() == "only negatives"
