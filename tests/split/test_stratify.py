"""Iterative stratification by itself, and the books that it keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from medseg.split.ledger import SIZE_WEIGHT, UNDECIDED, Counts, Ledger, Numbers, Parts
from medseg.split.refine import level_sizes, refine
from medseg.split.stratify import stratify

SEEDS = st.integers(0, 99)


def with_sizes(flags: np.ndarray) -> Counts:
    """Patients of one case each, or more where a stratum counts more."""
    return np.column_stack([flags, np.maximum(flags.max(axis=1, initial=0), 1)]).astype(np.int64)


@st.composite
def books(draw: st.DrawFn) -> tuple[Counts, Numbers, Parts]:
    """Counts of patients by stratum, ratios, and a part of each patient."""
    patients, strata, parts = draw(st.integers(4, 20)), draw(st.integers(1, 4)), draw(st.integers(2, 4))
    counts = with_sizes(draw(arrays(np.int64, (patients, strata), elements=st.integers(0, 4))))
    weights = np.array([draw(st.integers(1, 4)) for _ in range(parts)])
    where = np.array([draw(st.integers(0, parts - 1)) for _ in range(patients)])
    return counts, weights / weights.sum(), where


def chi_squared(counts: Counts, ratios: Numbers, parts: Parts) -> float:
    """Pearson's, written out; the sizes count more."""
    total = 0.0
    for part, ratio in enumerate(ratios):
        for stratum in range(counts.shape[1]):
            want = ratio * counts[:, stratum].sum()
            weight = SIZE_WEIGHT if stratum == counts.shape[1] - 1 else 1.0
            total += weight * (counts[parts == part, stratum].sum() - want) ** 2 / want if want else 0.0
    return float(total)


def moved(parts: Parts, patient: int, part: int) -> Parts:
    changed = parts.copy()
    changed[patient] = part
    return changed


@settings(max_examples=30, deadline=None)
@given(book=books(), data=st.data())
def test_costs_are_differences_of_chi_squared(book: tuple[Counts, Numbers, Parts], data: st.DataObject) -> None:
    counts, ratios, parts = book
    first, second = data.draw(st.lists(st.integers(0, len(parts) - 1), min_size=2, max_size=2, unique=True))
    ledger, before = Ledger(counts, ratios, parts), chi_squared(counts, ratios, parts)
    removed = chi_squared(counts, ratios, moved(parts, first, UNDECIDED))
    assert ledger.cost_to_remove(np.array([first]))[0] == pytest.approx(removed - before, abs=1e-6)
    part, other = int(parts[first]), int(parts[second])
    if part != other:
        added = chi_squared(counts, ratios, moved(parts, first, other)) - removed
        assert ledger.cost_to_add(np.array([first]))[0, other] == pytest.approx(added, abs=1e-6)
        swapped = chi_squared(counts, ratios, moved(moved(parts, first, other), second, part)) - before
        pair = np.array([first, second])
        adding, removing, both = ledger.cost_to_add(pair), ledger.cost_to_remove(pair), ledger.cost_of_both(pair)
        total = adding[0, other] + adding[1, part] + removing.sum() - both[0, 1] - both[1, 0]
        assert total == pytest.approx(swapped, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(book=books(), data=st.data())
def test_books_are_right_after_every_entry(book: tuple[Counts, Numbers, Parts], data: st.DataObject) -> None:
    counts, ratios, parts = book
    ledger = Ledger(counts, ratios, np.full(len(parts), UNDECIDED))
    for patient in range(len(parts)):
        ledger.put(patient, int(parts[patient]))
    patient, part = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, len(ratios) - 1))
    ledger.put(patient, part)
    fresh = Ledger(counts, ratios, moved(parts, patient, part))
    np.testing.assert_allclose(ledger.held, fresh.held)
    np.testing.assert_allclose(ledger.surplus, fresh.surplus)
    everyone = np.arange(len(parts))
    np.testing.assert_allclose(ledger.cost_to_add(everyone), fresh.cost_to_add(everyone), atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(book=books(), seed=SEEDS)
def test_refining_never_makes_it_worse_and_takes_no_part_its_last_of_a_covered_stratum(
    book: tuple[Counts, Numbers, Parts], seed: int
) -> None:
    counts, ratios, parts = book
    ledger = Ledger(counts, ratios, parts)
    covered = np.arange(counts.shape[1]) == 0
    had = ledger.held[:, 0] > 0
    refine(ledger, np.arange(len(parts)), covered=covered, rng=np.random.default_rng(seed))
    assert chi_squared(counts, ratios, ledger.parts) <= chi_squared(counts, ratios, parts) + 1e-6
    assert (ledger.held[had, 0] > 0).all()


@settings(max_examples=25, deadline=None)
@given(book=books())
def test_levelled_sizes_differ_by_at_most_the_largest_patient(book: tuple[Counts, Numbers, Parts]) -> None:
    counts, ratios, parts = book
    ledger = Ledger(counts, ratios, parts)
    level_sizes(ledger, np.arange(len(parts)), covered=np.zeros(counts.shape[1], dtype=bool))
    assert ledger.surplus.max() - ledger.surplus.min() <= counts[:, -1].max() + 1e-6


def test_levelling_moves_those_first_who_are_not_the_last_of_their_label() -> None:
    counts = with_sizes(np.array([[1, 0], [0, 1], [0, 1], [0, 1], [0, 0], [0, 0]]))
    ledger = Ledger(counts, np.array([0.5, 0.5]), np.array([0, 0, 0, 0, 0, 1]))
    level_sizes(ledger, np.arange(6), covered=np.array([True, True, False]))
    assert ledger.parts[0] == 0
    assert ledger.surplus.tolist() == [0, 0]


@pytest.mark.parametrize("seed", range(5))
def test_strata_that_divide_evenly_are_divided_evenly(seed: int) -> None:
    pattern = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 0]])
    counts = with_sizes(np.repeat(pattern, 4, axis=0))
    covered = np.zeros(4, dtype=bool)
    parts = stratify(counts, ratios=np.full(4, 0.25), seed=seed, covered=covered)
    for part in range(4):
        assert counts[parts == part].sum(axis=0).tolist() == [3, 2, 2, 5]


