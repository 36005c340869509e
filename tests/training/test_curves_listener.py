from __future__ import annotations

from pathlib import Path

from medseg.training import CurvesListener
from medseg.training.task import Validation


def test_scores_of_validations_have_a_table_that_a_resumed_run_continues(tmp_path: Path) -> None:
    path = tmp_path / "validation_curve.csv"
    for step, score in ((10, 0.25), (20, 0.5), (30, 0.75)):
        CurvesListener(tmp_path / "curves.csv", validations=path).on_validation(step, Validation(score, {}, ()))
    assert path.read_text() == "step,score\n10,0.25\n20,0.5\n30,0.75\n"
    CurvesListener(tmp_path / "curves.csv", validations=path).on_validation(20, Validation(0.625, {}, ()))
    assert path.read_text() == "step,score\n10,0.25\n20,0.625\n"
    assert not (tmp_path / "curves.csv").exists()


def test_scores_are_written_only_where_a_table_is_named(tmp_path: Path) -> None:
    CurvesListener(tmp_path / "curves.csv").on_validation(10, Validation(0.25, {}, ()))
    assert list(tmp_path.iterdir()) == []
