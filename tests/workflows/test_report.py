"""medseg report, on a run of one epoch."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Medseg
from tests.remedies.evaluation import evaluated
from tests.remedies.runs import train, write_patients


def test_report_says_where_its_files_are_and_what_is_missing(medseg: Medseg, tmp_path: Path) -> None:
    write_patients(tmp_path)
    train(tmp_path, "run")
    evaluated(tmp_path / "evaluation", "c0")
    out = tmp_path / "report"
    done = medseg("report", tmp_path / "run", "--evaluation", tmp_path / "evaluation", "--out", out, "--pdf")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-3:] == [str(out / name) for name in ("report.html", "model_card.md", "report.pdf")]
    assert "missing: Patients, sites, scanners, licence and source" in done.out
    assert "warning: The evaluation does not say which model drew the masks." in done.err
    again = medseg("report", tmp_path / "run", "--out", out)
    assert again.code == 2
    assert "must be new or empty" in again.err


def test_help_says_which_store_shows_the_report(medseg: Medseg) -> None:
    text = " ".join(medseg("report", "--help").out.split())
    assert "[default: that of the training]" in text
    assert "MLFLOW_TRACKING_URI" not in text


def test_folder_that_is_no_run_fails_with_what_to_give(medseg: Medseg, tmp_path: Path) -> None:
    done = medseg("report", tmp_path, "--out", tmp_path / "report")
    assert done.code == 1
    assert "give a run of medseg train" in done.err
