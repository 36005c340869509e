"""The balance of a split that can be counted by hand, and its table."""

from __future__ import annotations

import pytest
from medseg.records import Case
from medseg.split import Balance, BalanceRow, format_balance
from medseg.split.balance import measure_balance
from medseg.split.case_table import CaseTable
from medseg.split.table import largest_imbalance

from tests.split.cohorts import case_of, cohort_of

TUMOURS_ML = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 100.0}
PARTS = {"a": "fold 0", "b": "fold 0", "c": "fold 0", "d": "fold 1", "e": "fold 1", "f": "fold 1", "t": "test"}


def cases() -> list[Case]:
    """Three cases in each fold and one held out; `c` and `d` are of one patient's studies, `f` has no tumour."""
    listed = []
    for name in PARTS:
        label_ml = {"tumour": TUMOURS_ML[name]} if name in TUMOURS_ML else {}
        site = "north" if name in "abf" else "south" if name in "cd" else None
        known = None if name == "t" else label_ml
        patient = {"b": "pa"}.get(name, f"p{name}")
        listed.append(case_of(name, patient, site=site, label_ml=known, split="test" if name == "t" else "training"))
    return listed


@pytest.fixture(scope="module")
def balance() -> Balance:
    return measure_balance(CaseTable.of(cohort_of(cases(), labels={"background": 0, "tumour": 2})), PARTS)


def row_of(balance: Balance, kind: str, name: str) -> BalanceRow:
    (row,) = (row for row in balance.rows if (row.kind, row.name) == (kind, name))
    return row


def test_parts_are_counted_in_cases_and_patients(balance: Balance) -> None:
    assert balance.columns == ("all", "fold 0", "fold 1", "test")
    assert balance.cases == (7, 3, 3, 1)
    assert balance.patients == (6, 2, 3, 1)


def test_share_of_a_label_is_of_the_cases_of_which_it_is_known(balance: Balance) -> None:
    row = row_of(balance, "label", "tumour")
    assert row.cases == (5, 3, 2, 0)
    assert row.percent == (pytest.approx(500 / 6), 100.0, pytest.approx(200 / 3), None)
    assert (row.gap, row.worst) == (pytest.approx(100 / 6), "fold 0")


def test_share_of_a_site_is_of_the_cases_whose_site_is_given(balance: Balance) -> None:
    row = row_of(balance, "site", "north")
    assert row.cases == (3, 2, 1, 0)
    assert row.percent == (60.0, pytest.approx(200 / 3), 50.0, None)
    assert (row.gap, row.worst) == (pytest.approx(10.0), "fold 1")


def test_volumes_have_mean_and_quartiles(balance: Balance) -> None:
    row = row_of(balance, "volume", "tumour")
    assert row.cases == (5, 3, 2, 0)
    assert row.mean_ml == (22.0, 2.0, 52.0, None)
    assert row.quartiles_ml == ((2.0, 3.0, 4.0), (1.5, 2.0, 2.5), (28.0, 52.0, 76.0), None)


def test_gap_of_a_volume_is_its_medians_percentile_off_the_middle_times_its_share(balance: Balance) -> None:
    """Median 2 of fold 0 stands at 30 %, all its cases have a tumour; 52 of fold 1 at 80 %, two of three have."""
    row = row_of(balance, "volume", "tumour")
    assert (row.gap, row.worst) == (pytest.approx(20.0), "fold 0")
    only = measure_balance(CaseTable.of(cohort_of(cases())), {**PARTS, "a": "fold 1", "b": "fold 1", "f": "fold 0"})
    row = row_of(only, "volume", "tumour")  # fold 0: c and f, median 3; fold 1: a, b, d, e, median 3
    assert row.gap == 0


def test_kinds_without_any_value_have_no_rows(balance: Balance) -> None:
    assert {row.kind for row in balance.rows} == {"label", "volume", "site"}
    bare = measure_balance(CaseTable.of(cohort_of([case_of("a", "p")])), {"a": "fold 0"})
    assert bare.rows == ()
    assert bare.largest is None
    assert "largest imbalance: none known" in format_balance(bare)


def test_most_unbalanced_row_is_the_largest(balance: Balance) -> None:
    assert balance.largest == row_of(balance, "volume", "tumour")
    assert largest_imbalance(balance) == (
        "largest imbalance: 20.0 points, volume tumour in fold 0 (median 2 ml, 3 ml in all)"
    )


def test_parts_are_in_the_order_of_their_numbers() -> None:
    many = [case_of(f"c{n}", f"p{n}") for n in range(12)]
    parts = {f"c{n}": "test" if n == 11 else f"fold {n}" for n in range(12)}
    columns = measure_balance(CaseTable.of(cohort_of(many)), parts).columns
    assert columns == ("all", *(f"fold {n}" for n in range(11)), "test")


def test_table_has_a_line_per_feature_and_a_column_per_part(balance: Balance) -> None:
    assert format_balance(balance).splitlines() == [
        "             all  fold 0  fold 1    test  off by",
        "patients       6       2       3       1",
        "cases          7       3       3       1",
        "label: cases",
        "  tumour  5  83%  3 100%  2  67%  0    –    16.7",
        "label: median ml",
        "  tumour       3       2      52       –    20.0",
        "site: cases",
        "  north   3  60%  2  67%  1  50%  0    –    10.0",
        "  south   2  40%  1  33%  1  50%  0    –    10.0",
        "largest imbalance: 20.0 points, volume tumour in fold 0 (median 2 ml, 3 ml in all)",
    ]


def table_of_sites(names: int, folds: int) -> str:
    columns = ("all", *(f"fold {n}" for n in range(folds)))
    one = (1,) * len(columns)
    rows = [
        BalanceRow("site", f"site {n:02d} " + "x" * 20, one, (50.0,) * len(columns), 10.0 - n, "fold 0")
        for n in range(names)
    ]
    return format_balance(Balance(columns, one, one, tuple(rows)))


def test_rows_beyond_the_first_are_told_in_one_line() -> None:
    lines = table_of_sites(9, 2).splitlines()
    assert len(lines) == 4 + 6 + 2
    assert lines[-3].startswith("  site 05 xxxxxxxxxxxxxxx…  ")
    assert lines[-2] == "  and 3 more, off by at most 4.0"


@pytest.mark.parametrize(("folds", "cell"), [(7, "  1  50%  1  50%"), (8, "50%     50%")])
def test_many_parts_are_told_without_counts(folds: int, cell: str) -> None:
    assert cell in table_of_sites(1, folds)


@pytest.mark.parametrize(("millilitres", "text"), [(1482.3, "1482"), (99.96, "100"), (0.0123456, "0.0123")])
def test_volumes_are_told_to_three_digits_without_exponent(millilitres: float, text: str) -> None:
    quartiles = (millilitres, millilitres, millilitres)
    row = BalanceRow("volume", "liver", (1, 1), (), 0.0, "fold 0", (1.0, 1.0), (quartiles, quartiles))
    assert f" {text} " in format_balance(Balance(("all", "fold 0"), (1, 1), (1, 1), (row,)))


def test_means_are_the_same_to_the_last_digit_in_any_order_of_the_cases() -> None:
    listed = [case_of(f"c{n}", f"p{n}", label_ml={"tumour": ml}) for n, ml in enumerate((0.1, 0.2, 0.3))]
    parts = {"c0": "fold 0", "c1": "fold 0", "c2": "fold 0"}
    forward, backward = (CaseTable.of(cohort_of(order)) for order in (listed, listed[::-1]))
    assert measure_balance(forward, parts) == measure_balance(backward, parts)
