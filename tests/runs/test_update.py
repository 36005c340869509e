"""A finished run learns new and corrected cases: its own are replayed, and what it forgets is measured."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from medseg.errors import CheckpointError, ConfigError, ManifestError
from medseg.inference.segmentation import load_card
from medseg.networks.weights import weights_digest
from medseg.planning import load_plan
from medseg.records import CaseMetrics
from medseg.runs.report import report_run
from medseg.runs.segmentation.update.changes import CaseChanges
from medseg.runs.segmentation.update.forgetting import MEAN, UpdateChange, measure_change
from medseg.runs.segmentation.update.record import UpdateRecord
from medseg.runs.train import TrainResult
from medseg.training.segmentation.patches import PatchDataset

from tests.conftest import Medseg
from tests.runs.test_fine_tuning import LAST, NETWORK, PATCH, train, write_boxes

COUNT = 12  # of two folds: six patients to validate on
SMALL = PATCH | {"network": NETWORK}


def write_next(folder: Path, *, count: int = COUNT + 4, corrected: str = "c1", gone: str = "c3", **facts: Any) -> Path:
    """The next version: more patients, a corrected label, one written anew as it was, and one patient that is gone."""
    folder.mkdir(exist_ok=True)
    write_boxes(folder, count=count, version="2", **facts)
    change_label(folder, corrected)
    write_anew(folder, "c5")
    return rewrite(folder, lambda case: None if case["case_id"] == gone else case)


def change_label(folder: Path, case_id: str) -> None:
    path = folder / f"{case_id}_label.nii.gz"
    image = nib.load(path)  # type: ignore[attr-defined]
    label = np.asarray(image.dataobj).copy()
    label[4, 5, 5] = 1 - label[4, 5, 5]
    nib.save(nib.Nifti1Image(label, image.affine), path)  # type: ignore[attr-defined]


def write_anew(folder: Path, case_id: str) -> None:
    """The same voxels in a file of other bytes."""
    path = folder / f"{case_id}_label.nii.gz"
    image = nib.load(path)  # type: ignore[attr-defined]
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj).astype(np.int16), image.affine), path)  # type: ignore[attr-defined]


def rewrite(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Path:
    """The data set with every case changed, or left out."""
    path = folder / "dataset.json"
    content = json.loads(path.read_text())
    changed = [change(case) for case in content["training"]]
    path.write_text(json.dumps(content | {"training": [case for case in changed if case is not None]}))
    return folder


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A run on twelve patients, validated on those of even numbers."""
    place = tmp_path_factory.mktemp("earlier")
    (place / "data").mkdir()
    return train(write_boxes(place / "data", count=COUNT), place / "run", config=SMALL)


def update(earlier: TrainResult, dataset: Path, out: Path, **settings: Any) -> TrainResult:
    return train(dataset, out, config=None, update=earlier.folder, **settings)


