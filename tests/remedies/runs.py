"""Remedies of the errors of whole runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import medseg
import numpy as np
from medseg.inference.record import ModelIdentity, PredictionRecord, save_record
from medseg.networks.segmentation import UNet
from medseg.records import Case
from medseg.runs.audit import audit_dataset
from medseg.runs.machine import torch_device
from medseg.runs.run_folder import RunFolder, check_empty
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.segmentation.plan import PlanResult, plan_dataset
from medseg.runs.segmentation.second_reader import SecondReader
from medseg.runs.settings import TrainingSettings
from medseg.scans import write_scan

from tests.grids import grid
from tests.remedies.attempts import covers, tried_elsewhere, tries
from tests.remedies.evaluation import evaluated
from tests.runs.test_own_parts import OneConvolution

covers("runs")
Again = Iterator[Callable[[], object]]
GRID = grid((16, 16, 16))
SMALL: dict[str, Any] = {
    "network": {
        "channels": [2, 4],
        "strides": [[1, 1, 1], [2, 2, 2]],
        "kernels": [[3, 3, 3]] * 2,
        "blocks": [1, 1],
        "decoder_blocks": [1],
    },
    "training": {"batch_size": 2, "patch_size": [16, 16, 16], "patches_per_case": 1},
    "inference": {"patch_size": [16, 16, 16]},
}


def write_patients(folder: Path, *, count: int = 2, **changes: Any) -> Path:
    """Patients with a box each, in two folds."""
    entries = []
    for n in range(count):
        label = np.zeros((1, *GRID.shape), np.uint8)
        label[:, 4:10, 5:12, 4:9] = 1
        image = np.random.default_rng(n).normal(0, 1, label.shape).astype(np.float32) + 3 * label
        write_scan(image, GRID, folder / f"c{n}.nii.gz")
        write_scan(label, GRID, folder / f"c{n}_label.nii.gz")
        files = {"image": f"c{n}.nii.gz", "label": f"c{n}_label.nii.gz"}
        entries.append({"case_id": f"c{n}", "patient_id": f"p{n}", "fold": n % 2, **files})
    content = {"name": "boxes", "channel_names": {"0": "T1"}, "labels": {"background": 0, "box": 1}}
    (folder / "dataset.json").write_text(json.dumps({**content, "training": entries, **changes}))
    return folder


def train(place: Path, out: str, **settings: Any) -> medseg.TrainResult:
    settings = {"config": SMALL, "epochs": 1, **settings}
    return medseg.train(
        place, out=place / out, store=place / "store", device="cpu", tracking=False, **settings
    )  # fmt: skip


@tries("runs/settings.py", "give one")
def _two_lengths(place: Path) -> Again:
    yield lambda: TrainingSettings(out=place, budget="1m", epochs=3)
    yield lambda: TrainingSettings(out=place, budget="1m")
    yield lambda: TrainingSettings(out=place, epochs=3)


@tries("runs/segmentation/plan.py", "give another, or delete it")
def _plan_that_exists(place: Path) -> Again:
    write_patients(place)
    (place / "plan.yaml").touch()
    settings = TrainingSettings(out=place, store=place / "store", device="cpu", epochs=1, changes=SMALL)

    def make(name: str) -> PlanResult:
        return plan_dataset(SegmentationJob(), place, settings, path=place / name)

    yield lambda: make("plan.yaml")
    yield lambda: make("other.yaml")
    (place / "plan.yaml").unlink()
    yield lambda: make("plan.yaml")


@tries("runs/segmentation/job.py", "choose one, or give a network of your own as SegmentationParts(network=...)")
def _unknown_network(place: Path) -> Again:
    yield lambda: SegmentationJob(network="resunet")  # type: ignore[arg-type]  # that is the point
    yield lambda: SegmentationJob(network="dynunet")
    yield lambda: SegmentationJob(medseg.SegmentationParts(network=UNet))


@tries("runs/segmentation/job.py", "give one")
def _two_networks(place: Path) -> Again:
    parts = medseg.SegmentationParts(network=UNet)
    yield lambda: SegmentationJob(parts, network="dynunet")
    yield lambda: SegmentationJob(network="dynunet")
    yield lambda: SegmentationJob(parts)


@tries("runs/segmentation/job.py", "leave the name out, or the plan")
def _network_beside_a_plan(place: Path) -> Again:
    plan = train(write_patients(place), "a").folder / "plan.yaml"
    yield lambda: train(place, "b", plan=plan, network="dynunet")
    yield lambda: train(place, "c", plan=plan)
    sizes = {key: SMALL[key] for key in ("training", "inference")}
    yield lambda: train(place, "d", network="segresnet", config=sizes)


@tries("runs/segmentation/job.py", "choose one of them")
def _unknown_preset(place: Path) -> Again:
    yield lambda: SegmentationJob(preset="XXL")  # type: ignore[arg-type]  # that is the point
    for name in ("nano", "S", "M", "L", "XL"):
        yield lambda name=name: SegmentationJob(preset=name)  # type: ignore[misc]


@tries("runs/segmentation/job.py", "leave the preset out")
def _preset_beside_a_plan(place: Path) -> Again:
    plan = train(write_patients(place), "a").folder / "plan.yaml"
    yield lambda: train(place, "b", plan=plan, preset="nano")
    yield lambda: train(place, "c", plan=plan)
    yield lambda: train(place, "d", preset="nano")


@tries("runs/machine.py", "choose cpu")
def _no_gpu(place: Path) -> Again:
    with patch("torch.cuda.is_available", return_value=False):
        yield lambda: torch_device("cuda")
        yield lambda: torch_device("cpu")


@tries("runs/run_folder.py", "choose another")
def _full_folder(place: Path) -> Again:
    (place / "out").mkdir()
    (place / "out" / "mine.txt").touch()
    yield lambda: check_empty(place / "out")
    yield lambda: check_empty(place / "other")


@tries("runs/audit.py", "choose another name")
def _fixed_before(place: Path) -> Again:
    write_patients(place)
    (place / "fixed").mkdir()
    yield lambda: audit_dataset(place, fix=place / "fixed")
    yield lambda: audit_dataset(place, fix=place / "other")


@tries("runs/audit.py", "choose another")
def _no_folder(place: Path) -> Again:
    write_patients(place)
    (place / "file").touch()
    yield lambda: audit_dataset(place, out=place / "file")
    yield lambda: audit_dataset(place, out=place / "other")


def finished_run(place: Path) -> RunFolder:
    """A run on the two patients, and its folder."""
    write_patients(place)
    return RunFolder(train(place, "run").folder)


def resume(place: Path) -> Callable[[], object]:
    return lambda: train(place, "run", resume=True, config=None, epochs=2)


@tries("runs/train.py", "start a new run")
def _other_manifest(place: Path) -> Again:
    finished_run(place)
    write_patients(place, version="2")
    yield resume(place)
    yield lambda: train(place, "new")


@tries("runs/run_folder.py", "start a new run")
def _no_record(place: Path) -> Again:
    finished_run(place)
    (place / "run" / "run.json").write_text("{")
    yield resume(place)
    yield lambda: train(place, "new")


@tries("runs/train.py", "start a new run with that plan")
def _other_plan(place: Path) -> Again:
    folder = finished_run(place)
    folder.plan.write_text(folder.plan.read_text().replace("epochs: 200", "epochs: 150"))
    yield resume(place)
    yield lambda: train(place, "new", plan=folder.plan, config=None)


@tries("runs/segmentation/job.py", "plan again")
def _plan_of_other_channels(place: Path) -> Again:
    folder = finished_run(place)
    both = {"labels": {"background": 0, "box": 1, "lid": 2}}
    write_patients(place, **both)
    yield lambda: train(place, "new", plan=folder.plan, config=None)
    yield lambda: train(place, "planned")


@tries("runs/train.py", "give the same parts again, or start a new run")
def _other_parts(place: Path) -> Again:
    finished_run(place)
    parts = medseg.SegmentationParts(transform=lambda image, label, seed: (image, label))
    yield lambda: train(place, "run", resume=True, config=None, epochs=2, parts=parts)
    yield resume(place)
    yield lambda: train(place, "new", parts=parts)


@tries("runs/segmentation/initialise.py", "give the folder of an earlier run")
def _no_earlier_run(place: Path) -> Again:
    folder = finished_run(place)
    yield lambda: train(place, "tuned", init=place / "nowhere")
    yield lambda: train(place, "again", init=folder.path)


@tries(
    "runs/segmentation/initialise.py",
    "leave the network's shape to the earlier run instead of a plan or settings, or leave init out",
)
def _other_widths(place: Path) -> Again:
    folder = finished_run(place)
    wider = SMALL | {"network": SMALL["network"] | {"channels": [3, 5]}}
    shapeless = {name: section for name, section in SMALL.items() if name != "network"}
    yield lambda: train(place, "tuned", init=folder.path, config=wider)
    yield lambda: train(place, "kept", init=folder.path, config=shapeless)
    yield lambda: train(place, "fresh", config=wider)


@tries("runs/segmentation/initialise.py", "give that network, or leave init out")
def _own_network_is_missing(place: Path) -> Again:
    write_patients(place)
    parts = medseg.SegmentationParts(network=OneConvolution)
    folder = train(place, "run", parts=parts).folder
    yield lambda: train(place, "tuned", init=folder)
    yield lambda: train(place, "kept", init=folder, parts=parts)
    yield lambda: train(place, "fresh")


@tries("runs/segmentation/initialise.py", "start a new run")
def _damaged_initialisation(place: Path) -> Again:
    folder = finished_run(place)
    tuned = train(place, "tuned", init=folder.path)
    (tuned.folder / "initialisation.json").write_text("{")
    yield lambda: train(place, "tuned", resume=True, config=None, epochs=2)
    yield lambda: train(place, "new", init=folder.path)


@tries("runs/initial_weights.py", "leave {} out, or start a new run")
def _other_initial_weights(place: Path) -> Again:
    folder = finished_run(place)
    train(place, "tuned", init=folder.path)
    yield lambda: train(place, "tuned", resume=True, config=None, epochs=2, init=place / "tuned")
    yield lambda: train(place, "tuned", resume=True, config=None, epochs=2)
    yield lambda: train(place, "new", init=place / "tuned")


@tries("runs/initial_weights.py", "start a new run")
def _lost_initial_weights(place: Path) -> Again:
    folder = finished_run(place)
    tuned = RunFolder(train(place, "tuned", init=folder.path).folder)
    tuned.checkpoint.unlink()
    (folder.model / "last.safetensors").unlink()
    yield lambda: train(place, "tuned", resume=True, config=None)
    yield lambda: train(place, "new")


tried_elsewhere("tests/integration/test_classify_route.py", "gate", "runs/segmentation/predict.py", "leave check out")


@tries("runs/segmentation/second_reader.py", "give the folder that holds the second reader's labels")
def _no_second_reader(place: Path) -> Again:
    cases = (Case(case_id="a", patient_id="a", images=("a.nii.gz",)),)
    (place / "reader").mkdir()
    (place / "reader" / "a.nii.gz").touch()
    yield lambda: SecondReader.of(place / "raeder", cases, masks=place / "masks")
    yield lambda: SecondReader.of(place / "reader", cases, masks=place / "masks")


@tries("runs/segmentation/second_reader.py", "give the folder that holds the second reader's labels")
def _masks_as_second_reader(place: Path) -> Again:
    cases = (Case(case_id="a", patient_id="a", images=("a.nii.gz",)),)
    for name in ("masks", "reader"):
        (place / name).mkdir()
        (place / name / "a.nii.gz").touch()
    yield lambda: SecondReader.of(place / "masks", cases, masks=place / "reader" / ".." / "masks")
    yield lambda: SecondReader.of(place / "reader", cases, masks=place / "masks")


@tries("runs/segmentation/second_reader.py", "name each label after its case, such as {}")
def _names_of_second_readings(place: Path) -> Again:
    cases = (Case(case_id="a", patient_id="a", images=("a.nii.gz",)),)
    (place / "reader of a.nii.gz").touch()
    yield lambda: SecondReader.of(place, cases, masks=place / "masks")
    (place / "reader of a.nii.gz").rename(place / "a.nii.gz")
    yield lambda: SecondReader.of(place, cases, masks=place / "masks")


def compared(place: Path, *folders: str, **more: Any) -> Callable[[], object]:
    """A comparison of evaluations of a case each."""
    made = [evaluated(place / folder, "a") for folder in folders]
    return lambda: medseg.compare(
        made, out=place / f"out_{'_'.join(folders)}_{'_'.join(more.get('names', ()))}", **more
    )


@tries("runs/segmentation/compare.py", "give names, or other folders")
def _names(place: Path) -> Again:
    yield compared(place, "x", "y", names=("one", "one"))
    yield compared(place, "x", "y", names=("one", "two"))
    yield compared(place, "x", "z")


@tries("runs/segmentation/worst_pictures.py", "give both, the masks in the order of the evaluations, or neither")
def _pictures(place: Path) -> Again:
    write_patients(place)
    made = [evaluated(place / name, "a") for name in ("x", "y")]
    yield lambda: medseg.compare(made, out=place / "out", dataset=place)
    yield lambda: medseg.compare(made, out=place / "both", dataset=place, masks=[place / "x", place / "y"])
    yield lambda: medseg.compare(made, out=place / "neither")


@tries("runs/segmentation/worst_pictures.py", "give the dataset that was evaluated, or leave dataset and masks out")
def _pictures_of_another_dataset(place: Path) -> Again:
    write_patients(place / "right", name="livers")
    write_patients(place / "wrong", name="kidneys")
    made = [evaluated(place / name, "a") for name in ("x", "y")]
    for folder in made:
        summary = json.loads((folder / "summary.json").read_text())
        (folder / "summary.json").write_text(json.dumps(summary | {"dataset": {"name": "livers"}}))
    yield lambda: medseg.compare(made, out=place / "out", dataset=place / "wrong", masks=made)
    yield lambda: medseg.compare(made, out=place / "drawn", dataset=place / "right", masks=made)
    yield lambda: medseg.compare(made, out=place / "plain")


@tries("runs/segmentation/worst_pictures.py", "give the folders of masks in the order of the evaluations")
def _order_of_masks(place: Path) -> Again:
    write_patients(place)
    made, masks = [], []
    for name in ("x", "y"):
        identity = ModelIdentity(
            dataset="d", manifest_digest="m", plan_digest="p", weights_digest=name * 64, trained_on=()
        )
        masks.append(place / f"masks_{name}")
        save_record(PredictionRecord(models=(identity,), labels={"liver": 1}, cases=(), failures=()), masks[-1])
        made.append(evaluated(place / name, "a"))
        summary = json.loads((made[-1] / "summary.json").read_text())
        (made[-1] / "summary.json").write_text(json.dumps(summary | {"model": identity.model_dump(mode="json")}))
    yield lambda: medseg.compare(made, out=place / "out", dataset=place, masks=masks[::-1])
    yield lambda: medseg.compare(made, out=place / "out", dataset=place, masks=masks)


@tries("runs/segmentation/compare.py", "evaluate both again under the same contract")
def _contracts(place: Path) -> Again:
    one, other = evaluated(place / "x", "a"), evaluated(place / "y", "a", both_empty="perfect")
    yield lambda: medseg.compare([one, other], out=place / "out")
    evaluated(place / "y", "a")
    yield lambda: medseg.compare([one, other], out=place / "out")


@tries("runs/segmentation/compare.py", "evaluate the same cases")
def _common(place: Path) -> Again:
    one, other = evaluated(place / "x", "a"), evaluated(place / "y", "b")
    yield lambda: medseg.compare([one, other], out=place / "out")
    evaluated(place / "y", "a", "b")
    yield lambda: medseg.compare([one, other], out=place / "out")


@tries("runs/choices.py", "leave out {}, or start a new run")
def _other_choices(place: Path) -> Again:
    finished_run(place)
    yield lambda: train(place, "run", resume=True, config=None, seed=5)
    yield resume(place)
    yield lambda: train(place, "new", seed=5)
