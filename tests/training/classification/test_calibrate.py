"""What a classifier learns from its validation cases: a temperature, thresholds that hold what they say, a limit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from medseg.evaluation.classification import fit_temperature
from medseg.inference.classification import SliceOutputs, slice_probabilities
from medseg.inference.classification.gate import kept_range
from medseg.records import Array, SliceScores
from medseg.targets import ClassKind, SliceClasses
from medseg.training.classification import ValidatedCase, calibrate, class_weights
from medseg.training.classification.loss import ClassLoss

from tests.training.classification.toys import BOTH

NONE = np.zeros(2)
ONE_OF = SliceClasses(kind="multiclass", classes=("background", "liver", "spleen"))


def validated(
    logits: Array, truth: Array, *, study: Array | None = None, study_truth: Array | None = None, name: str = "a"
) -> ValidatedCase:
    truth = np.asarray(truth, np.int8)
    p = np.full(logits.shape, 0.5)  # a calibration starts from logits, not from these
    whole = truth.max(axis=0) if study_truth is None else study_truth
    scores = SliceScores(name, name, 2, np.arange(float(len(logits))), p, p[0], truth, whole)
    return ValidatedCase(scores, SliceOutputs(np.asarray(logits, float), study, None))


def drawn(temperature: float, *, count: int = 4000, shift: Sequence[float] = (0, 0)) -> tuple[Array, Array]:
    """Truth drawn from honest probabilities, and logits that are hotter and shifted."""
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (count, 2))
    truth = (rng.random((count, 2)) < 1 / (1 + np.exp(-honest))).astype(np.int8)
    return honest * temperature + np.array(shift), truth


def log_loss(p: Array, truth: Array) -> float:
    return float(-np.where(truth == 1, np.log(p), np.log(1 - p)).mean())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_undoes_overconfidence(temperature: float) -> None:
    logits, truth = drawn(temperature)
    found = calibrate([validated(logits, truth)], BOTH, shift=NONE)
    assert found.temperature == pytest.approx(temperature, rel=0.08)
    assert found.cases == 1


def test_shift_is_taken_off_before_the_temperature() -> None:
    shift = np.log([9.0, 0.25])
    logits, truth = drawn(3.0, shift=tuple(shift))
    found = calibrate([validated(logits, truth)], BOTH, shift=shift)
    assert found.temperature == pytest.approx(3.0, rel=0.08)
    p = slice_probabilities(logits, shift=shift, temperature=found.temperature, kind="multilabel")
    np.testing.assert_allclose(p.mean(axis=0), truth.mean(axis=0), atol=0.02)


def test_temperature_is_used_once() -> None:
    """Used once it is the best there is; not at all or twice is worse."""
    logits, truth = drawn(3.0)
    found = calibrate([validated(logits, truth)], BOTH, shift=NONE).temperature
    losses = [
        log_loss(slice_probabilities(logits, shift=NONE, temperature=t, kind="multilabel"), truth)
        for t in (found, 1.0, found**2)
    ]
    assert losses[0] < losses[1]
    assert losses[0] < losses[2]
    p = slice_probabilities(np.array([[6.0, -3.0]]), shift=NONE, temperature=3.0, kind="multilabel")
    np.testing.assert_allclose(p, [[1 / (1 + math.exp(-2)), 1 / (1 + math.exp(1))]])


def test_unknown_slices_do_not_calibrate() -> None:
    logits, truth = drawn(2.0, count=500)
    wild = np.full((500, 2), 50.0)
    alone = calibrate([validated(logits, truth)], BOTH, shift=NONE)
    beside = calibrate([validated(logits, truth), validated(wild, np.full((500, 2), -1), name="b")], BOTH, shift=NONE)
    assert beside.temperature == pytest.approx(alone.temperature)
    assert beside.gate == alone.gate
    assert beside.disagreement_limit == alone.disagreement_limit
    assert (alone.cases, beside.cases) == (1, 2)


def test_studies_give_the_temperature_where_the_network_pools_them() -> None:
    logits, truth = drawn(2.5, count=400)
    shift = np.log([4.0, 0.5])
    cases = [
        validated(np.zeros((3, 2)), np.full((3, 2), -1), study=row + shift, study_truth=shown, name=f"{n}")
        for n, (row, shown) in enumerate(zip(logits, truth, strict=True))
    ]
    found = calibrate(cases, BOTH, shift=shift)
    assert found.temperature == pytest.approx(fit_temperature(logits, truth, kind="multilabel"))
    assert found.temperature == pytest.approx(2.5, rel=0.25)
    assert found.gate == ()
    assert found.disagreement_limit is None


def test_no_validation_cases_calibrate_nothing() -> None:
    found = calibrate([], BOTH, shift=NONE)
    assert (found.cases, found.temperature, found.gate, found.disagreement_limit) == (0, 1.0, (), None)


@pytest.mark.parametrize("targets", [BOTH, ONE_OF], ids=["multilabel", "multiclass"])
def test_every_gate_reaches_its_sensitivity_on_the_validation_slices(targets: SliceClasses) -> None:
    rng = np.random.default_rng(1)
    width = len(targets.classes)
    shift, cases = rng.normal(size=width), []
    for number in range(4):
        if targets.kind == "multiclass":
            truth = np.eye(width, dtype=int)[rng.choice(width, 40, p=[0.6, 0.3, 0.1])]
        else:
            truth = (rng.random((40, width)) < 0.2).astype(int)
        cases.append(validated(rng.normal(size=(40, width)) + 2 * truth, truth, name=f"{number}"))
    found = calibrate(cases, targets, shift=shift)
    assert [point.sensitivity for point in found.gate] == sorted(point.sensitivity for point in found.gate)
    assert found.gate[-1].sensitivity == 1.0
    thresholds = [point.threshold for point in found.gate]
    assert thresholds == sorted(thresholds, reverse=True)
    for point in found.gate:
        inside = positives = kept = 0
        for case in cases:
            p = slice_probabilities(case.outputs.slices, shift=shift, temperature=found.temperature, kind=targets.kind)
            anything = targets.any_probability(p)
            truth = np.asarray(case.scores.truth)
            shows = truth[:, 1:].any(axis=1) if targets.kind == "multiclass" else truth.any(axis=1)
            start, stop = kept_range(anything, case.scores.positions_mm, threshold=point.threshold)
            inside, positives, kept = inside + shows[start:stop].sum(), positives + shows.sum(), kept + stop - start
        assert inside / positives == pytest.approx(point.reached)
        assert point.reached >= point.sensitivity
        assert kept / 160 == pytest.approx(point.kept)


def test_one_false_alarm_far_away_asks_for_a_higher_threshold() -> None:
    """Slices 10 to 19 of 100 show something; between the first and the last sure one the slab has no holes."""
    truth = np.zeros((100, 2), int)
    truth[10:20, 0] = 1
    logits = np.full((100, 2), -6.0)
    logits[[10, 19], 0] = 6.0
    logits[90, 0] = 3.0
    found = calibrate([validated(logits, truth)], BOTH, shift=NONE)
    assert found.gate[-1].reached == 1.0
    assert found.gate[-1].kept < 0.3


def test_slice_that_may_show_something_is_neither_to_be_kept_nor_left() -> None:
    """Known: one of two classes absent, the other unknown; such slices count neither as kept rightly nor as lost."""
    logits = np.array([[4.0, -4.0], [2.0, -4.0], *[[-4.0, -4.0]] * 40, [-9.0, -9.0]])
    truth = np.array([[1, -1], [1, 0], *[[0, 0]] * 40, [-1, 0]])
    found = calibrate([validated(logits, truth)], BOTH, shift=NONE)
    assert found.gate[-1].reached == 1.0
    assert found.gate[-1].kept < 0.5


def test_no_gate_where_no_slice_shows_anything_or_every_slice_is_of_a_class() -> None:
    assert calibrate([validated(np.zeros((3, 2)), np.zeros((3, 2)))], BOTH, shift=NONE).gate == ()
    config = SliceClasses(kind="multiclass", classes=("liver", "spleen"))
    assert calibrate([validated(np.zeros((3, 2)), np.eye(2)[[0, 1, 0]])], config, shift=NONE).gate == ()


def test_limit_is_what_95_percent_of_the_cases_stay_below() -> None:
    """A case whose probabilities are all 0.5 + d disagrees by 0.5 - d with slices that all show everything."""
    steps = np.linspace(0, 2, 21)
    cases = [validated(np.full((4, 2), step), np.ones((4, 2)), name=f"{step}") for step in steps]
    found = calibrate(cases, BOTH, shift=NONE)
    disagreement = 1 - 1 / (1 + np.exp(-steps / found.temperature))
    assert found.disagreement_limit == pytest.approx(np.percentile(disagreement, 95))


def test_limit_is_of_labels_alone_as_a_mask_is_judged() -> None:
    """A mask has no background to be measured by: with one class per slice it counts in neither."""
    logits = np.array([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 1.0]])
    truth = np.eye(3)
    found = calibrate([validated(logits, truth)], ONE_OF, shift=np.zeros(3))
    p = slice_probabilities(logits, shift=np.zeros(3), temperature=found.temperature, kind="multiclass")
    assert found.disagreement_limit == pytest.approx(np.abs(p - truth)[:, 1:].mean())


def fitted(features: Array, truth: Array, weights: Array, kind: ClassKind) -> Array:
    """Logits of a linear model at the optimum of the training's own loss."""
    x = torch.from_numpy(features).double()
    model = torch.nn.Linear(x.shape[1], truth.shape[1], bias=False).double()
    loss = ClassLoss(kind, weights).double()
    torch.nn.init.zeros_(model.weight)
    optimiser = torch.optim.LBFGS(
        model.parameters(), max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-10, tolerance_change=1e-14
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        value = loss(model(x), torch.from_numpy(truth))
        value.backward()
        return value

    optimiser.step(closure)
    return model(x).detach().numpy()


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_weighted_loss_gives_frequencies_once_the_shift_is_off(kind: ClassKind) -> None:
    """A saturated logistic model of two groups: the answer is each group's share of positives, whatever the weights."""
    rng = np.random.default_rng(5)
    group = np.repeat([0, 1], [900, 100])
    truth = np.zeros((1000, 2), np.int8)
    truth[:, 1] = np.where(group == 1, rng.random(1000) < 0.3, rng.random(1000) < 0.02)
    truth[:, 0] = 1 - truth[:, 1] if kind == "multiclass" else rng.random(1000) < 0.04
    weights = class_weights(truth, kind=kind, strongest=100)
    assert weights.max() > 5
    logits = fitted(np.eye(2)[group], truth, weights, kind)
    p = slice_probabilities(logits, shift=np.log(weights), temperature=1.0, kind=kind)
    shares = np.stack([truth[group == g].mean(axis=0) for g in (0, 1)])
    np.testing.assert_allclose(p, shares[group], atol=2e-4)
    raw = slice_probabilities(logits, shift=np.zeros(2), temperature=1.0, kind=kind)
    assert raw[:, 1].mean() > 3 * truth[:, 1].mean()
