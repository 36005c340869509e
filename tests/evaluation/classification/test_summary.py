"""Summaries of slice scores against scikit-learn, by hand, and against a bootstrap that repeats rows."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from medseg.errors import ConfigError, GeometryError, ScanError
from medseg.evaluation import resampling
from medseg.evaluation.classification import (
    ClassChoice,
    ClassificationSummary,
    TwoByTwo,
    class_scores,
    flat_metrics,
    stack_scores,
    summarise_scores,
)
from medseg.evaluation.resampling import patient_weights
from medseg.records import SliceScores
from scipy.stats import binomtest
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    roc_auc_score,
    top_k_accuracy_score,
)

from tests.evaluation.classification.made_scores import case_of, random_choices, random_cohort

CLASSES = ("liver", "spleen")


def summary_of(scores: list[SliceScores], *, resamples: int = 60, specificity: float = 0.95) -> ClassificationSummary:
    width = scores[0].probabilities.shape[1] if scores else 2
    names = CLASSES[:width] if width < 3 else tuple(f"c{n}" for n in range(width))
    kind = "multilabel" if width < 3 else "multiclass"
    return summarise_scores(scores, classes=names, kind=kind, resamples=resamples, specificity=specificity)


def test_measures_of_each_class_are_scikit_learn_s_on_known_rows() -> None:
    scores = random_cohort(0)
    summary = summary_of(scores)
    for level, table in ((summary.slice, stack_scores(scores, classes=CLASSES, level="slice")),
                         (summary.study, stack_scores(scores, classes=CLASSES, level="study"))):  # fmt: skip
        for index, entry in enumerate(level.classes):
            known = table.truth[:, index] >= 0
            truth, probabilities = table.truth[known, index], table.probabilities[known, index]
            values = {name: measure.value for name, measure in entry.measures.items()}
            assert values["auroc"] == pytest.approx(roc_auc_score(truth, probabilities))
            assert values["average_precision"] == pytest.approx(average_precision_score(truth, probabilities))
            assert values["brier"] == pytest.approx(brier_score_loss(truth, probabilities))
            assert (entry.positives, entry.negatives) == (int(truth.sum()), int((1 - truth).sum()))
            assert entry.unknown == int((~known).sum())
            assert entry.prevalence == pytest.approx(truth.mean())
            assert entry.patients == 6


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw patients again however few they are."""
    for module in (resampling, class_scores):
        monkeypatch.setattr(module, "FEW_PATIENTS", 0)


def test_few_patients_are_left_out_one_by_one() -> None:
    """Against the jackknife by hand, on log odds with Student's t of four degrees of freedom."""
    rng = np.random.default_rng(3)
    scores = [case_of(rng.random(12).tolist(), [int(n % 3 == 0) for n in range(12)], case_id=str(p)) for p in range(5)]
    measure = summary_of(scores).slice.classes[0].measures["auroc"]
    odds = []
    for out in range(5):
        rest = [case for n, case in enumerate(scores) if n != out]
        truth, found = (np.concatenate([getattr(c, k)[:, 0] for c in rest]) for k in ("truth", "probabilities"))
        auroc = roc_auc_score(truth, found)
        odds.append(np.log(auroc / (1 - auroc)))
    error = np.sqrt(4 / 5 * np.square(np.array(odds) - np.mean(odds)).sum())
    middle = np.log(measure.value / (1 - measure.value))
    ends = [1 / (1 + np.exp(-(middle + sign * 2.7764451 * error))) for sign in (-1, 1)]
    assert (measure.low, measure.high) == pytest.approx(ends, abs=1e-6)


@pytest.mark.parametrize("patients", [2, 4, 5])
def test_five_patients_give_a_wide_interval_and_fewer_none(patients: int) -> None:
    scores = [case_of([0.9, 0.2 + 0.1 * n, 0.6 - 0.1 * n, 0.3], [1, 0, 1, 0], case_id=str(n)) for n in range(patients)]
    measure = summary_of(scores).slice.classes[0].measures["auroc"]
    if patients < 5:
        assert math.isnan(measure.low)
        assert str(measure) == f"{measure.value:.4f} (too few patients for an interval: {patients})"
    else:
        assert measure.high - measure.low > 0.3
        assert str(measure) == f"{measure.value:.4f} ({measure.low:.3f} to {measure.high:.3f})"


