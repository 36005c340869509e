"""Every fold has a fair share of a budget, or none begins."""

from __future__ import annotations

import pytest
from medseg.errors import ConfigError
from medseg.runs.shared_budget import SharedBudget


@pytest.mark.parametrize(
    ("folds", "at_once", "total_s"), [(3, 1, 60), (5, 1, 50), (3, 2, 120), (5, 2, 180), (5, 5, 60)]
)
@pytest.mark.parametrize("overrun_s", [0, 5])
@pytest.mark.parametrize("drawing", [0.02, 0.1, 0.25])
def test_last_fold_has_half_of_what_the_first_has_at_least(
    folds: int, at_once: int, total_s: float, overrun_s: float, drawing: float
) -> None:
    shared = SharedBudget(total_s, folds, at_once)
    now, shares = 0.0, []
    for first in range(0, folds, at_once):
        known = drawing * total_s if first else None
        share = shared.share_s(first, passed_s=now, drawing_s=known, overrun_s=overrun_s if first else 0)
        shares.append(share)
        now += share + overrun_s
    assert min(shares) >= max(shares) / 2
    assert min(shares) >= shared.equal_s / 2
    is_floor_reached = shares[-1] == shared.equal_s / 2
    assert now + drawing * total_s <= total_s + 1e-6 or is_floor_reached or shared.rounds == 1 or overrun_s > 0


def test_folds_that_overrun_their_shares_alike_end_together_with_the_budget() -> None:
    shared, now, shares = SharedBudget(100, 4, 1), 0.0, []
    for place in range(4):
        shares.append(shared.share_s(place, passed_s=now, drawing_s=10, overrun_s=5 if place else 0))
        now += shares[-1] + 5
    assert shares == pytest.approx([22.5, 15.8333, 15.8333, 15.8333], rel=1e-3)
    assert now == pytest.approx(90)


@pytest.mark.parametrize(("folds", "at_once", "least_s"), [(3, 1, 30), (3, 2, 60), (5, 5, 30)])
def test_budget_too_small_for_all_folds_is_refused_before_any_begins(folds: int, at_once: int, least_s: float) -> None:
    SharedBudget(least_s, folds, at_once).check()
    with pytest.raises(ConfigError, match=f"budget of {folds} folds must be at least {least_s}s, .*{least_s - 1}s"):
        SharedBudget(least_s - 1, folds, at_once).check()
