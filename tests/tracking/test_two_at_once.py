"""Two trainings that start in one folder at the same second are both whole."""

from __future__ import annotations

from pathlib import Path

from medseg.records import Manifest

from tests.tracking.two_trainings import assert_both_whole, train_two


def test_two_trainings_in_one_folder_share_its_sqlite_store_and_both_are_whole(
    cohort: tuple[Manifest, Path], tmp_path: Path
) -> None:
    import mlflow

    told = train_two(cohort[1], tmp_path)
    assert "locked" not in "".join(told)
    assert (tmp_path / "mlflow.db").is_file()
    assert_both_whole(mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db"), tmp_path)