def test_perfect_auroc_of_few_patients_is_not_certain() -> None:
    scores = [case_of([0.9, 0.2], [1, 0], case_id=str(n)) for n in range(6)]
    measure = summary_of(scores).slice.classes[0].measures["auroc"]
    assert (measure.value, measure.high) == (1, 1)
    assert measure.low == pytest.approx(binomtest(6, 6).proportion_ci(method="exact").low)


def shown_by(shows: int, lacks: int, *, low: float = 0.2) -> ClassificationSummary:
    """A perfect classifier of patients with one slice each, some of whom show the class."""
    cases = [case_of([0.9], [1], case_id=f"p{n}") for n in range(shows)]
    return summary_of([*cases, *(case_of([low], [0], case_id=f"q{n}") for n in range(lacks))], resamples=400)


@pytest.mark.parametrize("level", ["slice", "study"])
@pytest.mark.parametrize(("shows", "lacks"), [(1, 4), (1, 29), (2, 28), (4, 60)])
def test_class_that_fewer_than_five_patients_show_has_no_interval(shows: int, lacks: int, level: str) -> None:
    summary = getattr(shown_by(shows, lacks), level)
    for measures in (summary.classes[0].measures, summary.means):
        for measure in measures.values():
            assert math.isnan(measure.low)
            assert math.isnan(measure.high)
            assert str(measure) == f"{measure.value:.4f} (too few patients for an interval: {shows})"


@pytest.mark.parametrize("lacks", [1, 4])
def test_fewer_than_five_patients_without_a_class_leave_intervals_of_what_needs_none_of_them(lacks: int) -> None:
    measures = shown_by(28, lacks).slice.classes[0].measures
    for name in ("auroc", "average_precision", "sensitivity"):
        assert str(measures[name]) == f"1.0000 (too few patients for an interval: {lacks})"
    for name in ("brier", "calibration_error"):
        assert measures[name].low <= measures[name].value <= measures[name].high
        assert measures[name].patients == 28


def test_class_that_no_patient_shows_has_no_interval() -> None:
    measures = shown_by(0, 30).slice.classes[0].measures
    assert str(measures["brier"]) == "0.0400 (too few patients for an interval: 0)"
    assert str(measures["auroc"]) == "none"


@pytest.mark.parametrize(("shows", "lacks"), [(5, 25), (25, 5), (5, 5), (40, 60)])
def test_perfect_value_has_the_exact_interval_of_the_patients_that_it_rests_on(shows: int, lacks: int) -> None:
    """Five of thirty patients show the class: Clopper and Pearson's interval of five of five, not of thirty."""
    measures = shown_by(shows, lacks).slice.classes[0].measures
    low = binomtest(min(shows, lacks), min(shows, lacks)).proportion_ci(method="exact").low
    for name in ("auroc", "average_precision", "sensitivity"):
        assert (measures[name].low, measures[name].high) == pytest.approx((low, 1.0))


def test_rarest_class_decides_on_the_interval_of_the_balanced_accuracy() -> None:
    def choice_of(rare: int) -> ClassChoice:
        true = [2] * rare + [n % 2 for n in range(30)]
        rows = np.eye(3)[true] * 0.4 + 0.2
        rows[::7] = rows[::7, ::-1]
        found = summary_of([case_of(row[None], np.eye(3)[c][None], case_id=str(n)) for n, (row, c) in
                            enumerate(zip(rows, true, strict=True))], resamples=400).slice.choice  # fmt: skip
        assert found is not None
        return found

    few, enough = choice_of(2), choice_of(6)
    assert str(few.balanced_accuracy).endswith("(too few patients for an interval: 2)")
    assert few.accuracy.low < few.accuracy.value < few.accuracy.high
    assert enough.balanced_accuracy.low < enough.balanced_accuracy.value < enough.balanced_accuracy.high


def test_summary_in_words_counts_the_few_patients_of_each_class() -> None:
    """The liver is known in six patients, the spleen in three of them."""
    scores = [
        case_of([[0.9, 0.8], [0.2, 0.3]], [[1, 1], [0, 0]] if n < 3 else [[1, -1], [0, -1]], case_id=str(n))
        for n in range(6)
    ]
    liver, spleen = str(summary_of(scores)).splitlines()[:2]
    assert "AUROC 1.0000 (0.541 to 1.000)" in liver
    few = "1.0000 (too few patients for an interval: 3)"
    assert f"AUROC {few}, AP {few}, 3 of 6 positive" in spleen
    assert "nan" not in str(summary_of(scores))
    assert str(summary_of([case_of([0.9, 0.8], [1, 1])]).slice.classes[0].measures["auroc"]) == "none"


