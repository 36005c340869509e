"""Results measured against references, by the task of the dataset."""

from __future__ import annotations

from pathlib import Path

from medseg.errors import ConfigError
from medseg.evaluation.segmentation import EvaluationContract
from medseg.manifest import is_of_quantities
from medseg.runs.progress import Progress
from medseg.runs.regression.evaluate import QuantityEvaluateSettings, QuantityEvaluation, evaluate_quantities
from medseg.runs.segmentation.evaluate import EvaluateResult, EvaluateSettings, evaluate_masks


def evaluate_dataset(
    dataset: Path, settings: EvaluateSettings, *, progress: Progress | None = None
) -> EvaluateResult | QuantityEvaluation:
    """Measure masks against labels, or predicted volumes against quantities, as the dataset's task asks for.

    Args:
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the dataset or what was predicted cannot be used, a choice is for masks alone and the dataset
            is of quantities, or the output folder holds something.
    """
    if not is_of_quantities(dataset):
        return evaluate_masks(dataset, settings, progress=progress)
    return evaluate_quantities(dataset, _of_quantities(settings), progress=progress)


def _of_quantities(settings: EvaluateSettings) -> QuantityEvaluateSettings:
    contract = settings.contract
    given = {
        "rater": settings.rater,
        "metrics": settings.metrics,
        "contract of masks": isinstance(contract, EvaluationContract),
    }
    for_masks = [name for name, value in given.items() if value]
    if for_masks or isinstance(contract, EvaluationContract):
        raise ConfigError(
            f"evaluate: choices must be for quantities, as the dataset is, got {', '.join(for_masks)}",
            remedy="leave them out, or give a dataset of masks",
        )
    return QuantityEvaluateSettings(
        maps=settings.masks,
        out=settings.out,
        fold=settings.fold,
        split=settings.split,
        data_root=settings.data_root,
        contract=contract,
        tracking=settings.tracking,
        cluster=settings.cluster,
    )
