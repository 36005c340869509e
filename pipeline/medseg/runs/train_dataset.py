"""A training of the kind that a dataset's task asks for."""

from __future__ import annotations

from pathlib import Path

from medseg.errors import ConfigError
from medseg.manifest import is_of_quantities
from medseg.planning import NetworkName, PresetName
from medseg.runs.folds import train_folds
from medseg.runs.progress import Progress
from medseg.runs.regression.folds import train_quantity_folds
from medseg.runs.regression.job import RegressionJob
from medseg.runs.segmentation.job import GridKind, SegmentationJob
from medseg.runs.settings import ALL_FOLDS, TrainingSettings
from medseg.runs.train import TrainResult, train_job
from medseg.targets import HeadLevel
from medseg.training.segmentation import SegmentationParts


def train_dataset(
    dataset: Path,
    settings: TrainingSettings,
    *,
    parts: SegmentationParts | None = None,
    grid: GridKind = "budget",
    network: NetworkName | None = None,
    preset: PresetName | None = None,
    head: HeadLevel | None = None,
    started: float | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train on labels, or on quantities where the dataset is of a regression.

    Args:
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices.
        parts: The user's own parts; of a regression handlers alone.
        grid: Grid of volumes of labels; of quantities it is that of the scans.
        network: Name of the network to plan.
        preset: Name of the sizes of network, patch and batch.
        head: What a head beside the masks classifies, each `slice` or the whole `study`; of masks alone if not given.
        started: Reading of `time.monotonic()` at which a wall-clock budget begins; now if not given.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the dataset, a setting or the earlier run is wrong, no case is left, or training cannot go on.
    """
    if not is_of_quantities(dataset):
        job = SegmentationJob(parts, grid=grid, network=network, preset=preset, head=head)
        if settings.fold == ALL_FOLDS:
            return train_folds(job, dataset, settings, progress=progress)
        return train_job(job, dataset, settings, started=started, progress=progress)
    given = (*parts.names(), *parts.metrics) if parts is not None else ()
    if given:
        raise ConfigError(
            f"parts: a training of quantities takes handlers of your own alone, got {', '.join(given)}",
            remedy="give them as attach, and nothing else",
        )
    if head is not None:
        raise ConfigError(
            f"head: a training of quantities has no classes, got {head}", remedy="leave the head out, or train masks"
        )
    of_values = RegressionJob(network=network, preset=preset, attach=parts.attach if parts else ())
    if settings.fold == ALL_FOLDS:
        return train_quantity_folds(of_values, dataset, settings, progress=progress)
    return train_job(of_values, dataset, settings, started=started, progress=progress)
