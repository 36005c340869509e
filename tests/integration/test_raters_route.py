"""Several raters through the whole route."""

from __future__ import annotations

import csv
import json
from html import unescape
from pathlib import Path
from typing import Any

import medseg as library
import mlflow
import pytest
from medseg.errors import ConfigError
from medseg.planning import load_plan

from tests.conftest import Medseg
from tests.several_raters import boxes, write, write_raters

TINY: dict[str, Any] = {
    "network": {"channels": (4, 8), "strides": ((1, 1, 1), (2, 2, 2)), "kernels": ((3, 3, 3),) * 2, "blocks": (1, 1),
                "decoder_blocks": (1,)},
    "training": {"patch_size": (16, 16, 8)},
    "inference": {"patch_size": (16, 16, 8)},
}  # fmt: skip


def train(dataset: Path, place: Path, *, raters: str | None = None, epochs: int = 1) -> Path:
    changes = {**TINY, "training": TINY["training"] | ({"raters": raters} if raters else {})}
    result = library.train(
        dataset, out=place / "run", fold=0, epochs=epochs, changes=changes, store=place / "store", tracking=False,
        device="cpu",
    )  # fmt: skip
    return result.folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raters(tmp_path_factory.mktemp("dataset"), cases=3)


@pytest.fixture(scope="module")
def run(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(dataset, tmp_path_factory.mktemp("sampled"), raters="sampled", epochs=2)


def test_plan_fuses_by_majority_with_a_reason_and_takes_another_choice(
    dataset: Path, run: Path, medseg: Medseg, tmp_path: Path
) -> None:
    assert medseg("plan", dataset, "--out", tmp_path / "plan.yaml", "--fold", "0", "--device", "cpu").code == 0
    plan = load_plan(tmp_path / "plan.yaml")
    assert plan.training.raters == "majority"
    assert plan.reasons["training.raters"].startswith(
        "3 case(s) of 3 raters: the label that most of the raters chose, against which is measured, too"
    )
    assert load_plan(run / "plan.yaml").training.raters == "sampled"


def test_validation_is_against_the_fused_label(dataset: Path, run: Path) -> None:
    with (run / "validation.csv").open() as file:
        rows = {row["label"]: int(row["label_voxels"]) for row in csv.DictReader(file)}
    assert rows == {"organ": 10 * 8 * 6, "node": 3 * 4 * 4}


def test_staple_is_trained_and_prepared_by_its_own_entries(dataset: Path, medseg: Medseg, tmp_path: Path) -> None:
    folder = train(dataset, tmp_path, raters="staple")
    made = {path.name for path in (tmp_path / "store").iterdir() if (path / "case.json").is_file()}
    prepared = medseg("prepare", dataset, "--plan", folder / "plan.yaml", "--store", tmp_path / "store")
    assert prepared.code == 0
    again = {path.name for path in (tmp_path / "store").iterdir() if (path / "case.json").is_file()}
    assert len(made) == 3
    assert len(again - made) == 1  # the validation case, which the plan's choice fuses otherwise than its reference


def test_model_is_measured_against_the_reference_and_every_rater(
    dataset: Path, run: Path, medseg: Medseg, tmp_path: Path
) -> None:
    write(boxes(6, more=2)[None], tmp_path / "masks" / "r2.nii.gz")  # as rater B, and as two of three draw it
    out, store = tmp_path / "eval", f"sqlite:///{tmp_path / 'mlflow.db'}"
    done = medseg(
        "evaluate", dataset, "--masks", tmp_path / "masks", "--fold", "0", "--out", out, "--tracking-uri", store
    )
    assert done.code == 0
    assert "raters, 1 cases:" in done.out
    assert "organ readers agree at Dice 0.8426; the model at 0.9259" in done.out
    assert "within the raters' spread in 1 of 1 cases" in done.out
    with (out / "metrics.csv").open() as file:
        rows = {row["label"]: (float(row["dice"]), float(row["raters_dice"])) for row in csv.DictReader(file)}
    assert rows == {"organ": (1.0, pytest.approx((1 + 32 / 18) / 3, abs=1e-6)), "node": (1.0, pytest.approx(2 / 3))}
    content = json.loads((out / "summary.json").read_text())["raters"]
    assert content["cases"] == 1
    assert {name: one["means"]["dice"] for name, one in content["model_with_raters"].items()} == pytest.approx(
        {"A": (16 / 18 + 1) / 2, "B": 1.0, "C": (16 / 18 + 0) / 2}
    )
    assert [one["within"] for one in content["within_spread"]] == [1, 1]
    with (out / "raters.csv").open() as file:
        pairs = {(row["first"], row["second"]) for row in csv.DictReader(file)}
    assert pairs == {("A", "B"), ("A", "C"), ("B", "C"), ("A", "mask"), ("B", "mask"), ("C", "mask")}
    client = mlflow.MlflowClient(store)
    (tracked,) = client.search_runs([client.search_experiments()[0].experiment_id])
    assert tracked.data.metrics["val_between_raters/dice/organ"] == pytest.approx(0.842592, abs=1e-5)
    assert tracked.data.metrics["val_with_rater_B/dice/mean"] == 1.0
    assert tracked.data.metrics["val_within_raters/share/organ"] == 1.0

    library.report(run, out=tmp_path / "report", evaluations=[out])
    page = unescape((tmp_path / "report" / "report.html").read_text(encoding="utf-8"))
    for words in ("The raters with each other", "The model against the raters", "The model against rater C"):
        assert words in page
    assert "1 of 1" in page


def test_masks_of_two_raters_are_measured_with_a_warning(run: Path, medseg: Medseg, tmp_path: Path) -> None:
    raters = {"A": "labels_A/r0.nii.gz", "C": "labels_C/r0.nii.gz"}
    dataset = write_raters(tmp_path / "two", cases=1, entry={"raters": raters})
    write(boxes(4)[None], tmp_path / "masks" / "r0.nii.gz")
    done = medseg("evaluate", dataset, "--masks", tmp_path / "masks", "--out", tmp_path / "eval", "--no-tracking")
    assert done.code == 0
    assert "1 case(s) have an even number of raters and no label of their own" in done.err
    assert "not annotated or not decided by the raters; all numbers leave them out" in done.err
    with (tmp_path / "eval" / "metrics.csv").open() as file:
        (organ, _) = csv.DictReader(file)
    assert float(organ["dice"]) == 1.0  # of the voxels in which both agree
    assert float(organ["raters_dice"]) == pytest.approx((1 + 12 / 16) / 2, abs=1e-6)


def test_masks_are_predicted_with_the_labels_of_the_manifest_alone(dataset: Path, run: Path, tmp_path: Path) -> None:
    done = library.predict(run, dataset, out=tmp_path / "masks", fold=0, device="cpu")
    assert not done.failures
    sidecar = json.loads((tmp_path / "masks" / "r2.json").read_text())
    assert set(sidecar["labels"]) == {"background", "organ", "node"}


def test_split_measures_what_the_raters_decide(tmp_path: Path, medseg: Medseg) -> None:
    dataset = write_raters(tmp_path / "dataset", cases=4)
    content = json.loads((dataset / "dataset.json").read_text())
    for entry in content["training"]:
        del entry["fold"]
    (dataset / "dataset.json").write_text(json.dumps(content))
    assert medseg("split", dataset, "--folds", "2").code == 0
    written = json.loads((dataset / "dataset.json").read_text())["training"]
    voxel_ml = 0.002
    for entry in written:
        assert entry["label_ml"] == pytest.approx({"organ": 480 * voxel_ml, "node": 48 * voxel_ml})
        assert set(entry["raters"]) == {"A", "B", "C"}
    assert {entry["fold"] for entry in written} == {0, 1}


def test_choice_among_raters_that_are_not_there_is_refused(tmp_path: Path) -> None:
    dataset = write_raters(tmp_path / "dataset", cases=3)
    content = json.loads((dataset / "dataset.json").read_text())
    for entry in content["training"]:
        entry["label"] = entry.pop("raters")["B"]
    (dataset / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"training\.raters must be left out .*, got sampled"):
        train(dataset, tmp_path, raters="sampled")
