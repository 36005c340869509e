from __future__ import annotations

from pathlib import Path

from medseg.training import CurvesListener
from medseg.training.forecast import Forecast, Interval
from medseg.training.task import Validation

HEAD = "step,score,forecast,forecast_low,forecast_high\n"


def test_scores_of_validations_have_a_table_that_a_resumed_run_continues(tmp_path: Path) -> None:
    path = tmp_path / "validation_curve.csv"
    for step, score in ((10, 0.25), (20, 0.5), (30, 0.75)):
        CurvesListener(tmp_path / "curves.csv", validations=path).on_validation(step, Validation(score, {}, ()))
    assert path.read_text() == f"{HEAD}10,0.25,nan,nan,nan\n20,0.5,nan,nan,nan\n30,0.75,nan,nan,nan\n"
    CurvesListener(tmp_path / "curves.csv", validations=path).on_validation(20, Validation(0.625, {}, ()))
    assert path.read_text() == f"{HEAD}10,0.25,nan,nan,nan\n20,0.625,nan,nan,nan\n"
    assert not (tmp_path / "curves.csv").exists()


def test_forecast_of_the_end_stands_beside_the_score(tmp_path: Path) -> None:
    path = tmp_path / "validation_curve.csv"
    listener = CurvesListener(tmp_path / "curves.csv", validations=path)
    gain = Interval(0.01, 0.0, 0.02)
    listener.on_validation(10, Validation(0.5, {}, (), Forecast(Interval(0.75, 0.625, 0.875), gain)))
    listener.on_validation(20, Validation(0.5, {}, (), Forecast(None, gain)))
    assert path.read_text() == f"{HEAD}10,0.5,0.75,0.625,0.875\n20,0.5,nan,nan,nan\n"


def test_scores_are_written_only_where_a_table_is_named(tmp_path: Path) -> None:
    CurvesListener(tmp_path / "curves.csv").on_validation(10, Validation(0.25, {}, ()))
    assert list(tmp_path.iterdir()) == []
