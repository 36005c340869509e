from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import medseg
import numpy as np
import pytest
from click.testing import CliRunner
from medseg.errors import ConfigError, EvaluationError, ManifestError
from medseg.evaluation.regression import QuantityContract
from medseg.evaluation.segmentation import EvaluationContract, load_evaluation
from medseg.runs.regression.evaluate import QuantityEvaluation
from medseg.workflows.evaluate import command

from tests.evaluation.regression.made_dataset import GRID, LABELS, write_dataset, write_volume
from tests.evaluation.regression.made_doses import beam


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> QuantityEvaluation:
    place = tmp_path_factory.mktemp("evaluated")
    path = write_dataset(place, errors={"a": 0.5, "b": 3.0, "c": 1.0, "d": 2.0, "e": 1.5})
    dose = beam(GRID.shape, GRID.spacing_mm)[0]
    dose[:12] = np.nan
    write_volume(dose, place / "a_dose.nii.gz")
    (place / "maps" / "dose" / "e.nii.gz").unlink()
    result = medseg.evaluate(path, masks=place / "maps", out=place / "out", tracking=f"sqlite:///{place}/mlflow.db")
    assert isinstance(result, QuantityEvaluation)
    return result


def test_tables_hold_every_case_quantity_and_structure(evaluated: QuantityEvaluation) -> None:
    with (evaluated.folder / "metrics.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 4 * 2 * 4
    mae = {
        line["case_id"]: float(line["mae"]) for line in lines if (line["quantity"], line["scope"]) == ("dose", "all")
    }
    assert mae == pytest.approx({"a": 0.5, "b": 3, "c": 1, "d": 2}, abs=1e-5)
    with (evaluated.folder / "dvh.csv").open(newline="") as file:
        points = {(line["case_id"], line["structure"], line["point"]): line for line in csv.DictReader(file)}
    mean = points["b", "PTV", "Dmean"]
    assert float(mean["predicted"]) - float(mean["reference"]) == pytest.approx(3, abs=1e-4)


def test_summary_says_what_was_measured_and_left_out(evaluated: QuantityEvaluation) -> None:
    content = json.loads((evaluated.folder / "summary.json").read_text())
    assert content["contract_digest"] == QuantityContract().digest
    entry = next(one for one in content["numbers"] if (one["quantity"], one["metric"]) == ("dose", "mae"))
    assert entry["mean"] == pytest.approx(6.5 / 4, abs=1e-5)
    assert content["patients"] == {case_id: f"p{case_id}" for case_id in "abcd"}
    assert content["unknown"] == {"dose": {"mean_share": 0.125, "share_by_case": {"a": 0.5}}}
    assert [failure["case_id"] for failure in content["failures"]] == ["e"]
    assert "predicted dose must lie in maps/dose, found none" in content["failures"][0]["reason"]
    assert any("are not known (NaN)" in line for line in evaluated.warnings)


def test_page_shows_worst_median_and_best_case_with_histograms(evaluated: QuantityEvaluation) -> None:
    names = sorted(path.name for path in (evaluated.folder / "pictures").iterdir())
    assert names == [f"{name}_{place}.png" for name in ("ct", "dose") for place in ("best_a", "median_c", "worst_b")]
    assert sorted(path.name for path in (evaluated.folder / "dvh").iterdir()) == [f"dose_{n}.png" for n in "abcd"]
    page = (evaluated.folder / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 9
    assert "dose, worst case b, MAE 3 Gy" in page
    assert "predicted dose must lie in maps/dose" in page


def test_mlflow_holds_numbers_by_quantity_and_structure(evaluated: QuantityEvaluation) -> None:
    from mlflow import MlflowClient

    run_id = json.loads((evaluated.folder / "summary.json").read_text())["mlflow_run_id"]
    client = MlflowClient(f"sqlite:///{evaluated.folder.parent}/mlflow.db")
    metrics = client.get_run(run_id).data.metrics
    assert metrics["all/mae/dose"] == pytest.approx(6.5 / 4, abs=1e-5)
    assert metrics["all/bias/ct/cord"] == pytest.approx(-16.25, abs=1e-3)
    assert metrics["unknown_share/dose"] == 0.125
    assert {"index.html", "metrics.csv", "summary.json", "dvh.csv", "pictures", "dvh"} <= {
        file.path for file in client.list_artifacts(run_id)
    }


def test_comparison_of_masks_refuses_an_evaluation_of_quantities(evaluated: QuantityEvaluation) -> None:
    with pytest.raises(EvaluationError, match="must be of masks, got one of quantities"):
        load_evaluation(evaluated.folder)


def test_command_measures_quantities_and_fails_for_a_missing_file(tmp_path: Path) -> None:
    path = write_dataset(tmp_path, errors={"a": 1.0, "b": 2.0})
    (tmp_path / "maps" / "ct" / "b.nii.gz").unlink()
    arguments = [str(path), "--masks", str(tmp_path / "maps"), "--out", str(tmp_path / "out"), "--no-tracking"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 1
    assert "dose MAE" in result.output
    assert "predicted ct must lie in maps/ct, found none" in result.output


@pytest.mark.parametrize(
    "choice",
    [{"rater": "maps"}, {"metrics": {"m": len}}, {"contract": EvaluationContract()}],
    ids=lambda one: next(iter(one)),
)
def test_choices_of_masks_are_refused(tmp_path: Path, choice: dict[str, Any]) -> None:
    path = write_dataset(tmp_path, errors={"a": 1.0})
    with pytest.raises(ConfigError, match="choices must be for quantities"):
        medseg.evaluate(path, masks=tmp_path / "maps", out=tmp_path / "out", tracking=False, **choice)


def test_structure_called_all_is_refused(tmp_path: Path) -> None:
    path = write_dataset(tmp_path, errors={"a": 1.0}, labels={**LABELS, "all": 4})
    with pytest.raises(ManifestError, match="must not be called 'all'"):
        medseg.evaluate(path, masks=tmp_path / "maps", out=tmp_path / "out", tracking=False)
