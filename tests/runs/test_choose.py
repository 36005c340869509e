"""What cross-validation shows to help is taken, and nothing else."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import CheckpointError, ConfigError
from medseg.evaluation.segmentation import EvaluationContract, evaluate_cases
from medseg.inference import load_record
from medseg.inference.segmentation import load_card
from medseg.inference.segmentation.postprocess import Postprocessing, StructureRule
from medseg.manifest import load_manifest
from medseg.networks import save_weights
from medseg.runs.report.source import open_run
from medseg.runs.seen import flattered_cases
from medseg.runs.segmentation.choice import ChoiceResult, ChooseSettings, choose_model
from medseg.runs.segmentation.choice.part_table import StructureParts, cross_fitted_volumes, smallest_volume
from medseg.runs.segmentation.chosen_model import load_chosen_card
from medseg.runs.segmentation.initialise import load_earlier_card
from medseg.runs.segmentation.model_paths import found_models, is_model
from medseg.runs.segmentation.predict import PredictSettings, predict_run
from medseg.runs.tracking import Tracking
from medseg.scans import read_label

from tests.runs.fold_runs import Levels, levels, patients, write_dataset, write_folds

SPECKLED = 12


def choose(dataset: Path, folds: list[Path], out: Path, **choices: Any) -> ChoiceResult:
    choices = {"tracking": Tracking(is_on=False)} | choices
    return choose_model(dataset, folds, ChooseSettings(out=out, network=levels, device="cpu", **choices))


def tries_of(result: ChoiceResult) -> dict[str, tuple[float, bool]]:
    """Difference of each try, and whether it was taken."""
    return {one.name: (one.difference.difference, one.is_taken) for step in result.page.steps for one in step.tries}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("choice")


@pytest.fixture(scope="module")
def dataset(place: Path) -> Path:
    (place / "data").mkdir()
    return write_dataset(place / "data", patients(SPECKLED))


@pytest.fixture(scope="module")
def chosen(place: Path, dataset: Path) -> ChoiceResult:
    """A choice between two trainings alike, of which each mask has a speckle."""
    first = write_folds(place / "first", dataset)
    second = write_folds(place / "second", dataset, shifts=(0.1, 0.1, 0.1))
    note_run(first, "0" * 32)
    return choose(dataset, [first, second], place / "chosen", tracking=Tracking(uri=store_of(place)))


def store_of(place: Path) -> str:
    return f"sqlite:///{place}/mlflow.db"


def note_run(folds: Path, run_id: str) -> None:
    """Let a training of all folds have an MLflow run."""
    path = folds / "folds.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mlflow_run_id": run_id}), encoding="utf-8")


def test_rule_is_taken_that_removes_speckles_and_none_that_takes_a_true_part_away(chosen: ChoiceResult) -> None:
    assert chosen.failures == ()
    assert chosen.card.postprocessing == Postprocessing(
        structures=(StructureRule(structure="organ", keep_largest=True),)
    )
    tries = tries_of(chosen)
    gain, is_taken = tries["organ: keep the largest part"]
    assert gain > 0
    assert is_taken
    loss, is_taken = tries["pair: keep the largest part"]
    assert loss == pytest.approx(2 * 36 / (72 + 36) - 1)  # one of two parts of 36 voxels
    assert not is_taken
    assert tries["organ: fill holes"][0] < 0  # the holes are in the labels
    assert tries["pair: fill holes"] == tries["pair: remove small parts"] == (0, False)
    assert chosen.page.result.means["dice"] == 1


def test_smallest_volume_does_as_well_here_and_the_rule_without_a_number_is_taken(chosen: ChoiceResult) -> None:
    tries = tries_of(chosen)
    (volume,) = [name for name in tries if name.startswith("organ: remove parts below")]
    assert tries[volume][0] == pytest.approx(tries["organ: keep the largest part"][0])
    assert not tries[volume][1]


def test_first_training_stays_where_nothing_is_better(chosen: ChoiceResult) -> None:
    assert chosen.page.chosen == "first"
    assert tries_of(chosen)["second"] == (0, False)
    assert tries_of(chosen)["first + second"] == (0, False)
    assert [member.training for member in chosen.card.members] == ["first"] * 3


def test_every_try_stands_in_json_table_and_page(chosen: ChoiceResult) -> None:
    names = [one.name for step in chosen.page.steps for one in step.tries]
    content = json.loads((chosen.folder / "choice.json").read_text(encoding="utf-8"))
    assert [one["name"] for step in content["steps"] for one in step["tries"]] == names
    assert content["model"] == load_chosen_card(chosen.folder).model_dump(mode="json")
    with (chosen.folder / "tries.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["try"] for row in rows] == names
    assert [float(row["difference"]) for row in rows] == [change for change, _ in tries_of(chosen).values()]
    page = (chosen.folder / "index.html").read_text(encoding="utf-8")
    for name in names:
        assert f"<td>{name}</td>" in page
    assert "Holm" in page


def test_choice_is_a_run_in_mlflow_with_its_figures_and_its_page(chosen: ChoiceResult, place: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient(store_of(place))
    run = client.get_run(str(chosen.card.mlflow_run_id))
    assert run.info.status == "FINISHED"
    tags, metrics = run.data.tags, run.data.metrics
    assert (tags["medseg.stage"], tags["medseg.chosen"]) == ("choose", "first")
    assert tags["medseg.postprocessing"] == "organ: keep the largest part"
    assert tags["medseg.training_run_ids"] == "0" * 32
    assert "Holm" in tags["mlflow.note.content"]
    assert run.data.params | {"networks": "3", "cases": "12", "tries": "9"} == run.data.params
    assert metrics["val/dice/mean"] == 1
    assert metrics["tried/first/dice/organ"] < 1
    assert metrics["gain/Ensemble of two/first _ second"] == 0  # MLflow takes no plus
    assert metrics["gain/Postprocessing/organ_ keep the largest part"] > 0
    files = {item.path for folder in ("", "choose") for item in client.list_artifacts(run.info.run_id, folder)}
    assert {"choose/index.html", "chosen.json", "choice.json", "tries.csv", "tries.json"} <= files


def test_chosen_folder_is_a_model_whose_masks_have_the_rules(chosen: ChoiceResult, dataset: Path, place: Path) -> None:
    assert is_model(chosen.folder)
    with found_models([chosen.folder]) as found:
        assert len(found.folders) == 3
        assert load_card(found.folders[0]).postprocessing == chosen.card.postprocessing
    drawn = predict_run(
        chosen.folder, [dataset], PredictSettings(out=place / "masks", out_of_fold=True, network=levels, device="cpu")
    )
    assert drawn.failures == ()
    record = load_record(place / "masks")
    assert record is not None
    (change,) = record.cases[0].postprocessed or ()
    assert (change.structure, change.rule, change.voxels, change.volume_ml) == ("organ", "largest part", 3, 0.03)
    mask, _ = read_label(place / "masks" / "c00.nii.gz", case_id="c00")
    np.testing.assert_array_equal(mask, patients(1)["c00"][1])
    manifest, _ = load_manifest(dataset)
    assert flattered_cases(record, manifest, {case.case_id for case in manifest.cases}) == []


def test_where_one_network_is_needed_a_chosen_model_is_refused_and_one_of_its_networks_named(
    chosen: ChoiceResult, place: Path
) -> None:
    needing_one: list[Callable[[], object]] = [
        lambda: load_earlier_card(chosen.folder),
        lambda: open_run(chosen.folder, None, None),
    ]
    for needs_one in needing_one:
        with pytest.raises(
            CheckpointError, match="must be the folder of one network, got a chosen model of 3"
        ) as raised:
            needs_one()
        assert raised.value.remedy == "give one of them, such as models/first_fold_0"
    with pytest.raises(CheckpointError, match="got a training of all folds"):
        load_earlier_card(place / "first")


def test_mask_by_all_members_is_said_to_flatter_and_one_out_of_fold_is_not(
    dataset: Path, place: Path, chosen: ChoiceResult
) -> None:
    ids = {"c00", "c01"}
    manifest, _ = load_manifest(dataset)
    predict_run(chosen.folder, [dataset], PredictSettings(out=place / "flat", network=levels, device="cpu", fold=0))
    record = load_record(place / "flat")
    assert flattered_cases(record, manifest, ids) == sorted(ids)
    assert flattered_cases(load_record(place / "first" / "out_of_fold"), manifest, ids) == []


def test_members_that_are_lost_or_exchanged_are_noticed(chosen: ChoiceResult, place: Path, dataset: Path) -> None:
    import shutil

    copy = shutil.copytree(chosen.folder, place / "copy")
    weights = copy / chosen.card.members[1].folder / "model" / "last.safetensors"
    save_weights(Levels(0.3).state_dict(), weights)
    with pytest.raises(CheckpointError, match="first_fold_1 must hold the weights that were chosen, got others"):
        predict_run(copy, [dataset], PredictSettings(out=place / "lost", network=levels, device="cpu"))
    weights.unlink()
    with pytest.raises(CheckpointError, match="got none"):
        predict_run(copy, [dataset], PredictSettings(out=place / "lost", network=levels, device="cpu"))


def ambiguous(count: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Patients without speckles, whose organ has intensities from 0.4 to 0.8 at its border."""
    found = {}
    rng = np.random.default_rng(0)
    for name, (_, label) in patients(count).items():
        image = label.astype(np.float32)
        border = label == 1
        border[2:5] = False
        image[border] = rng.uniform(0.4, 0.8, border.sum())
        found[name] = (image, label)
    return found


