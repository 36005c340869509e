"""The benchmark of continued learning keeps old and new cases, and their folds, apart."""

from __future__ import annotations

from medseg.manifest import split_fold
from medseg.records import Case

from benchmarks.continued import datasets, without_old_training
from tests.split.cohorts import cohort_of


def test_old_cases_keep_their_folds_and_new_ones_alone_leave_only_those_of_the_validation() -> None:
    cases = [Case(case_id=f"c{n:02d}", patient_id=f"p{n:02d}", images=(f"{n}.nii.gz",)) for n in range(40)]
    old, both = datasets(cohort_of(cases), old=20, added=15, seed=1)
    assert (len(old.cases), len(both.cases)) == (20, 35)
    assert both.cases[:20] == old.cases
    assert [len(split_fold(one, 0)[1]) for one in (old, both)] == [4, 7]
    alone = without_old_training(both, old, 0)
    training, validation = split_fold(alone, 0)
    assert validation == split_fold(both, 0)[1]
    assert {case.case_id for case in training}.isdisjoint(case.case_id for case in old.cases)
    assert len(training) == 12