@pytest.mark.usefixtures("drawing")
def test_few_patients_of_a_class_among_many_have_no_interval() -> None:
    known = [case_of([0.9, 0.2], [1, 0], case_id=str(n)) for n in range(4)]
    others = [case_of([0.9, 0.2], [-1, -1], case_id=f"x{n}") for n in range(30)]
    assert math.isnan(summary_of(known + others, resamples=400).slice.classes[0].measures["auroc"].low)


@pytest.mark.usefixtures("drawing")
def test_interval_is_that_of_repeating_the_rows_of_drawn_patients() -> None:
    scores = random_cohort(1, classes=1, unknown=0.0)
    summary = summary_of(scores, resamples=80)
    by_patient = {name: [case for case in scores if case.patient_id == name] for name in {c.patient_id for c in scores}}
    values = []
    for row in patient_weights(len(by_patient), 80):
        drawn = [c for count, name in zip(row, sorted(by_patient), strict=True) for c in by_patient[name] * int(count)]
        table = stack_scores(drawn, classes=("liver",), level="slice")
        gaps = {  # the calibration error, bin by bin
            place: abs(sum(table.probabilities[chosen, 0] - table.truth[chosen, 0]))
            for place in range(15)
            if len(chosen := np.flatnonzero(np.minimum((table.probabilities[:, 0] * 15).astype(int), 14) == place))
        }
        values.append(
            (
                roc_auc_score(table.truth[:, 0], table.probabilities[:, 0]),
                average_precision_score(table.truth[:, 0], table.probabilities[:, 0]),
                brier_score_loss(table.truth[:, 0], table.probabilities[:, 0]),
                sum(gaps.values()) / len(table.truth),
            )
        )
    ends = np.percentile(values, [2.5, 97.5], axis=0).T
    for name, (low, high) in zip(("auroc", "average_precision", "brier", "calibration_error"), ends, strict=True):
        measure = summary.slice.classes[0].measures[name]
        assert (measure.low, measure.high) == pytest.approx((low, high))
        assert measure.low <= measure.value <= measure.high


def test_patients_are_drawn_not_cases_or_slices() -> None:
    alone = summary_of([case_of([0.1, 0.9, 0.4, 0.6], [0, 1, 1, 0], case_id=str(n), patient_id="x") for n in range(9)])
    assert np.isnan(alone.slice.classes[0].measures["auroc"].low)
    assert alone.slice.classes[0].measures["auroc"].value == 0.75
    assert alone.patients == 1
    # Ten patients with the same slices: every draw gives the same value.
    same = summary_of([case_of([0.1, 0.9, 0.4, 0.6], [0, 1, 1, 0], case_id=str(n)) for n in range(10)])
    measure = same.slice.classes[0].measures["auroc"]
    assert (measure.low, measure.high) == pytest.approx((0.75, 0.75))


@pytest.mark.usefixtures("drawing")
def test_class_that_vanishes_from_a_resample_is_dropped_and_counted() -> None:
    scores = [case_of([0.1 + 0.2 * n, 0.2], [1, 0], case_id=f"p{n}") for n in range(5)]
    scores += [case_of([0.3, 0.2], [0, 0], case_id=str(n)) for n in range(45)]
    measure = summary_of(scores, resamples=2000).slice.classes[0].measures["auroc"]
    weights = patient_weights(50, 2000)
    assert measure.dropped == int((weights[:, 45:].sum(axis=1) == 0).sum())  # the five sort last
    assert 2 < measure.dropped < 30
    assert 0 < measure.low < measure.value < measure.high <= 1


@pytest.mark.parametrize(
    ("truth", "note"),
    [([1, 1, -1], "only positives"), ([0, -1, 0], "only negatives"), ([-1, -1, -1], "no known truth"), ([1, 0, 0], "")],
)
def test_one_sided_class_has_no_auroc_and_says_why(truth: list[int], note: str) -> None:
    entry = summary_of([case_of([0.2, 0.5, 0.5], truth), case_of([0.2, 0.5, 0.5], truth, case_id="b")]).slice.classes[0]
    assert entry.note == note
    for name in ("auroc", "average_precision", "sensitivity"):
        assert math.isnan(entry.measures[name].value) == bool(note)
    assert math.isnan(entry.threshold) == bool(note)
    assert (entry.at_specificity is None) == bool(note)
    assert math.isnan(entry.measures["brier"].value) == (note == "no known truth")


