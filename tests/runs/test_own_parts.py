"""A network, loss, transform, metric and handler of the user's own enter a training by a typed record."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import medseg
import pytest
from ignite.engine import Engine, Events
from medseg.errors import CheckpointError, ConfigError
from medseg.evaluation.segmentation import hausdorff_95_mm
from medseg.geometry import Triple
from medseg.networks import NetworkConfig
from medseg.records import Manifest, Mask
from medseg.training.segmentation import TrainingConfig
from torch import Tensor, nn

from tests.runs.test_api import SMALL

Settings = dict[str, Any]


class OneConvolution(nn.Module):
    """The smallest network: no scales, no stages."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(config.in_channels, config.out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.convolution(x)
        return logits


class CrossEntropy(nn.Module):
    """Counts how often it is asked."""

    asked = 0

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, scales: Sequence[Tensor], label: Tensor) -> Tensor:
        type(self).asked += 1
        return nn.functional.cross_entropy(scales[0].float(), label[:, 0].long())


def voxels_of_mask(label: Mask, mask: Mask, *, spacing_mm: Triple) -> float:
    return float(mask.sum())


@pytest.fixture
def settings(cohort: tuple[Manifest, Path], tmp_path: Path) -> Settings:
    """A training of one epoch."""
    shared = {"config": SMALL, "store": tmp_path / "store", "device": "cpu", "tracking": False, "workers": 1}
    return {"dataset": cohort[1], "out": tmp_path / "run", "epochs": 1} | shared


def test_own_network_is_trained_and_loaded_again_with_the_function_that_builds_it(
    settings: Settings, cohort: tuple[Manifest, Path], tmp_path: Path
) -> None:
    run = medseg.train(**settings, parts=medseg.SegmentationParts(network=OneConvolution))
    given: Settings = {"split": "test", "device": "cpu"}
    with pytest.raises(CheckpointError, match=r"was trained with the network .*OneConvolution, which must be given"):
        medseg.predict(run.folder, cohort[1], out=tmp_path / "a", **given)
    drawn = medseg.predict(run.folder, cohort[1], out=tmp_path / "masks", network=OneConvolution, **given)
    assert len(drawn.predictions) == len(cohort[0].select("test"))
    assert drawn.failures == ()


def test_own_loss_and_transform_see_every_batch(settings: Settings) -> None:
    seeds: list[int] = []

    def darken(image: Tensor, label: Tensor, /, *, seed: int) -> tuple[Tensor, Tensor]:
        seeds.append(seed)
        assert image.ndim == label.ndim == 5
        return image * 0.5, label

    CrossEntropy.asked = 0
    run = medseg.train(**settings, parts=medseg.SegmentationParts(loss=CrossEntropy, transform=darken))
    assert CrossEntropy.asked == run.steps == len(seeds)
    assert len(set(seeds)) == len(seeds)


def test_own_metrics_stand_in_tables_and_summaries(
    settings: Settings, cohort: tuple[Manifest, Path], tmp_path: Path
) -> None:
    own = {"hd95_mm": hausdorff_95_mm, "mask_voxels_again": voxels_of_mask}
    run = medseg.train(**settings, parts=medseg.SegmentationParts(metrics=own))
    assert {entry.metric for entry in run.summary.labels} == {"dice", "iou", *own}
    medseg.predict(run.folder, cohort[1], out=tmp_path / "masks", split="test", device="cpu")
    shared: Settings = {"masks": tmp_path / "masks", "split": "test", "tracking": False}
    with pytest.raises(ConfigError, match="names must be new, got hd95_mm"):
        medseg.evaluate(cohort[1], out=tmp_path / "ev", metrics=own, **shared)
    for taken in ("surface_dice_3mm", "dice"):
        with pytest.raises(ConfigError, match=f"names must be new, got {taken}"):
            medseg.evaluate(cohort[1], out=tmp_path / "ev", metrics={taken: voxels_of_mask}, **shared)
    own = {"mask_voxels_again": voxels_of_mask}
    result = medseg.evaluate(cohort[1], out=tmp_path / "ev", metrics=own, **shared)
    assert all(row.values["mask_voxels_again"] == row.mask_voxels for row in result.rows)
    with (tmp_path / "ev" / "metrics.csv").open() as file:
        assert set(own) <= set(next(csv.DictReader(file)))
    with pytest.raises(ConfigError, match="names must be new, got dice"):
        medseg.SegmentationParts(metrics={"dice": voxels_of_mask})


def test_exception_in_an_own_handler_leaves_a_resumable_run(settings: Settings) -> None:
    class UnpluggedError(Exception):
        pass

    def unplug_at_step_two(trainer: Engine, evaluator: Engine, state: object, /) -> None:
        @trainer.on(Events.ITERATION_COMPLETED(once=2))
        def unplug() -> None:
            raise UnpluggedError

    with pytest.raises(UnpluggedError):
        medseg.train(**settings, parts=medseg.SegmentationParts(attach=[unplug_at_step_two]))
    resumed = medseg.train(**settings | {"epochs": None}, resume=True)
    whole = medseg.train(**settings | {"out": settings["out"].with_name("whole")})
    assert resumed.steps == whole.steps > 2
    weights = [run.folder / "model" / "last.safetensors" for run in (resumed, whole)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_own_handlers_reach_a_classifier_too(settings: Settings) -> None:
    steps: list[int] = []

    def count(trainer: Engine, evaluator: Engine, state: object, /) -> None:
        trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: steps.append(1))

    config = {"training": {"batch_size": 16}, "network": {"width": 4, "blocks": [1, 1]}}
    run = medseg.train_classifier(**settings | {"config": config}, attach=[count])
    assert len(steps) == run.steps


def test_resume_without_the_parts_that_the_run_began_with_is_refused_and_touches_nothing(settings: Settings) -> None:
    run = medseg.train(**settings, parts=medseg.SegmentationParts(network=OneConvolution, loss=CrossEntropy))
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError, match=r"your own parts must be .*OneConvolution.*CrossEntropy.*, got none"):
        medseg.train(**settings | {"epochs": 2}, resume=True)
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before
