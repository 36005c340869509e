"""Trainings to which one process and two are to give the same numbers.

Two run them as `python -m tests.training.trainings`, and the environment names them as torchrun does. Each leaves what
it found in a file of its own; at last the second fails in the middle of a training.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import medseg
import torch
from ignite.engine import Engine, Events
from medseg.cohort import SERIAL
from medseg.inference.segmentation import InferenceConfig
from medseg.manifest import load_manifest, manifest_target
from medseg.networks import NetworkConfig
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.segmentation import prepare_cases
from medseg.records import Manifest
from medseg.training import AugmentConfig, StepBudget
from medseg.training.classification import ClassificationTask
from medseg.training.engine import Attach, run_task
from medseg.training.segmentation import SegmentationInputs, SegmentationParts, SegmentationTask, TrainingConfig
from medseg.training.state import TrainingState
from medseg.training.task import Task
from medseg.workflows.processes import joined
from torch import Tensor, nn

from tests.remedies.runs import SMALL
from tests.training.classification.toys import BOTH, SLICES, inputs_of, known, prepare, toy_case, toy_truth
from tests.training.float64 import in_float64

STEPS, MANY_STEPS = 6, 24
PATCH = (16, 16, 16)
STRONG = AugmentConfig(
    affine_share=1, mirror_axes=(0,), gamma_share=0.5, contrast_share=0.5, noise_share=0.7, blur_share=0.5,
    low_resolution_share=0.5,
)  # fmt: skip


class PooledOverlap(nn.Module):
    """A loss of the user's own, which no sum over samples gives: one minus the overlap of the whole batch."""

    def forward(self, scales: Sequence[Tensor], label: Tensor) -> Tensor:
        drawn = scales[0].softmax(1)[:, 1:].sum(1)
        shown = (label[:, 0] > 0).float()
        return 1 - (2 * drawn * shown).sum() / (drawn.sum() + shown.sum() + 1)


def mixed(image: Tensor, label: Tensor, /, *, seed: int) -> tuple[Tensor, Tensor]:
    """A change of the user's own in which samples see each other: each is brightened by another's mean."""
    return image + image.roll(1, 0).mean((1, 2, 3, 4), keepdim=True), label


# AdamW divides gradients by their size, those that are nothing but rounding among them.
STEADY = {**SMALL, "training": {**SMALL["training"], "optimiser": "sgd", "learning_rate": 0.001}}
OWN = SegmentationParts(loss=lambda config: PooledOverlap(), transform=mixed)


def segmentation(
    place: Path, folder: Path, *, norm: str = "instance", own: bool = False, overlap: bool = False, **settings: Any
) -> SegmentationTask:
    """Phantoms of a store, validated on three; of overlapping regions, one of the labels is ignored."""
    manifest, root = load_manifest(place / "cohort")
    if overlap:
        manifest = with_regions(manifest)
    config = PreprocessConfig(
        axcodes="RAS", spacing_mm=(12.0, 12.0, 12.0), normalisation=(ChannelNormalisation(kind="zscore"),)
    )
    cases, _ = prepare_cases(
        manifest.cases[:5], manifest, root, config=config, store=place / "store", executor=SERIAL
    )  # fmt: skip
    target = manifest_target(manifest)
    network = NetworkConfig(
        spatial_dims=3, in_channels=1, out_channels=target.channels, channels=(4, 8), strides=((1, 1, 1), (2, 2, 2)),
        kernels=((3, 3, 3), (3, 3, 3)), blocks=(1, 1), decoder_blocks=(1,), norm=norm,
    )  # fmt: skip
    training = {"patch_size": PATCH, "patches_per_case": 2, "validations": 2, "precision": "fp32", "augment": STRONG}
    return SegmentationTask(
        SegmentationInputs(
            training=cases[:2], validation=cases[2:5], target=target, network=network,
            config=TrainingConfig(**training | settings), inference=InferenceConfig(patch_size=PATCH, overlap=0.25),
            device=torch.device("cpu"), folder=folder,
            parts=OWN if own else SegmentationParts(),
        )
    )  # fmt: skip


def with_regions(manifest: Manifest) -> Manifest:
    """The same labels as two regions that overlap, but for the last one, which nobody has annotated."""
    *shown, (_, ignore) = sorted(manifest.labels.items(), key=lambda label: label[1])
    values = tuple(value for _, value in shown if value)
    regions = {"whole": values, "part": values[1:]}
    return manifest.model_copy(
        update={"labels": dict(shown), "ignore": ignore, "regions": regions, "regions_order": values[:2]}
    )