def test_case_without_truth_counts_as_unknown() -> None:
    scores = [case_of([0.9, 0.2], [1, 0]), case_of([0.4, 0.4, 0.4], None, case_id="b")]
    entry = summary_of(scores).slice.classes[0]
    assert (entry.positives, entry.negatives, entry.unknown, entry.patients) == (1, 1, 3, 1)
    assert summary_of(scores).study.classes[0].unknown == 1


def test_no_case_gives_a_summary_of_nothing() -> None:
    summary = summary_of([])
    assert (summary.cases, summary.patients, summary.slice.rows) == (0, 0, 0)
    assert all(math.isnan(value) for value in flat_metrics(summary).values())


def test_no_resamples_give_values_without_intervals() -> None:
    scores = random_cohort(0)
    plain, full = (summary_of(scores, resamples=count).slice.classes[0].measures["auroc"] for count in (0, 60))
    assert plain.value == full.value
    assert np.isnan([plain.low, plain.high]).all()
    assert plain.dropped == 0
    choice = summary_of(random_choices(0), resamples=0).slice.choice
    assert choice is not None
    assert np.isnan(choice.accuracy.low)


def test_mean_is_over_the_classes_that_have_the_measure() -> None:
    scores = [
        case_of([[0.9, 0.1], [0.5, 0.3], [0.6, 0.2]], [[1, 0], [1, 0], [0, 0]], case_id="a"),
        *(case_of([[0.8, 0.1], [0.2, 0.3]], [[1, 0], [0, 0]], case_id=str(n)) for n in range(4)),
    ]
    summary = summary_of(scores, resamples=100)
    liver, spleen = summary.slice.classes
    assert spleen.note == "only negatives"
    assert summary.slice.means["auroc"] == liver.measures["auroc"]
    both = (liver.measures["brier"].value + spleen.measures["brier"].value) / 2
    assert summary.slice.means["brier"].value == pytest.approx(both)


def test_threshold_and_counts_by_hand() -> None:
    probabilities = [0.05, 0.1, 0.15, 0.2, 0.6, 0.55, 0.6, 0.9]
    summary = summary_of([case_of(probabilities, [0, 0, 0, 0, 0, 1, 1, 1])], specificity=0.8)
    entry = summary.slice.classes[0]
    assert entry.at_half == TwoByTwo(0.5, true_positives=3, false_positives=1, false_negatives=0, true_negatives=4)
    assert entry.threshold == 0.55  # one of five negatives may pass: the tie at 0.6 does, 0.2 would be the second
    assert entry.at_specificity == replace(entry.at_half, threshold=0.55)
    strict = summary_of([case_of(probabilities, [0, 0, 0, 0, 0, 1, 1, 1])], specificity=0.81).slice.classes[0]
    assert strict.threshold == 0.9
    assert strict.at_specificity == TwoByTwo(0.9, 1, 0, 2, 5)
    assert strict.measures["sensitivity"].value == pytest.approx(1 / 3)


def test_sensitivity_is_the_share_of_positives_at_the_stated_threshold() -> None:
    for seed in range(20):
        for level in (summary_of(random_cohort(seed), specificity=0.7).slice,):
            for entry in level.classes:
                counts = entry.at_specificity
                assert counts is not None
                assert entry.measures["sensitivity"].value == pytest.approx(counts.true_positives / entry.positives)
                assert counts.true_negatives / entry.negatives >= 0.7


def test_calibration_error_by_hand() -> None:
    # Bins of 1/15: 0.01 and 0.05 share one (mean 0.03, one of two positive), 1.0 falls into the last.
    summary = summary_of([case_of([0.01, 0.05, 1.0], [0, 1, 1])])
    assert summary.slice.classes[0].measures["calibration_error"].value == pytest.approx((2 * 0.47 + 0) / 3)