@pytest.fixture(scope="module")
def updated(earlier: TrainResult, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The run after its update with the next version."""
    place = tmp_path_factory.mktemp("updated")
    return update(earlier, write_next(place / "data"), place / "run")


def record_of(run: TrainResult) -> UpdateRecord:
    return UpdateRecord.model_validate_json((run.folder / "update.json").read_text())


def test_cases_are_old_corrected_new_or_gone_by_their_voxels(earlier: TrainResult, updated: TrainResult) -> None:
    record = record_of(updated)
    assert record.has_digests
    assert record.training == CaseChanges(old=("c5", "c7", "c9", "c11"), changed=("c1",), new=("c13", "c15"))
    assert record.validation == CaseChanges(old=("c0", "c2", "c4", "c6", "c8", "c10"), new=("c12", "c14"))
    assert record.gone == ("c3",)
    assert updated.notes[1] == (
        "training cases: 4 old, 1 corrected, 2 new; validation cases: 6 old, 0 corrected, 2 new; 1 of the run's cases "
        "are gone"
    )
    share, often = 0.5, (0.5 / 3) / (0.5 / 4)
    assert record.fresh_share == share
    assert updated.notes[2].endswith(f"each of which is drawn {often:.2g} times as often as an old one")
    assert set(json.loads((earlier.folder / "cases.json").read_text())) == {f"c{n}" for n in range(COUNT)}


def test_plan_is_that_of_the_run_with_a_gentler_schedule(earlier: TrainResult, updated: TrainResult) -> None:
    before, after = (load_plan(run.folder / "plan.yaml") for run in (earlier, updated))
    assert after.preprocess == before.preprocess
    assert after.network == before.network
    assert after.inference == before.inference
    assert after.training.patch_size == before.training.patch_size
    assert after.training.learning_rate == before.training.learning_rate / 4
    assert after.training.warmup == 0.1
    assert after.training.coarse_start is None
    assert {"training.learning_rate", "training.warmup", "training.fresh_share"} <= after.reasons.keys()


def test_weights_that_it_begins_with_are_measured_as_the_run_measured_them(
    earlier: TrainResult, updated: TrainResult
) -> None:
    rows = json.loads((updated.folder / "before.json").read_text())
    assert {row["case_id"] for row in rows} == {f"c{n}" for n in range(0, COUNT + 4, 2)}
    table = (earlier.folder / "validation.csv").read_text().splitlines()
    known = {line.split(",")[0]: line.split(",")[2] for line in table[1:]}
    measured = {row["case_id"]: row["values"]["dice"] for row in rows if row["case_id"] in known}
    assert len(known) == 6
    for case_id, dice in measured.items():
        assert dice == pytest.approx(float(known[case_id] or "nan"), abs=1e-6, nan_ok=True)
    content = json.loads((updated.folder / "validation.json").read_text())["update"]
    assert {name: content[name]["cases"] for name in ("old", "new")} == {"old": 6, "new": 2}
    assert updated.notes[3].startswith("old validation cases (6), Dice ")
    assert updated.notes[4].endswith("too few patients to tell it from chance (2)")


def test_card_tells_the_chain_of_runs(earlier: TrainResult, updated: TrainResult, tmp_path: Path) -> None:
    card = load_card(updated.folder)
    assert card.initialised_from is not None
    assert card.initialised_from.weights_digest == weights_digest(earlier.folder / LAST)
    assert card.initialised_from.taken_share == 1.0
    assert json.loads((updated.folder / "validation.json").read_text())["update"]["labels_drawn_by_earlier"] == 0
    assert set(card.seen_cases) == {"c1", "c3", "c5", "c7", "c9", "c11", "c13", "c15"}
    review = {"verdict": "accepted", "readers": ["Anna"], "decided": "2026-11-28", "mask_sha256": ""}
    drawn = review | {"models": [f"boxes 2, {weights_digest(updated.folder / LAST)[:12]}"]}
    data = rewrite(
        write_next(tmp_path / "data", count=COUNT + 8),
        lambda case: case | ({"label_review": drawn} if case["case_id"] == "c16" else {}),
    )
    third = update(updated, data, tmp_path / "third")
    assert third.notes[-1].startswith("1 validation cases do not enter there")
    assert json.loads((third.folder / "validation.json").read_text())["update"]["new"]["cases"] == 1  # c18
    again = load_card(third.folder).initialised_from
    assert again is not None
    assert again.initialised_from == card.initialised_from
    assert record_of(third).training.new == ("c17", "c19")
    assert record_of(third).training.changed == ()  # the corrected label is known by now
    rates = [load_plan(run.folder / "plan.yaml").training.learning_rate for run in (updated, third)]
    assert rates[0] == rates[1]


def test_resumed_update_has_the_same_weights_and_patches_half_of_them_new(
    earlier: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    start = PatchDataset._start

    def remember(dataset: PatchDataset, number: int, *arguments: Any) -> Any:
        seen.append(dataset.cases[number].case_id)
        return start(dataset, number, *arguments)

    monkeypatch.setattr(PatchDataset, "_start", remember)
    data = write_next(tmp_path / "data")
    run = update(earlier, data, tmp_path / "run")
    drawn = list(seen)
    assert sum(case in {"c1", "c13", "c15"} for case in drawn[:7]) == 4  # of seven, one for each case
    weights, before = (run.folder / LAST).read_bytes(), (run.folder / "before.json").stat().st_mtime_ns
    (run.folder / "checkpoint.safetensors").unlink()
    again = update(earlier, data, tmp_path / "run", resume=True)
    assert (again.folder / LAST).read_bytes() == weights
    assert seen == drawn * 2
    assert (again.folder / "before.json").stat().st_mtime_ns == before
    assert again.notes == run.notes
    with pytest.raises(CheckpointError, match=r"resume: update must be as the run began .*leave update out"):
        update(again, data, tmp_path / "run", resume=True)


def test_validation_cases_of_the_run_are_not_trained_on_under_any_name(earlier: TrainResult, tmp_path: Path) -> None:
    moved = rewrite(write_next(tmp_path / "a"), lambda case: case | ({"fold": 1} if case["case_id"] == "c4" else {}))
    with pytest.raises(ManifestError, match="validation cases of the updated run must not be trained on, got 1: c4"):
        update(earlier, moved, tmp_path / "run")
    renamed = {"case_id": "x", "patient_id": "x", "fold": 1}
    other = rewrite(write_next(tmp_path / "b"), lambda case: case | (renamed if case["case_id"] == "c4" else {}))
    with pytest.raises(ManifestError, match="must not be trained on, got 1: x"):
        update(earlier, other, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_an_update_cannot_change_is_refused(earlier: TrainResult, tmp_path: Path) -> None:
    data = write_next(tmp_path / "data")
    with pytest.raises(ConfigError, match=r"keeps the run's preprocess and network.*got changes of network"):
        train(data, tmp_path / "run", config=SMALL, update=earlier.folder)
    with pytest.raises(ConfigError, match="fold must be that of the run, 0, got 1"):
        update(earlier, data, tmp_path / "run", fold=1)
    with pytest.raises(ConfigError, match="excludes init and plan"):
        update(earlier, data, tmp_path / "run", init=earlier.folder, plan=earlier.folder / "plan.yaml")


def rows(dice: Sequence[float], *, label: str = "box") -> list[CaseMetrics]:
    return [CaseMetrics(f"c{n}", label, {"dice": value}, 9, 9) for n, value in enumerate(dice)]


def changed(before: Sequence[float], after: Sequence[float], *, new: int = 0, label: str = "box") -> UpdateChange:
    """The change of so many cases, of which the last ones are new."""
    ids = [f"c{n}" for n in range(len(before))]
    old = len(ids) - new
    record = UpdateRecord(
        has_digests=True,
        training=CaseChanges(),
        validation=CaseChanges(old=tuple(ids[:old]), new=tuple(ids[old:])),
        fresh_share=0.5,
    )
    return measure_change(record, rows(before, label=label), rows(after, label=label), patients={})


def test_loss_on_the_old_cases_beyond_chance_is_a_warning_with_its_interval() -> None:
    found = changed([0.9] * 20, [0.85, 0.87] * 10)
    (warning,) = found.warnings
    assert warning.startswith("the update forgot on the old validation cases: box: -0.0400 (95 % ")
    assert found.values["val_old/dice_change/box"] == pytest.approx(-0.04)
    assert found.values["val_old/dice_change_high/box"] < 0
    assert found.values["val_old/dice/mean"] == pytest.approx(0.86)
    assert found.content["old"]["changes"][0]["is_forgotten"]


def test_small_or_uncertain_losses_and_losses_on_new_cases_are_no_forgetting() -> None:
    assert changed([0.9] * 20, [0.897, 0.895] * 10).warnings == ()  # beyond chance, within the margin
    assert changed([0.9] * 20, [0.7, 1.0] * 10).warnings == ()  # a loss of 0.05 that may be chance
    found = changed([0.9] * 20 + [0.9] * 20, [0.9] * 20 + [0.5, 0.6] * 10, new=20)
    assert found.warnings == ()
    assert found.values["val_new/dice_change/box"] == pytest.approx(-0.35)
    assert found.values["val_old/dice_change/box"] == 0.0


def test_update_without_old_validation_cases_says_that_nothing_is_known() -> None:
    assert changed([0.9] * 6, [0.9] * 6, new=6).warnings[0].startswith("no validation case of the updated run is left")


def test_structure_that_is_rightly_absent_counts_as_one_and_an_invented_one_as_none() -> None:
    empty = CaseMetrics("c0", "lid", {"dice": float("nan")}, 0, 0)
    invented = CaseMetrics("c0", "lid", {"dice": float("nan")}, 0, 5)
    record = UpdateRecord(
        has_digests=True, training=CaseChanges(), validation=CaseChanges(old=("c0",)), fresh_share=0.5
    )
    found = measure_change(record, [*rows([0.8]), empty], [*rows([0.8]), invented], patients={})
    means = {entry["structure"]: (entry["first"], entry["second"]) for entry in found.content["old"]["changes"]}
    assert means == {MEAN: (pytest.approx(0.9), pytest.approx(0.4)), "box": (0.8, 0.8), "lid": (1.0, 0.0)}


def test_report_shows_the_changes_of_both_groups(updated: TrainResult, tmp_path: Path) -> None:
    report_run(updated.folder, tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Update of an earlier run" in page
    assert "4 old, 1 corrected, 2 new" in page
    assert "Old validation cases, 6 cases" in page
    assert "New and corrected validation cases, 2 cases" in page


def test_command_says_what_was_learned_from_a_run_without_digests_and_mlflow_keeps_it(
    earlier: TrainResult, tmp_path: Path, medseg: Medseg, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    data, store = write_next(tmp_path / "data"), f"sqlite:///{tmp_path / 'runs.db'}"
    shutil.copytree(earlier.folder, tmp_path / "old")
    (tmp_path / "old" / "cases.json").unlink()
    outcome = medseg(
        "train", data, "--out", "run", "--update", "old", "--epochs", 1, "--tracking-uri", store,
        "--device", "cpu",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "training cases: 5 old, 0 corrected, 2 new; " in outcome.out
    assert "known by their ids alone, as the run recorded no digests" in outcome.out
    run = mlflow.MlflowClient(store).get_run(json.loads((tmp_path / "run" / "run.json").read_text())["mlflow_run_id"])
    assert run.data.tags["medseg.update_training_new"] == "2"
    assert run.data.tags["medseg.update_gone"] == "1"
    assert run.data.tags["medseg.init_weights_digest"] == weights_digest(earlier.folder / LAST)
    assert run.data.params["update.fresh_share"] == "0.5"
    content = json.loads((tmp_path / "run" / "validation.json").read_text())["update"]["old"]["changes"][0]
    assert run.data.metrics["val_old/dice_change/box"] == pytest.approx(content["difference"])