def classification(folder: Path, *, pooling: str = "none", **settings: Any) -> ClassificationTask:
    """Toys of a store, whose network has batch normalisation."""
    root = folder.parent / f"toys{idist.get_rank()}"
    cases = [toy_case(root, number) for number in range(6)]
    stored = prepare(cases, root)
    truth = toy_truth(stored, cases, BOTH)
    if pooling != "none":
        truth = {name: known([[-1, -1]] * SLICES, [n % 2, n // 2 % 2]) for n, name in enumerate(truth)}
    network = {"pooling": pooling}
    return ClassificationTask(
        inputs_of(folder, stored[:4], stored[4:], truth, network=network, augment=STRONG, **settings)
    )


TRAININGS: dict[str, Callable[[Path, Path], Task]] = {
    "two patches": lambda place, folder: segmentation(place, folder, batch_size=2),
    "four patches, the first on coarser voxels": lambda place, folder: segmentation(
        place,
        folder,
        batch_size=4,
        coarse_start={"share": 0.4, "factor": (2, 2, 2), "patch_size": (8, 8, 8), "batch_size": 5},
    ),
    "three patches and batch normalisation": lambda place, folder: segmentation(
        place, folder, batch_size=3, norm="batch"
    ),
    "loss and change of the user's own": lambda place, folder: segmentation(place, folder, batch_size=3, own=True),
    "three patches of overlapping regions, some of it ignored": lambda place, folder: segmentation(
        place, folder, batch_size=3, overlap=True
    ),
    "five slices": lambda place, folder: classification(folder, batch_size=5),
    "studies": lambda place, folder: classification(
        folder, batch_size=3, pooling="attention", slices_per_study=4, learning_rate=1e-3
    ),
}

AMPLIFYING = ("three patches and batch normalisation", "five slices")  # of rounding


class Notes:
    """What the listeners of a training hear."""

    def __init__(self) -> None:
        self.reports: list[dict[str, float]] = []
        self.validations: list[dict[str, float]] = []

    def on_report(self, step: int, values: dict[str, float]) -> None:
        timeless = {"epoch", "train_loss", "learning_rate"}
        self.reports.append({name: value for name, value in values.items() if name in timeless})

    def on_validation(self, step: int, validation: Any) -> None:
        self.validations.append({"step": step, "score": validation.score} | validation.values)


def train(name: str, place: Path, folder: Path, *, steps: int = STEPS) -> dict[str, Any]:
    """Losses of all steps, reports, validations, and the cases of the last one."""
    task, notes, losses = TRAININGS[name](place, folder), Notes(), []
    measured: list[str] = []

    def attach(trainer: Engine, evaluator: Engine, state: TrainingState) -> None:
        trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: losses.append(float(trainer.state.output)))
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, lambda: measured.append(_id(evaluator.state.batch)))

    outcome = run_task(task, StepBudget(steps), listeners=[notes], attach=[attach])
    rows = [getattr(row, "case_id", None) or row.scores.case_id for row in outcome.rows]
    return {
        "losses": losses,
        "measured": measured,
        "rows": rows,
        "masks": [case_id for case_id in rows if isinstance(task, SegmentationTask) and case_id in task.masks],
        "reports": notes.reports,
        "validations": notes.validations,
        "files": sorted(path.name for path in folder.rglob("*") if path.is_file()),
    }


def train_in_float64(name: str, place: Path, folder: Path) -> dict[str, Any]:
    """The same over many steps, which amplify what is not rounding of float64."""
    with in_float64():
        return train(name, place, folder, steps=MANY_STEPS)


def whole(place: Path, out: Path, *more: Attach) -> dict[str, Any]:
    """Losses and summary of a training from the dataset to the delivered model, in an MLflow store."""
    losses: list[float] = []

    def attach(trainer: Engine, evaluator: Engine, state: TrainingState) -> None:
        trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: losses.append(float(trainer.state.output)))

    result = medseg.train(
        place / "boxes", out=out, store=place / "boxes_store", device="cpu", config=STEADY, epochs=3,
        tracking=f"sqlite:///{out.parent}.db", parts=SegmentationParts(attach=[attach, *more]),
    )  # fmt: skip
    return {"losses": losses, "summary": str(result.summary)}


def fail_in_the_second(trainer: Engine, evaluator: Engine, state: TrainingState) -> None:
    """Let the second process fail at the third step."""

    @trainer.on(Events.ITERATION_COMPLETED(once=3))
    def fail() -> None:
        if idist.get_rank() == 1:
            raise OSError("the disk of the second is gone")


def _id(case: Any) -> str:
    name: str = case.case_id
    return name


def main(place: Path, out: Path) -> None:
    """Run everything, then fail."""
    torch.set_num_threads(1)
    with joined("cpu"):
        found = {name: train(name, place, out / name) for name in TRAININGS}
        found |= {f"{name}, float64": train_in_float64(name, place, out / f"{name}, float64") for name in AMPLIFYING}
        found["whole"] = whole(place, out / "whole")
        (out / f"rank{idist.get_rank()}.json").write_text(json.dumps(found), encoding="utf-8")
        (out / f"failing{idist.get_rank()}").write_text(str(time.time()), encoding="utf-8")
        whole(place, out / "failed", fail_in_the_second)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
