"""A model gets an alias, and keeps it until another is shown to be no worse."""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import medseg
import numpy as np
import pytest
from medseg.errors import ConfigError, EvaluationError, TrackingError
from medseg.evaluation.segmentation import EvaluationContract, summarise, write_metrics, write_summary
from medseg.networks.weights import weights_digest
from medseg.records import CaseMetrics
from medseg.tracking import TrackedRun

from tests.conftest import Medseg
from tests.tracking.conftest import box_model

CONTRACT = EvaluationContract(labels={"box": 5})
STRENGTHS = {"first": 20.0, "second": 21.0, "third": 22.0}


def digests() -> dict[str, str]:
    """Digests of the weights of three models that draw the same."""
    with tempfile.TemporaryDirectory() as place:
        made = {name: box_model(Path(place) / name, strength=value) for name, value in STRENGTHS.items()}
        return {name: weights_digest(folder / "last.safetensors") for name, folder in made.items()}


DIGESTS = digests()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(autouse=True)
def working_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def uri(place: Path) -> str:
    return f"sqlite:///{place}/mlflow.db"


@pytest.fixture
def client(uri: str) -> Any:
    import mlflow

    return mlflow.MlflowClient(tracking_uri=uri)


@pytest.fixture(scope="module")
def runs(place: Path, uri: str) -> dict[str, str]:
    """Ids of the MLflow runs of three models."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for name, strength in STRENGTHS.items():
            run = TrackedRun.start(experiment="boxes", name=name, tracking_uri=uri)
            run.log_model(box_model(place / name, strength=strength), version="0.1.0", name=name)
            found[name] = run.run_id
    return found


def evaluation(folder: Path, run_id: str | None, digest: str, *, dice: float, **more: Any) -> Path:
    """An evaluation of twelve boxes, as `evaluate` writes it."""
    contract = more.pop("contract", CONTRACT)
    cases = more.pop("cases", 12)
    rng = np.random.default_rng(5)
    rows = []
    for n in range(cases):
        value = float(dice + 0.05 * np.sin(n) + 0.001 * rng.normal())
        rows.append(CaseMetrics(f"box_{n:02d}", "box", {"dice": value}, 100, 100))
    write_metrics(rows, folder / "metrics.csv")
    notes = {
        "dataset": {"name": "boxes", "version": "1", "digest": "d" * 64},
        "model": {"run_id": run_id, "weights_digest": digest} if run_id else None,
        "patients": {row.case_id: row.case_id for row in rows},
        "trained_on": [],
    }
    write_summary(summarise(rows), folder / "summary.json", contract=contract, notes=notes | more)
    return folder


def test_model_keeps_its_alias_until_another_is_shown_to_be_no_worse(
    client: Any, uri: str, runs: dict[str, str], tmp_path: Path, medseg: Medseg
) -> None:
    evaluations = {
        name: evaluation(tmp_path / name, runs[name], DIGESTS[name], dice=dice)
        for name, dice in (("first", 0.80), ("second", 0.75), ("third", 0.81))
    }

    def promote(name: str, *more: object) -> Any:
        return medseg("promote", evaluations[name], "--alias", "clinical", "--tracking-uri", uri, *more)

    def holder() -> tuple[str, str]:
        version = client.get_model_version_by_alias("boxes", "clinical")
        return str(version.run_id), str(version.version)

    begun = promote("first")
    assert (begun.code, begun.err) == (0, "")
    assert "boxes version 1 is clinical: models:/boxes@clinical" in begun.out
    assert holder() == (runs["first"], "1")

    alone = promote("second")
    assert alone.code == 1
    assert "clinical: boxes version 1 is in use, and must be compared with" in alone.err

    worse = promote("second", "--against", evaluations["first"])
    assert worse.code == 1
    assert "does not rule out a loss of 0.010" in worse.err
    assert holder() == (runs["first"], "1")
    assert len(client.search_model_versions("name = 'boxes'")) == 1

    better = promote("third", "--against", evaluations["first"])
    assert (better.code, better.err) == (0, "")
    assert "in place of version 1" in better.out
    assert holder() == (runs["third"], "2")
    version = client.get_model_version("boxes", "2")
    assert version.tags["medseg.contract"] == CONTRACT.digest
    assert version.tags["medseg.clinical_after"] == "boxes version 1"
    assert "which rules out a loss of 0.010" in version.description
    done = medseg("promote", evaluations["third"], "--alias", "night", "--tracking-uri", uri)
    assert done.code == 0, done.err
    text = client.get_model_version("boxes", "2").description
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## clinical", "## night"]
    assert text.count("which rules out a loss of 0.010") == 1
    pages = [item.path for item in client.list_artifacts(runs["third"], "promotion/clinical")]
    assert pages == ["promotion/clinical/compare.html"]

    again = promote("third")
    assert (again.code, again.err) == (0, "warning: this model has the alias already\n")
    assert client.get_model_version("boxes", "2").description == text
    assert len(client.search_model_versions("name = 'boxes'")) == 2


def test_accepted_loss_can_be_wider(uri: str, runs: dict[str, str], tmp_path: Path) -> None:
    first = evaluation(tmp_path / "first", runs["first"], DIGESTS["first"], dice=0.80)
    second = evaluation(tmp_path / "second", runs["second"], DIGESTS["second"], dice=0.75)
    medseg.promote(first, alias="wide", tracking_uri=uri)
    done = medseg.promote(second, alias="wide", against=first, margin=0.1, tracking_uri=uri)
    assert done.replaced is not None
    assert (done.address, done.answers[0].is_shown) == ("models:/boxes@wide", True)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"model": None}, "must be of masks of a model that MLflow knows"),
        ({"trained_on": ["box_00"]}, "must be on patients that the model has not seen, got 1 cases"),
        ({"model": {"run_id": "0" * 32, "weights_digest": DIGESTS["first"]}}, "must hold a model of run 0000"),
        ({"model": {"run_id": "first", "weights_digest": "9" * 64}}, "must be of weights that MLflow holds"),
    ],
)
def test_evaluation_that_says_nothing_of_the_model_is_refused(
    client: Any, uri: str, runs: dict[str, str], tmp_path: Path, changes: dict[str, Any], match: str
) -> None:
    model = changes.get("model") or {}
    if model.get("run_id") in runs:
        model["run_id"] = runs[model["run_id"]]
    folder = evaluation(tmp_path / "eval", runs["first"], DIGESTS["first"], dice=0.9, **changes)
    with pytest.raises((EvaluationError, TrackingError), match=match):
        medseg.promote(folder, alias="refused", tracking_uri=uri)
    import mlflow

    with pytest.raises(mlflow.exceptions.MlflowException):
        client.get_model_version_by_alias("boxes", "refused")


@pytest.mark.parametrize(
    ("old", "match"),
    [
        ({"contract": EvaluationContract(labels={"box": 5}, both_empty="perfect")}, "must be under one contract"),
        ({"cases": 14}, "must have the same cases, 2 are in one of them alone: box_12, box_13"),
        ({"cases": 5}, "must have the same cases, 7 are in one of them alone: box_05"),
        ({"dataset": {"name": "boxes", "digest": "e" * 64}}, "must be on one version of one dataset"),
        ({"trained_on": ["box_00"]}, "first: must be on patients that the model has not seen, got 1 cases"),
        ({"digest": "third"}, "must be of boxes version 1, which is strict, got another model"),
    ],
)
def test_comparison_must_be_of_the_same_cases_contract_and_model(
    uri: str, runs: dict[str, str], tmp_path: Path, old: dict[str, Any], match: str
) -> None:
    digest = DIGESTS[old.pop("digest", "first")]
    medseg.promote(
        evaluation(tmp_path / "held", runs["first"], DIGESTS["first"], dice=0.8), alias="strict", tracking_uri=uri
    )
    first = evaluation(tmp_path / "first", runs["first"], digest, dice=0.8, **old)
    third = evaluation(tmp_path / "third", runs["third"], DIGESTS["third"], dice=0.9)
    with pytest.raises(EvaluationError, match=match):
        medseg.promote(third, alias="strict", against=first, tracking_uri=uri)


def silent(folder: Path, run_id: str, digest: str, *, undrawn: int, value: float = 0.9, metric: str = "dice") -> Path:
    """An evaluation under which some structures are not drawn, and have no number."""
    folder = evaluation(folder, run_id, digest, dice=value)
    rows = [
        CaseMetrics(f"box_{n:02d}", "box", {"dice": math.nan if n < undrawn else value}, 100, 0 if n < undrawn else 100)
        for n in range(12)
    ]
    if metric != "dice":
        rows = [replace(row, values={metric: math.nan if row.mask_voxels == 0 else 1.0}) for row in rows]
    write_metrics(rows, folder / "metrics.csv")
    return folder


@pytest.mark.parametrize(("undrawn", "metric"), [(12, "dice"), (6, "dice"), (12, "hd95_mm"), (6, "hd95_mm")])
def test_cases_without_a_number_do_not_help_the_new_model(
    uri: str, runs: dict[str, str], tmp_path: Path, undrawn: int, metric: str
) -> None:
    held = silent(tmp_path / "held", runs["first"], DIGESTS["first"], undrawn=0, value=0.8, metric=metric)
    medseg.promote(held, alias=f"kept{undrawn}{metric}", tracking_uri=uri)
    third = silent(tmp_path / "third", runs["third"], DIGESTS["third"], undrawn=undrawn, metric=metric)
    with pytest.raises(EvaluationError, match="must be shown to be no worse"):
        medseg.promote(third, alias=f"kept{undrawn}{metric}", against=held, metric=metric, tracking_uri=uri)


def test_structure_of_the_contract_that_is_not_measured_is_refused(
    uri: str, runs: dict[str, str], tmp_path: Path
) -> None:
    contract = EvaluationContract(labels={"box": 5, "rod": 6})
    held = evaluation(tmp_path / "held", runs["first"], DIGESTS["first"], dice=0.8, contract=contract)
    medseg.promote(held, alias="both", tracking_uri=uri)
    third = evaluation(tmp_path / "third", runs["third"], DIGESTS["third"], dice=0.9, contract=contract)
    with pytest.raises(EvaluationError, match="rod: no case has a number in both evaluations"):
        medseg.promote(third, alias="both", against=held, tracking_uri=uri)


def test_worse_model_is_called_worse_and_the_old_one_kept(uri: str, runs: dict[str, str], tmp_path: Path) -> None:
    held = evaluation(tmp_path / "held", runs["first"], DIGESTS["first"], dice=0.8)
    medseg.promote(held, alias="worse", tracking_uri=uri)
    third = evaluation(tmp_path / "third", runs["third"], DIGESTS["third"], dice=0.7)
    with pytest.raises(EvaluationError) as refused:
        medseg.promote(third, alias="worse", against=held, tracking_uri=uri)
    assert refused.value.remedy == "keep the one in use"


def test_evaluation_of_no_case_promotes_nothing(uri: str, runs: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="must have measured a case, got none"):
        medseg.promote(evaluation(tmp_path / "e", runs["first"], DIGESTS["first"], dice=0.8, cases=0), tracking_uri=uri)


def test_description_holds_the_evidence_however_many_structures_there_are(
    client: Any, uri: str, runs: dict[str, str], tmp_path: Path
) -> None:
    names = [f"organ_with_a_long_name_{n}" for n in range(60)]
    contract = EvaluationContract(labels={name: n + 1 for n, name in enumerate(names)})
    folders = {}
    for name, dice in (("first", 0.8), ("third", 0.82)):
        folder = evaluation(tmp_path / name, runs[name], DIGESTS[name], dice=dice, contract=contract)
        rows = [CaseMetrics(f"box_{n:02d}", organ, {"dice": dice}, 9, 9) for n in range(12) for organ in names]
        write_metrics(rows, folder / "metrics.csv")
        folders[name] = folder
    medseg.promote(folders["first"], alias="organs", name="organs", tracking_uri=uri)
    done = medseg.promote(folders["third"], alias="organs", name="organs", against=folders["first"], tracking_uri=uri)
    text = client.get_model_version("organs", done.version.version).description
    assert "Against organs version 1" in text
    assert "not a medical device" in text
    assert text.count("```") % 2 == 0


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"alias": "v3"}, "alias must be"),
        ({"alias": "a/b"}, "alias must be"),
        ({"alias": ""}, "alias must be"),
        ({"alias": "latest"}, "alias must be"),
        ({"alias": "Clinical"}, "alias must be"),
        ({"margin": -1.0}, "margin must be at least 0"),
        ({"margin": float("nan")}, "margin must be at least 0"),
        ({"metric": "volume_difference_ml"}, "metric must have a better side"),
    ],
)
def test_wrong_choices_are_refused_before_anything_is_read(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        medseg.promote("nowhere", **settings)


def test_registered_model_predicts_by_its_address(
    uri: str, runs: dict[str, str], tmp_path: Path, medseg: Medseg
) -> None:
    from medseg.geometry import Geometry
    from medseg.scans import read_label, write_scan

    folder = evaluation(tmp_path / "eval", runs["first"], DIGESTS["first"], dice=0.8)
    promoted = medseg("promote", folder, "--alias", "nightly", "--tracking-uri", uri)
    assert promoted.code == 0, promoted.err
    array = np.zeros((1, 9, 12, 7), np.float32)
    array[0, 2:5, 3:9, 1:4] = 1
    write_scan(array, Geometry((9, 12, 7), np.eye(4)), tmp_path / "scans" / "a.nii.gz")
    done = medseg(
        "predict", "models:/boxes@nightly", tmp_path / "scans", "--out", tmp_path / "m", "--tracking-uri", uri
    )
    assert done.code == 0, done.err
    mask, _ = read_label(tmp_path / "m" / "a.nii.gz", case_id="a")
    assert np.array_equal(mask == 5, array[0] == 1)
    model = json.loads((tmp_path / "m" / "predictions.json").read_text(encoding="utf-8"))["models"][0]
    assert len(model["weights_digest"]) == 64
    missing = medseg(
        "predict", "models:/boxes@none", tmp_path / "scans", "--out", tmp_path / "n", "--tracking-uri", uri
    )
    assert missing.code == 1
    assert "none" in missing.err.removeprefix("models:/boxes@none")