@settings(max_examples=30, deadline=None)
@given(flags=arrays(np.int64, (24, 4), elements=st.integers(0, 1)), parts=st.integers(2, 4), seed=SEEDS)
def test_rarest_label_is_in_every_part_if_it_has_a_patient_for_each(flags: np.ndarray, parts: int, seed: int) -> None:
    flags[:, 0] = np.arange(24) < parts
    flags[:, 1:][:, flags[:, 1:].sum(axis=0) <= parts] = 0
    covered = np.array([True] * 4 + [False])
    found = stratify(with_sizes(flags), ratios=np.full(parts, 1 / parts), seed=seed, covered=covered)
    assert set(found[flags[:, 0] == 1].tolist()) == set(range(parts))


def test_rarest_stratum_is_dealt_first() -> None:
    rare, common = np.zeros(40, int), np.ones(40, int)
    rare[:4] = 1
    counts = with_sizes(np.column_stack([common, rare]))
    parts = stratify(counts, ratios=np.full(4, 0.25), seed=0, covered=np.zeros(3, dtype=bool))
    assert sorted(parts[:4].tolist()) == [0, 1, 2, 3]


def test_decided_patients_stay_where_they_are() -> None:
    counts = with_sizes(np.ones((10, 1), int))
    given_parts = np.array([1, 1, *[UNDECIDED] * 8])
    parts = stratify(counts, ratios=np.array([0.6, 0.4]), seed=0, given=given_parts, covered=np.zeros(2, dtype=bool))
    assert parts[:2].tolist() == [1, 1]
    assert np.bincount(parts).tolist() == [6, 4]


def test_many_patients_are_refined_by_samples() -> None:
    rng = np.random.default_rng(0)
    counts = with_sizes((rng.random((700, 12)) < 0.2).astype(int) * rng.integers(1, 5, (700, 1)))
    ratios, parts = np.full(5, 0.2), rng.integers(0, 5, 700)
    ledger = Ledger(counts, ratios, parts)
    refine(ledger, np.arange(700), covered=np.zeros(13, dtype=bool), rng=rng)
    assert chi_squared(counts, ratios, ledger.parts) < 0.2 * chi_squared(counts, ratios, parts)


def test_no_exchange_of_two_patients_would_make_a_split_more_even() -> None:
    rng = np.random.default_rng(3)
    counts = with_sizes((rng.random((40, 6)) < 0.3).astype(int))
    ratios = np.full(4, 0.25)
    parts = stratify(counts, ratios=ratios, seed=0, covered=np.zeros(7, dtype=bool))
    cost = chi_squared(counts, ratios, parts)
    exchanged = [moved(moved(parts, a, parts[b]), b, parts[a]) for a in range(40) for b in range(a)]
    assert min(chi_squared(counts, ratios, other) for other in exchanged) >= cost - 1e-6


@pytest.mark.parametrize("seed", range(10))
def test_sizes_are_even_although_many_strata_pull_the_other_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = with_sizes((rng.random((20, 30)) < 0.3).astype(int))
    parts = stratify(counts, ratios=np.full(4, 0.25), seed=seed, covered=np.zeros(31, dtype=bool))
    assert np.bincount(parts).tolist() == [5, 5, 5, 5]
