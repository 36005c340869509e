"""Pages that are made after a run are shown by the MLflow runs that they are about."""

from __future__ import annotations

import json
from pathlib import Path

import medseg
import pytest
from medseg.records import Manifest

from tests.runs.test_api import SMALL


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a store of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def artefacts(place: Path, run_id: str, folder: str) -> list[str]:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{place}/mlflow.db")
    return sorted(item.path for item in client.list_artifacts(run_id, folder))


def evaluated(place: Path, data: Path, out: str) -> tuple[Path, str]:
    medseg.evaluate(data, masks=place / "masks", out=place / out, split="test")
    summary = json.loads((place / out / "summary.json").read_text(encoding="utf-8"))
    return place / out, str(summary["mlflow_run_id"])


def test_report_and_comparison_are_among_the_artefacts_of_their_runs(
    cohort: tuple[Manifest, Path], place: Path
) -> None:
    data = cohort[1]
    run = medseg.train(data, out=place / "run", epochs=1, config=SMALL, store=place / "store", device="cpu")
    medseg.predict(run.folder, data, out=place / "masks", split="test", device="cpu")
    (first, first_run), (second, second_run) = (evaluated(place, data, name) for name in ("a", "b"))
    report = medseg.report(run.folder, out=place / "report", evaluations=[first])
    assert not [line for line in report.warnings if "MLflow" in line]
    assert artefacts(place, str(run.run_id), "report") == ["report/model_card.md", "report/report.html"]
    compared = medseg.compare([first, second], out=place / "both")
    assert compared.warnings == ()
    for run_id in (first_run, second_run):
        assert artefacts(place, run_id, "comparison/both") == ["comparison/both/compare.html"]
    medseg.compare([first, second], out=place / "alone", tracking=False)
    assert artefacts(place, first_run, "comparison") == ["comparison/both"]


@pytest.mark.parametrize("store", ["http://127.0.0.1:9", "sqlite:///{place}/other.db"])
def test_page_is_written_though_the_store_does_not_take_it(
    cohort: tuple[Manifest, Path], place: Path, store: str
) -> None:
    run = medseg.train(cohort[1], out=place / "run", epochs=1, config=SMALL, store=place / "store", device="cpu")
    report = medseg.report(run.folder, out=place / "report", tracking=store.format(place=place))
    (warning,) = [line for line in report.warnings if "MLflow" in line]
    assert warning.startswith("report.html is not shown in MLflow; ")
    assert (place / "report" / "report.html").is_file()
