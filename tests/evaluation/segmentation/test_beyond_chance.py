"""A try is taken only if it is better beyond chance, whatever the number of tries."""

from __future__ import annotations

import numpy as np
import pytest
from medseg.evaluation.segmentation import best_of, judge_tries
from scipy.stats import wilcoxon

CASES = [f"c{number:02d}" for number in range(20)]
PATIENTS = {case: case for case in CASES}
BEFORE = dict.fromkeys(CASES, 0.5)


def raised(gain: float) -> dict[str, float]:
    """A little more or less in every case, by the gain more on average."""
    return {case: 0.5 + gain + 0.001 * (number % 5 - 2) for number, case in enumerate(CASES)}


def test_clear_gain_is_taken_and_the_larger_of_two() -> None:
    judged = judge_tries({"small": (BEFORE, raised(0.01)), "large": (BEFORE, raised(0.02))}, patients=PATIENTS)
    assert [one.is_better for one in judged] == [True, True]
    best = best_of(judged)
    assert best is not None
    assert best.name == "large"
    assert best.difference.low > 0


def test_loss_and_nothing_are_not_taken() -> None:
    judged = judge_tries({"worse": (BEFORE, raised(-0.02)), "same": (BEFORE, BEFORE)}, patients=PATIENTS)
    assert [one.difference.verdict for one in judged] == ["first", "equal"]
    assert best_of(judged) is None
    assert best_of([]) is None


def test_p_is_corrected_for_the_number_of_tries() -> None:
    rng = np.random.default_rng(2)
    change = rng.normal(0.0065, 0.012, len(CASES))
    after = {case: 0.5 + value for case, value in zip(CASES, change.tolist(), strict=True)}
    p_value = wilcoxon(change).pvalue
    assert 0.005 < p_value < 0.05  # it is taken alone, and not as one of ten
    alone = judge_tries({"try": (BEFORE, after)}, patients=PATIENTS)
    among = judge_tries({"try": (BEFORE, after)} | {f"idle {n}": (BEFORE, BEFORE) for n in range(9)}, patients=PATIENTS)
    assert alone[0].is_better
    assert not among[0].is_better
    assert among[0].difference.corrected_p == pytest.approx(10 * p_value)


def test_few_patients_tell_nothing() -> None:
    few = CASES[:5]
    judged = judge_tries({"try": (dict.fromkeys(few, 0.1), dict.fromkeys(few, 0.9))}, patients=PATIENTS)
    assert judged[0].difference.verdict == "unknown"
    assert not judged[0].is_better
