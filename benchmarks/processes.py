"""Two processes of a training against one with the same batches, step by step.

    python -m benchmarks.processes DATASET [--epochs 1] [--float64] [--only "2 patches"]

Each training is run by one process and by two that gloo joins. The largest differences are printed as a table; that of
SGD shows what AdamW makes of rounding, since it divides gradients by their size, and float64 what is not rounding.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import medseg
import torch
from ignite.engine import Engine, Events
from medseg.runs.classification.job import ClassificationJob
from medseg.runs.classification.settings import ClassificationSettings
from medseg.runs.tracking import Tracking
from medseg.runs.train import train_job
from medseg.training.segmentation import SegmentationParts
from medseg.training.state import TrainingState
from medseg.workflows.processes import joined
from safetensors.torch import load_file

from tests.training.float64 import in_float64

NETWORK = {
    "channels": [8, 16],
    "strides": [[1, 1, 1], [2, 2, 2]],
    "kernels": [[3, 3, 3]] * 2,
    "blocks": [1, 1],
    "decoder_blocks": [1],
}
PATCH = [24, 24, 24]
AUGMENT = {"affine_share": 1.0, "noise_share": 0.5, "blur_share": 0.5, "low_resolution_share": 0.5}
OPTIMISERS: dict[str, dict[str, Any]] = {"adamw": {}, "sgd": {"optimiser": "sgd", "learning_rate": 0.01}}
SEGMENTATIONS: dict[str, dict[str, Any]] = {
    "2 patches": {"training": {"batch_size": 2}},
    "4 patches": {"training": {"batch_size": 4}},
    "3 patches, batch normalisation": {"training": {"batch_size": 3}, "network": {"norm": "batch"}},
}
CLASSIFIER = "15 slices, batch normalisation"
TRAININGS = [*((name, "adamw") for name in [*SEGMENTATIONS, CLASSIFIER]), ("2 patches", "sgd")]


def train(name: str, optimiser: str, dataset: Path, out: Path, *, epochs: int) -> dict[str, Any]:
    """Losses of all steps and the score of the validation, in this process."""
    losses: list[float] = []

    def attach(trainer: Engine, evaluator: Engine, state: TrainingState) -> None:
        trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: losses.append(float(trainer.state.output)))
        evaluator.add_event_handler(Events.COMPLETED, lambda: scores.append(evaluator.state.validation.score))

    scores: list[float] = []
    common: dict[str, Any] = {"store": out.parent / "store", "device": "cpu", "epochs": epochs}
    training = {"augment": AUGMENT, "validations": 1, "precision": "fp32", **OPTIMISERS[optimiser]}
    if name == CLASSIFIER:
        settings = ClassificationSettings(
            out=out, changes={"training": {**training, "batch_size": 15}}, tracking=Tracking(is_on=False), **common
        )
        train_job(ClassificationJob(settings, attach=[attach]), dataset, settings)
    else:
        asked = SEGMENTATIONS[name]
        config = {
            "network": {**NETWORK, **asked.get("network", {})},
            "training": {**training, "patch_size": PATCH, **asked["training"]},
            "inference": {"patch_size": PATCH},
        }
        parts = SegmentationParts(attach=[attach])
        medseg.train(dataset, out=out, config=config, parts=parts, tracking=False, **common)
    return {"losses": losses, "score": scores[-1]}


def run(given: argparse.Namespace) -> None:
    """All trainings, by one process or by one of two; the first leaves what it found."""
    torch.set_num_threads(1)
    format_of_numbers, out = in_float64() if given.float64 else nullcontext(), given.out
    with format_of_numbers, joined("cpu") if "WORLD_SIZE" in os.environ else nullcontext(True) as is_first:
        found = {
            f"{name}, {optimiser}": train(
                name, optimiser, given.dataset, out / f"{name}, {optimiser}", epochs=given.epochs
            )
            for name, optimiser in TRAININGS
            if not given.only or name in given.only
        }
        if is_first:
            (out / "found.json").write_text(json.dumps(found), encoding="utf-8")


def start(out: Path, names: dict[str, str]) -> subprocess.Popen[bytes]:
    """This script, with its own options, as one process of a training."""
    command = [sys.executable, "-m", "benchmarks.processes", *sys.argv[1:], "--out", str(out)]
    return subprocess.Popen(command, env=os.environ | names)


def compare() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        free.close()
        found = {}
        for processes in (1, 2):
            out = Path(folder) / str(processes)
            out.mkdir()
            common = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            ranks = [common | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
            codes = [one.wait() for one in [start(out, names) for names in ranks]]
            if any(codes):
                sys.exit(f"exit codes {codes}")
            found[processes] = json.loads((out / "found.json").read_text(encoding="utf-8"))
        print("| training | steps | loss, first and last | largest difference, 10 steps | all | weights | score |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name, one in found[1].items():
            two = found[2][name]
            gaps = [abs(a - b) for a, b in zip(one["losses"], two["losses"], strict=True)]
            folders = [Path(folder) / str(processes) / name for processes in (1, 2)]
            print(
                f"| {name} | {len(gaps)} | {one['losses'][0]:.3f}, {one['losses'][-1]:.3f} | {max(gaps[:10]):.1e} | "
                f"{max(gaps):.1e} | {weights_apart(*folders):.1e} | {abs(one['score'] - two['score']):.1e} |"
            )


def weights_apart(first: Path, second: Path) -> float:
    """Largest difference of the delivered weights of two trainings."""
    one, two = (load_file(folder / "model" / "last.safetensors") for folder in (first, second))
    return max(float((one[name] - two[name]).abs().max()) for name in one)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--float64", action="store_true", help="Compute in float64.")
    parser.add_argument("--only", nargs="*", help="Names of the trainings to run.  [default: all]")
    parser.add_argument("--out", type=Path, help="Folder of one process's results; used by the script itself.")
    given = parser.parse_args()
    if given.out is None:
        compare()
    else:
        run(given)
