"""A training begins with the weights of an earlier run on other labels, channels and voxels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import medseg
import numpy as np
import pytest
import torch
from medseg.errors import CheckpointError, ConfigError
from medseg.geometry import Geometry
from medseg.inference.segmentation import load_card
from medseg.networks import NetworkConfig
from medseg.networks.weights import read_weights, weights_digest
from medseg.planning import load_plan
from medseg.runs.train import TrainResult
from medseg.scans import write_scan
from torch import Tensor, nn

from tests.conftest import Medseg

NETWORK = {
    "channels": [4, 8],
    "strides": [[1, 1, 1], [2, 2, 2]],
    "kernels": [[3, 3, 3]] * 2,
    "blocks": [1, 1],
    "decoder_blocks": [1],
}
PATCH = {
    "training": {"batch_size": 2, "patch_size": [16, 16, 16], "patches_per_case": 1},
    "inference": {"patch_size": [16, 16, 16]},
}
BOX = {"background": 0, "box": 1}
LAST = Path("model") / "last.safetensors"


def write_boxes(
    folder: Path,
    *,
    name: str = "boxes",
    labels: dict[str, int] = BOX,
    channels: Sequence[str] = ("T1",),
    count: int = 2,
    spacing_mm: float = 1.0,
    shape: tuple[int, int, int] = (16, 16, 16),
    **facts: Any,
) -> Path:
    """Patients with a box per label, in two folds."""
    entries = []
    grid = Geometry(shape, np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0]))
    for n in range(count):
        label = np.zeros((1, *shape), np.uint8)
        for place, value in enumerate(sorted(labels.values())[1:]):
            label[:, 3 + 4 * place : 6 + 4 * place, 4:9, shape[2] // 4 : 9] = value
        random = np.random.default_rng(n)
        images = [f"c{n}_{index}.nii.gz" for index in range(len(channels))]
        for image in images:
            write_scan(random.normal(0, 1, label.shape).astype(np.float32) + 3 * label, grid, folder / image)
        write_scan(label, grid, folder / f"c{n}_label.nii.gz")
        case = {"case_id": f"c{n}", "patient_id": f"p{n}", "fold": n % 2, "image": images}
        entries.append({**case, "label": f"c{n}_label.nii.gz"})
    content = {"name": name, "labels": labels, "training": entries}
    content["channel_names"] = {str(index): channel for index, channel in enumerate(channels)}
    (folder / "dataset.json").write_text(json.dumps({**content, **facts}))
    return folder


def train(dataset: Path, out: Path, **settings: Any) -> TrainResult:
    shared: dict[str, Any] = {"epochs": 1, "config": PATCH, "device": "cpu", "tracking": False, "workers": 1}
    return medseg.train(dataset, out=out, store=out.parent / "store", **shared | settings)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A run on boxes in T1, validated on the first patient."""
    place = tmp_path_factory.mktemp("earlier")
    (place / "data").mkdir()
    return train(write_boxes(place / "data"), place / "run", config=PATCH | {"network": NETWORK})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def begun_with(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Weights of the network when its training begins, filled by the next training."""
    from medseg.training.segmentation.task import SegmentationTask

    state: dict[str, Tensor] = {}
    build = SegmentationTask.build

    def remember(task: SegmentationTask) -> nn.Module:
        network = build(task)
        state.update({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return network

    monkeypatch.setattr(SegmentationTask, "build", remember)
    return state


def test_labels_and_channels_are_matched_by_name_and_all_is_said(
    earlier: TrainResult, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begun_with(monkeypatch)
    write_boxes(data, name="more", labels={"background": 0, "lid": 1, "box": 5}, channels=("T2", "T1"))
    run = train(data, tmp_path / "run", init=earlier.folder)
    given = read_weights(earlier.folder / LAST)
    head, first = "decoder.heads.0.weight", "encoder.stages.0.0.first.0.weight"
    assert torch.equal(begun[head][[0, 2]], given[head])
    assert torch.equal(begun[first][:, 1:], given[first])
    record = json.loads((run.folder / "initialisation.json").read_text())
    assert (record["labels"]["new"], record["channels"]["new"]) == (["lid"], ["T2"])
    assert set(record["partly"]) == {head, "decoder.heads.0.bias", first, "encoder.stages.0.0.shortcut.0.0.weight"}
    assert "encoder.stages.1.0.first.0.weight" in record["whole"]
    assert record["fresh"] == {}
    share = record["taken_parameters"] / record["parameters"]
    assert run.notes[0].startswith(
        f"{int(1000 * share) / 10:g} % of the parameters begin with those of the earlier run"
    )
    assert run.notes[0].endswith("labels new: lid; channels new: T2")
    assert run.warnings == ()


def test_everything_is_taken_where_only_values_and_voxels_differ(
    earlier: TrainResult, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begun_with(monkeypatch)
    write_boxes(data, name="coarse", labels={"background": 0, "box": 7}, spacing_mm=2.0, channels=("FLAIR",))
    run = train(data, tmp_path / "run", init=earlier.folder / "model")
    given = read_weights(earlier.folder / LAST)
    assert all(torch.equal(begun[name], given[name]) for name in begun)
    assert run.notes[0] == (
        "all of the parameters begin with those of the earlier run on boxes 1; channel FLAIR takes the place of T1"
    )
    plan = load_plan(run.folder / "plan.yaml")
    assert plan.preprocess.spacing_mm == (2.0, 2.0, 2.0)
    assert plan.preprocess.normalisation == load_card(run.folder).preprocess.normalisation
    assert plan.network == load_card(earlier.folder).network


def test_card_remembers_the_models_that_it_began_with(earlier: TrainResult, data: Path, tmp_path: Path) -> None:
    write_boxes(data, name="others")
    first = train(data, tmp_path / "first", init=earlier.folder)
    second = train(data, tmp_path / "second", init=first.folder / "model" / "best.safetensors")
    card = load_card(second.folder)
    begun = card.initialised_from
    assert begun is not None
    assert (begun.weights, begun.taken_share) == ("best", 1.0)
    assert begun.weights_digest == weights_digest(first.folder / "model" / "best.safetensors")
    assert (begun.dataset, begun.trained_on) == ("others 1", load_card(first.folder).trained_on)
    assert begun.initialised_from is not None
    assert begun.initialised_from.weights_digest == weights_digest(earlier.folder / LAST)
    assert load_card(earlier.folder).initialised_from is None


def test_deeper_network_of_the_users_plan_takes_what_fits(earlier: TrainResult, data: Path, tmp_path: Path) -> None:
    deeper = {
        "channels": [4, 8, 8],
        "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
        "kernels": [[3, 3, 3]] * 3,
        "blocks": [1, 1, 1],
        "decoder_blocks": [1, 1],
    }
    write_boxes(data, name="others")
    planned = train(data, tmp_path / "planned", config=PATCH | {"network": deeper})
    run = train(data, tmp_path / "run", config=None, plan=planned.folder / "plan.yaml", init=earlier.folder)
    given = load_plan(planned.folder / "plan.yaml")
    assert given.fingerprint is not None  # of the cases that it was planned on
    assert load_plan(run.folder / "plan.yaml") == given.model_copy(update={"fingerprint": None})
    record = json.loads((run.folder / "initialisation.json").read_text())
    assert {name.split(".")[2] for name in record["fresh"] if name.startswith("encoder")} == {"2"}
    assert "encoder.stages.1.0.first.0.weight" in record["whole"]
    assert "of the parameters begin" in run.notes[0]


def test_nothing_that_fits_is_a_refusal_before_anything_is_prepared(
    earlier: TrainResult, data: Path, tmp_path: Path
) -> None:
    write_boxes(data, name="others")
    wider = {"channels": [3, 5], "blocks": [1, 1]}
    with pytest.raises(CheckpointError, match=r"must fit the network somewhere, got none that do"):
        train(data, tmp_path / "run", config=PATCH | {"network": wider}, init=earlier.folder)
    assert not (tmp_path / "run" / "model").exists()
    with pytest.raises(CheckpointError, match="nowhere must be there, got nothing"):
        train(data, tmp_path / "b", init=tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"model\.json must be readable"):
        train(data, tmp_path / "c", init=data)
    flat = tmp_path / "flat"
    flat.mkdir()
    write_boxes(flat, shape=(16, 16, 1))
    with pytest.raises(ConfigError, match="must be of images in 2D as these, got a network in 3D"):
        train(flat, tmp_path / "d", config=None, init=earlier.folder)


def test_validation_cases_that_the_earlier_run_was_trained_on_are_a_warning(
    earlier: TrainResult, tmp_path: Path
) -> None:
    data = earlier.folder.parent / "data"
    same = train(data, tmp_path / "same", init=earlier.folder)
    assert same.warnings == ()
    other = train(data, tmp_path / "other", init=earlier.folder, fold=1)
    assert other.warnings[0].startswith(
        "the earlier run was trained on patients of 1 of the 1 validation cases: this validation flatters the model"
    )
    assert json.loads((other.folder / "initialisation.json").read_text())["validation_cases_seen"] == ["c1"]
    (tmp_path / "second").mkdir()
    second = write_boxes(tmp_path / "second", version="2 of 4 May", labels={"background": 0, "lid": 1})
    after = train(second, tmp_path / "after", init=other.folder)  # the run before has seen c0, and that before it c1
    assert "patients of 1 of the 1 validation cases" in after.warnings[0]
    assert load_card(after.folder).seen_cases == ("c1", "c0")
    (tmp_path / "unlike").mkdir()
    unlike = train(write_boxes(tmp_path / "unlike", name="box"), tmp_path / "alone", init=other.folder)
    assert unlike.warnings == ()


def test_predictions_name_cases_of_the_earlier_run_on_the_dataset(earlier: TrainResult, tmp_path: Path) -> None:
    data = earlier.folder.parent / "data"
    run = train(data, tmp_path / "run", init=earlier.folder, fold=1)
    medseg.predict(run.folder, data, out=tmp_path / "masks", fold=1, device="cpu")
    record = json.loads((tmp_path / "masks" / "predictions.json").read_text())
    assert set(record["models"][0]["trained_on"]) == {"c0", "c1"}
    result = medseg.evaluate(data, masks=tmp_path / "masks", out=tmp_path / "ev", fold=1, tracking=False)
    assert "their numbers flatter it" in result.warnings[0]


def test_same_seed_gives_the_same_weights_and_another_run_others(
    earlier: TrainResult, data: Path, tmp_path: Path
) -> None:
    write_boxes(data, name="others", labels={"background": 0, "box": 1, "lid": 2})
    runs = [train(data, tmp_path / name, init=earlier.folder) for name in ("a", "b")]
    assert len({(run.folder / LAST).read_bytes() for run in runs}) == 1
    fresh = train(data, tmp_path / "c", config=PATCH | {"network": NETWORK})
    assert (fresh.folder / LAST).read_bytes() != (runs[0].folder / LAST).read_bytes()
    assert fresh.notes == ()
    assert not (fresh.folder / "initialisation.json").exists()


def test_resume_has_all_in_its_checkpoint(earlier: TrainResult, data: Path, tmp_path: Path) -> None:
    write_boxes(data, name="others")
    moved = tmp_path / "moved"
    (moved / "model").mkdir(parents=True)
    for path in (earlier.folder / "model").iterdir():
        (moved / "model" / path.name).write_bytes(path.read_bytes())
    run = train(data, tmp_path / "run", init=moved)
    card = load_card(run.folder)
    assert card.initialised_from is not None
    resumed = train(data, tmp_path / "run", config=None, epochs=2, resume=True, init=earlier.folder)
    with pytest.raises(CheckpointError, match="init must be as the run began"):
        train(data, tmp_path / "run", config=None, epochs=3, resume=True, init=run.folder)
    for path in (moved / "model").iterdir():
        path.unlink()
    again = train(data, tmp_path / "run", config=None, epochs=3, resume=True)
    assert again.steps > resumed.steps > run.steps
    now = load_card(run.folder)
    assert now.cost is not None
    assert now.cost.steps == again.steps
    assert now.model_copy(update={"cost": card.cost}) == card
    assert set(run.notes) < set(again.notes)  # which say beside it how far the run had come


def test_run_that_began_with_fresh_weights_takes_none_at_its_resume(
    earlier: TrainResult, data: Path, tmp_path: Path
) -> None:
    write_boxes(data, name="others")
    train(data, tmp_path / "run", config=PATCH | {"network": NETWORK})
    with pytest.raises(CheckpointError, match=r"as the run began \(with fresh weights\)"):
        train(data, tmp_path / "run", config=None, epochs=2, resume=True, init=earlier.folder)


def test_resume_before_the_first_checkpoint_begins_with_the_same_weights_again(
    earlier: TrainResult, data: Path, tmp_path: Path
) -> None:
    write_boxes(data, name="others")
    run = train(data, tmp_path / "run", init=earlier.folder)
    weights = (run.folder / LAST).read_bytes()
    (run.folder / "checkpoint.safetensors").unlink()
    again = train(data, tmp_path / "run", config=None, resume=True)
    assert (again.folder / LAST).read_bytes() == weights


class OneConvolution(nn.Module):
    """The smallest network of one's own."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(config.in_channels, config.out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.convolution(x)
        return logits


def test_own_network_is_taken_by_names_and_shapes(earlier: TrainResult, data: Path, tmp_path: Path) -> None:
    write_boxes(data, name="others", labels={"background": 0, "lid": 1})
    own = {"parts": medseg.SegmentationParts(network=OneConvolution)}
    with pytest.raises(CheckpointError, match="must fit the network somewhere"):
        train(data, tmp_path / "a", init=earlier.folder, **own)
    first = train(data, tmp_path / "b", config=PATCH | {"network": NETWORK}, **own)
    second = train(data, tmp_path / "c", init=first.folder, **own)
    assert second.notes[0].startswith("all of the parameters")
    with pytest.raises(CheckpointError, match=r"trained with the network .*OneConvolution"):
        train(data, tmp_path / "d", init=first.folder)


def test_command_says_what_was_taken_and_mlflow_keeps_it(
    earlier: TrainResult, data: Path, tmp_path: Path, medseg: Medseg, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    write_boxes(data, name="more", labels={"background": 0, "box": 1, "lid": 2})
    (tmp_path / "patch.yaml").write_text(json.dumps(PATCH))
    store = f"sqlite:///{tmp_path / 'runs.db'}"
    outcome = medseg(
        "train", data, "--out", "run", "--init", earlier.folder, "--epochs", 1, "--config", "patch.yaml",
        "--tracking-uri", store, "--device", "cpu",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "of the parameters begin with those of the earlier run on boxes 1; labels new: lid\n" in outcome.out
    run_id = json.loads((tmp_path / "run" / "run.json").read_text())["mlflow_run_id"]
    client = mlflow.MlflowClient(store)
    run = client.get_run(run_id)
    assert run.data.tags["medseg.init_weights_digest"] == weights_digest(earlier.folder / LAST)
    assert 0.9 < float(run.data.params["init.taken_share"]) < 1
    assert run.data.params["init.new_labels"] == "lid"
    assert "initialisation.json" in {entry.path for entry in client.list_artifacts(run_id)}
    again = medseg(
        "train", data, "--out", "tuned", "--init", "run", "--epochs", 1, "--config", "patch.yaml",
        "--tracking-uri", store, "--device", "cpu",
    )  # fmt: skip
    assert again.code == 0, again.err
    tuned = json.loads((tmp_path / "tuned" / "run.json").read_text())["mlflow_run_id"]
    assert client.get_run(tuned).data.tags["medseg.init_run_id"] == run_id
