"""Masks and classes on one encoder, through the whole route."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import medseg
import numpy as np
import pytest
from medseg.audit import audit_manifest
from medseg.cohort import SERIAL
from medseg.errors import ConfigError, TrainingError
from medseg.geometry import Geometry
from medseg.inference.segmentation import load_card
from medseg.manifest import load_manifest, manifest_digest
from medseg.networks.weights import read_weights, save_weights
from medseg.planning import load_plan, plan_digest
from medseg.runs.segmentation.package import PackageSettings, package_models
from medseg.runs.train import TrainResult
from medseg.scans import read_scan, write_scan

from tests.integration.listed import SHAPE, lesion, write_listed

TINY: dict[str, Any] = {
    "network": {"channels": (4, 8), "strides": ((1, 1, 1), (2, 2, 2)), "kernels": ((3, 3, 3),) * 2, "blocks": (1, 1),
                "decoder_blocks": (1,)},
    "training": {"patch_size": (16, 16, 16), "batch_size": 2, "patches_per_case": 1, "validations": 2},
    "inference": {"patch_size": (16, 16, 16)},
}  # fmt: skip


def train(dataset: Path, out: Path, **settings: Any) -> TrainResult:
    changes = {**TINY, **settings.pop("changes", {})}
    return medseg.train(
        dataset, out=out, fold=0, store=out.parent / "store", device="cpu",
        **{"epochs": 2, "head": "slice", "tracking": False, "changes": changes, **settings},
    )  # fmt: skip


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_listed(tmp_path_factory.mktemp("listed"), is_turned=True)


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(dataset, tmp_path_factory.mktemp("run") / "run", epochs=30)


def test_cases_without_a_mask_are_trained_on_and_all_is_on_the_card(dataset: Path, trained: TrainResult) -> None:
    card, plan = load_card(trained.folder), load_plan(trained.folder / "plan.yaml")
    assert not trained.failures
    assert set(card.trained_on) == {f"l{n}" for n in range(7)}
    assert card.training_statistics is not None
    assert card.training_statistics.cases == 4  # those with a mask
    assert card.head is not None
    assert (card.head.level, card.head.classes) == ("slice", ("lesion",))
    assert set(card.head.calibrated_on) == {"l7", "l8", "l9"}
    assert plan.head is not None
    assert plan.network.head_classes == 1
    assert card.manifest_digest == manifest_digest(load_manifest(dataset)[0])


def test_head_finds_the_slices_that_show_a_lesion(trained: TrainResult) -> None:
    measured = json.loads((trained.folder / "validation" / "classification.json").read_text())
    assert measured["slice"]["classes"][0]["measures"]["auroc"]["value"] > 0.9
    assert any("head: mean AUROC of 1 class(es) per slice" in note for note in trained.notes)


def test_predict_and_evaluate_give_the_numbers_of_the_training(
    dataset: Path, trained: TrainResult, tmp_path: Path
) -> None:
    drawn = medseg.predict(trained.folder, dataset, fold=0, out=tmp_path / "masks", device="cpu")
    assert not drawn.failures
    probabilities = rows_of(tmp_path / "masks" / "slices.csv")
    validated = rows_of(trained.folder / "validation" / "slices.csv")
    assert len(probabilities) == len(validated) == 36
    for one, other in zip(probabilities, validated, strict=True):
        assert (one["case_id"], one["slice"], one["position_mm"]) == tuple(
            other[name] for name in ("case_id", "slice", "position_mm")
        )
        assert float(one["probability_lesion"]) == pytest.approx(float(other["probability_lesion"]), abs=0.01)
        assert one["truth_lesion"] == ""

    done = medseg.evaluate(dataset, masks=tmp_path / "masks", out=tmp_path / "eval", fold=0, tracking=False)
    assert done.head is not None
    assert done.head.summary.slice.rows == 36
    truth = [row["truth_lesion"] for row in rows_of(tmp_path / "eval" / "slices.csv")]
    assert truth == [str(int(layer.any())) for n in (7, 8, 9) for layer in np.moveaxis(lesion(n), 2, 0)]
    assert {row.case_id for row in done.rows} == {"l7", "l8", "l9"}


def test_cases_with_listed_slices_alone_are_measured_by_the_head_alone(
    dataset: Path, trained: TrainResult, tmp_path: Path
) -> None:
    medseg.predict(trained.folder, dataset, split="training", out=tmp_path / "masks", device="cpu")
    done = medseg.evaluate(dataset, masks=tmp_path / "masks", out=tmp_path / "eval", split="training", tracking=False)
    assert done.head is not None
    assert not done.failures
    assert {scores.case_id for scores in done.head.scores} == {f"l{n}" for n in range(10)}
    assert {row.case_id for row in done.rows} == {f"l{n}" for n in (0, 1, 2, 3, 7, 8, 9)}


def test_study_head_weighted_by_uncertainty_says_so_in_mlflow(dataset: Path, tmp_path: Path) -> None:
    import mlflow

    head = {"head": {"weighting": "uncertainty"}}
    result = train(dataset, tmp_path / "run", head="study", changes=head, tracking=f"sqlite:///{tmp_path / 'db'}")
    card = load_card(result.folder)
    assert card.head is not None
    assert (card.head.level, card.head.classes) == ("study", ("sick",))
    assert not (result.folder / "validation" / "slices.csv").exists()
    assert [row["truth_sick"] for row in rows_of(result.folder / "validation" / "studies.csv")] == ["1", "0", "1"]
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'db'}")
    run = mlflow.get_run(str(result.run_id))
    assert run.data.params["head"] == "study, weighted by uncertainty"
    assert "study_auroc/sick" in run.data.metrics


def test_refused_where_the_classes_would_be_lost(trained: TrainResult, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a package must be of models of masks alone, got one with a head of 1"):
        package_models(trained.folder, PackageSettings(out=tmp_path / "package", forms=("mlflow",)))
    shutil.copytree(trained.folder, tmp_path / "other")
    weights = tmp_path / "other" / "model" / "last.safetensors"
    save_weights({name: 2 * tensor for name, tensor in read_weights(weights).items()}, weights)
    with pytest.raises(ConfigError, match="models with a head of classes must work alone, got 2 models"):
        medseg.predict([trained.folder, tmp_path / "other"], dataset, out=tmp_path / "masks", device="cpu")
    with pytest.raises(ConfigError, match="gate: a model with a head must see the whole scan"):
        medseg.predict(trained.folder, dataset, out=tmp_path / "masks", gate=trained.folder, device="cpu")


def test_class_that_no_patch_can_show_whole_is_refused(tmp_path: Path) -> None:
    folder = write_listed(tmp_path / "listed", cases=4, masked=2, validation=1)
    small = {"training": {**TINY["training"], "patch_size": (8, 8, 8)}, "inference": {"patch_size": (8, 8, 8)}}
    with pytest.raises(TrainingError, match=r"class 'sick' must be shown .* got 2 cases whose scans are larger"):
        train(folder, tmp_path / "run", head="study", changes=small)


def test_audit_lets_cases_without_a_mask_pass_with_a_warning(dataset: Path) -> None:
    manifest, root = load_manifest(dataset)
    report = audit_manifest(manifest, root, executor=SERIAL)
    found = {finding.case_id: finding.severity for finding in report.findings if finding.check == "missing_label"}
    assert found == {f"l{n}": "warning" for n in (4, 5, 6)}


def test_plan_without_a_head_has_the_digest_of_before(trained: TrainResult) -> None:
    plan = load_plan(trained.folder / "plan.yaml")
    network = plan.network.model_copy(update={"head_classes": 0})
    alone = plan.model_copy(update={"head": None, "network": network})
    assert plan_digest(alone) != plan_digest(plan)
    assert "head" not in alone.model_dump_json(exclude={"reasons"})


def test_head_begins_with_a_run_of_masks_alone_and_goes_on_where_it_was(dataset: Path, tmp_path: Path) -> None:
    plain = train(dataset, tmp_path / "plain", head=None, epochs=1)
    train(dataset, tmp_path / "run", epochs=1, init=plain.folder)
    longer = train(dataset, tmp_path / "run", epochs=2, resume=True)
    assert longer.steps == 8
    card = load_card(longer.folder)
    assert card.head is not None
    assert sorted(failure.case_id for failure in plain.failures) == ["l4", "l5", "l6"]  # none has a label


def test_probabilities_stay_with_their_slices_in_a_flipped_and_a_tilted_scan(
    dataset: Path, trained: TrainResult, tmp_path: Path
) -> None:
    scan = read_scan([dataset / "images" / "l7.nii.gz"], case_id="l7")
    affine = scan.geometry.affine
    flipped, tilt = affine.copy(), np.eye(4)
    flipped[:3, 3] += affine[:3, 2] * (scan.array.shape[3] - 1)
    flipped[:3, 2] *= -1
    tilt[:2, :2] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    scans = {"as_it_is": (scan.array, affine), "flipped": (scan.array[..., ::-1].copy(), flipped),
             "tilted": (scan.array, tilt @ affine)}  # fmt: skip
    (tmp_path / "scans").mkdir()
    for name, (array, own) in scans.items():
        write_scan(array, Geometry(SHAPE, own), tmp_path / "scans" / f"{name}.nii.gz")
    medseg.predict(trained.folder, tmp_path / "scans", out=tmp_path / "masks", device="cpu")
    rows = rows_of(tmp_path / "masks" / "slices.csv")
    found = {name: [float(row["probability_lesion"]) for row in rows if row["case_id"] == name] for name in scans}
    assert np.ptp(found["as_it_is"]) > 0.3
    assert found["as_it_is"] != pytest.approx(found["as_it_is"][::-1], abs=0.01)  # so that a wrong order is seen
    assert found["flipped"] == pytest.approx(found["as_it_is"][::-1], abs=0.01)
    assert found["tilted"] == pytest.approx(found["as_it_is"], abs=0.01)


@pytest.mark.parametrize("fold", [0, 1])
def test_plan_with_a_head_learns_and_validates_on_masks_alone_that_exist(
    dataset: Path, trained: TrainResult, fold: int, tmp_path: Path
) -> None:
    """A head in a given plan asks for what `--head` asks for: a decoder without a mask would draw noise."""
    content = json.loads((dataset / "dataset.json").read_text())
    for entry in content["training"]:
        if entry["fold"] == fold:
            entry.pop("label", None)
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    what = "a validation case" if fold == 0 else "a training case"
    with pytest.raises(TrainingError, match=f"{what} must have a label, got none"):
        medseg.train(
            tmp_path / "dataset.json", out=tmp_path / "run", data_root=dataset, plan=trained.folder / "plan.yaml",
            fold=0, store=tmp_path / "store", device="cpu", epochs=1, tracking=False,
        )  # fmt: skip


def test_cases_that_say_nothing_are_named_and_left_out(dataset: Path, tmp_path: Path) -> None:
    content = json.loads((dataset / "dataset.json").read_text())
    del content["training"][5]["slice_labels"]
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    result = train(tmp_path / "dataset.json", tmp_path / "run", data_root=dataset, epochs=1)
    (failure,) = result.failures
    assert failure.case_id == "l5"
    assert "must list what it shows of the head's classes ['lesion'], got nothing" in failure.reason
    assert "l5" not in load_card(result.folder).trained_on


def test_head_of_other_classes_begins_with_fresh_weights(dataset: Path, trained: TrainResult, tmp_path: Path) -> None:
    """One of as many classes has the same shape, and none of its meaning."""
    for level, taken in (("slice", True), ("study", False)):
        result = train(dataset, tmp_path / level, head=level, epochs=1, init=trained.folder)
        record = json.loads((result.folder / "initialisation.json").read_text())
        assert ("head.weight" in record["whole"]) == taken
        assert ("head.weight" in record["fresh"]) != taken
        assert "encoder" in str(record["whole"])


def test_validation_case_without_a_mask_counts_for_the_head_alone(dataset: Path, tmp_path: Path) -> None:
    content = json.loads((dataset / "dataset.json").read_text())
    del content["training"][8]["label"]
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    result = train(tmp_path / "dataset.json", tmp_path / "run", data_root=dataset, epochs=1)
    assert {row["case_id"] for row in rows_of(result.folder / "validation.csv")} == {"l7", "l9"}
    assert len(rows_of(result.folder / "validation" / "studies.csv")) == 3
    summary = json.loads((result.folder / "validation.json").read_text())
    assert (summary["best_mean_dice_is_over_cases"], summary["not_measured"]) == (2, ["l8"])