def test_accuracies_and_confusion_of_many_classes_are_scikit_learn_s() -> None:
    scores = random_choices(3)
    names = tuple(f"c{n}" for n in range(7))
    choice = summary_of(scores).slice.choice
    table = stack_scores(scores, classes=names, level="slice")
    rows = table.truth.max(axis=1) == 1
    truth, probabilities = table.truth[rows].argmax(axis=1), table.probabilities[rows]
    first = probabilities.argmax(axis=1)
    assert choice is not None
    assert choice.top5_accuracy is not None
    assert choice.accuracy.value == pytest.approx((first == truth).mean())
    assert choice.top5_accuracy.value == pytest.approx(top_k_accuracy_score(truth, probabilities, k=5, labels=range(7)))
    assert choice.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(truth, first))
    np.testing.assert_array_equal(choice.confusion, confusion_matrix(truth, first, labels=range(7)))
    assert choice.undecided == 4
    assert choice.accuracy.low < choice.accuracy.value < choice.accuracy.high


def test_five_classes_have_no_top5_and_equal_probabilities_take_the_earlier_class() -> None:
    flat = [case_of(np.full((2, 5), 0.2), [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]])]
    choice = summary_of(flat).slice.choice
    assert choice is not None
    assert choice.top5_accuracy is None
    assert choice.accuracy.value == 0.5
    assert choice.confusion[1] == (1, 0, 0, 0, 0)
    six = summary_of([case_of(np.full((6, 6), 1 / 6), np.eye(6))]).slice.choice
    assert six is not None
    assert six.top5_accuracy is not None
    assert six.top5_accuracy.value == pytest.approx(5 / 6)


def test_multi_label_has_no_choice_and_multi_class_no_counts() -> None:
    assert summary_of(random_cohort(0)).slice.choice is None
    assert summary_of(random_choices(0)).slice.classes[0].at_half is None


def test_row_with_two_classes_is_undecided() -> None:
    scores = [case_of([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [[1, 1, 0], [1, -1, -1]])]
    choice = summary_of(scores).slice.choice
    assert choice is not None
    assert choice.undecided == 1
    assert choice.accuracy.value == 1.0


def test_flat_names_hold_level_measure_and_class() -> None:
    summary = summary_of(random_cohort(0))
    flat = flat_metrics(summary)
    assert flat["slice_auroc/liver"] == summary.slice.classes[0].measures["auroc"].value
    assert flat["study_brier/spleen"] == summary.study.classes[1].measures["brier"].value
    assert flat["study_auroc/mean"] == summary.study.means["auroc"].value
    assert flat["slice_auroc_low/liver"] == summary.slice.classes[0].measures["auroc"].low
    assert flat["slice_sensitivity_at_specificity/mean"] == summary.slice.means["sensitivity"].value
    assert len(flat) == 2 * 3 * (5 + 4)
    choices = flat_metrics(summary_of(random_choices(0)))
    assert {"slice_accuracy", "study_top5_accuracy", "slice_balanced_accuracy"} <= set(choices)


def test_summary_is_the_same_whatever_the_order_of_cases() -> None:
    scores = random_cohort(5)
    forward, backward = (flat_metrics(summary_of(part)) for part in (scores, scores[::-1]))
    assert forward == pytest.approx(backward, nan_ok=True)


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"case a: slice truth must have shape \(2, 1\), got \(1, 1\)"):
        summary_of([replace(case_of([0.1, 0.2], [0, 1]), truth=np.zeros((1, 1), int))])
    with pytest.raises(GeometryError, match=r"case a: study probabilities must have shape \(1,\), got \(2,\)"):
        summary_of([case_of([0.1, 0.2], [0, 1], study=[0.1, 0.2])])
    with pytest.raises(ScanError, match=r"case a: probabilities must lie in \[0, 1\], got nan"):
        summary_of([case_of([0.1, float("nan")], [0, 1], study=[0.1])])
    with pytest.raises(ScanError, match="case a: truth must be 1, 0 or -1 for unknown, got 2"):
        summary_of([case_of([0.1, 0.2], [0, 2])])
    with pytest.raises(ConfigError, match=r"specificity must lie in \(0, 1\], got 95"):
        summary_of([], specificity=95)


def test_thousands_of_resamples_of_many_slices_take_seconds() -> None:
    random = np.random.default_rng(0)
    scores = []
    for number in range(60):
        truth = (random.random((170, 2)) < 0.3).astype(int)
        scores.append(
            case_of(np.clip(random.random(truth.shape) * 0.7 + 0.3 * truth, 0, 1), truth, case_id=str(number))
        )
    start = time.process_time()
    summary = summary_of(scores, resamples=2000)
    assert time.process_time() - start < 8  # about 0.4 s; a loop over rows takes minutes
    assert summary.slice.rows == 60 * 170
