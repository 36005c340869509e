from __future__ import annotations

from pathlib import Path

import pytest
from medseg.records import Manifest

from tests.conftest import Medseg


def test_unreachable_mlflow_store_is_a_failure_and_no_usage_error(
    cohort: tuple[Manifest, Path], medseg: Medseg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "junk.db").write_text("not a database " * 100, encoding="utf-8")
    outcome = medseg(
        "train", cohort[1], "--out", "run", "--epochs", 1, "--tracking-uri", f"sqlite:///{tmp_path / 'junk.db'}"
    )
    assert outcome.code == 1
    assert "junk.db: must be reachable, got: (sqlite3.DatabaseError) file is not a database;" in outcome.err
    assert outcome.err.rstrip().endswith("check the tracking URI")
    assert not (tmp_path / "run" / "model" / "last.safetensors").exists()


def test_folds_without_a_model_are_not_named_as_if_they_had_one(tmp_path: Path) -> None:
    from medseg.workflows.train import _what

    for number in range(3):
        (tmp_path / f"fold_{number}" / "model").mkdir(parents=True)
    (tmp_path / "fold_1" / "model" / "last.safetensors").touch()
    assert _what(tmp_path) == "models in the folders fold_1, masks in out_of_fold of"