def test_better_configuration_takes_the_place_of_the_first_and_two_draw_together_only_if_better(place: Path) -> None:
    (place / "border").mkdir()
    dataset = write_dataset(place / "border", ambiguous(9))
    plain = write_folds(place / "plain", dataset)
    shifted = write_folds(place / "shifted", dataset, shifts=(0.2,) * 3)
    result = choose(dataset, [plain, shifted], place / "better")
    assert result.page.chosen == "shifted"
    tries = tries_of(result)
    assert tries["shifted"][1]
    assert not tries["plain + shifted"][1]
    masks = place / "better" / "tries" / "plain+shifted"
    manifest, root = load_manifest(dataset)
    record = load_record(masks)
    assert record is not None
    assert {case.case_id: case.drawn_by for case in record.cases} == {
        case.case_id: (case.fold, case.fold + 3) for case in manifest.cases if case.fold is not None
    }
    # The mean of both decides as half of the shift would: exactly, case by case.
    halfway = write_folds(place / "halfway", dataset, shifts=(0.1,) * 3)
    alone = predict_run(
        halfway, [dataset], PredictSettings(out=place / "halfway_masks", out_of_fold=True, network=levels, device="cpu")
    )
    contract = EvaluationContract(metrics=("dice",))
    both, half = (
        evaluate_cases(manifest.cases, manifest, root, masks=folder, contract=contract)[0]
        for folder in (masks, alone.folder)
    )
    assert both == half


def parts(case_id: str, voxels: tuple[int, ...], overlaps: tuple[int, ...], label: int) -> StructureParts:
    return StructureParts(case_id, "organ", label, voxels, overlaps, 0, 0, voxel_ml=0.01)


def test_smallest_volume_lies_between_the_largest_false_part_and_the_next_true_one() -> None:
    tables = [parts("a", (100, 4), (100, 0), 100), parts("b", (90, 9), (90, 0), 90)]
    volume = smallest_volume(tables)
    assert volume is not None
    assert 0.09 < volume < 0.9
    assert smallest_volume([parts("a", (100, 4), (100, 4), 104)]) is None
    assert smallest_volume([]) is None


def test_removing_a_structure_that_the_label_lacks_counts_as_right() -> None:
    volume = smallest_volume([parts("a", (4,), (0,), 0), parts("b", (50,), (50,), 50)])
    assert volume is not None
    assert parts("c", (3,), (0,), 0).without_small(volume) == 1
    assert parts("c", (3,), (0,), 0).as_it_is() == 0


def test_smallest_volume_of_a_fold_is_chosen_without_its_cases() -> None:
    tables = [parts("a", (100, 4), (100, 0), 100), parts("b", (100, 40), (100, 0), 100)]
    volumes = cross_fitted_volumes(tables, {"a": 0, "b": 1})
    assert volumes[0] is not None
    assert volumes[1] is not None
    assert 0.4 < volumes[0] < 1  # by the other case, whose false part has 40 voxels
    assert 0.04 < volumes[1] < 1
    assert tables[1].without_small(volumes[1]) == tables[1].as_it_is() or volumes[1] > 0.4


def test_training_of_another_split_and_one_without_a_fold_are_refused(place: Path, dataset: Path) -> None:
    import shutil

    first = place / "first"
    missing = shutil.copytree(first, place / "missing")
    shutil.rmtree(missing / "fold_1" / "model")
    with pytest.raises(CheckpointError, match="every fold must have a model, got none of fold 1"):
        choose(dataset, [missing], place / "none")
    other = place / "other"
    other.mkdir()
    with pytest.raises(CheckpointError, match="must be of the dataset as it is now"):
        choose(write_dataset(other, patients(6)), [first], place / "none")
    with pytest.raises(ConfigError, match="must be a training of all folds"):
        choose(dataset, [first / "fold_0"], place / "none")
    with pytest.raises(ConfigError, match="names must differ"):
        choose(dataset, [first, first], place / "none", names=["a", "a"])
    assert not (place / "none").exists()


def test_masks_that_a_person_has_corrected_are_not_what_the_networks_are_judged_by(place: Path, dataset: Path) -> None:
    folds = write_folds(place / "corrected", dataset)
    choose(dataset, [folds], place / "before")
    mask = folds / "out_of_fold" / "c00.nii.gz"
    mask.write_bytes((dataset / "c00_label.nii.gz").read_bytes())
    result = choose(dataset, [folds], place / "after")
    assert any("are kept in out_of_fold_earlier" in warning for warning in result.warnings)
    assert (folds / "out_of_fold_earlier" / "c00.nii.gz").is_file()
    before = json.loads((place / "before" / "choice.json").read_text(encoding="utf-8"))
    after = json.loads((place / "after" / "choice.json").read_text(encoding="utf-8"))
    assert before["steps"] == after["steps"]
