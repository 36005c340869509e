"""A prediction of the kind that its models are made for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.runs.progress import Progress
from medseg.runs.regression.predict import QuantityResult, are_quantity_models, predict_quantities
from medseg.runs.segmentation.predict import PredictResult, PredictSettings, predict_run


def predict_inputs(
    runs: Path | str | Sequence[Path | str],
    inputs: Sequence[Path],
    settings: PredictSettings,
    *,
    progress: Progress | None = None,
) -> PredictResult | QuantityResult:
    """Draw masks, or predict quantities where the models' cards are of those.

    Args:
        runs: Models, as `predict_run` takes them.
        inputs: A manifest or its folder, or files and folders of scans, DICOM among them.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If a model or the inputs cannot be used, or the output folder holds something else.
    """
    places = [runs] if isinstance(runs, str | Path) else list(runs)
    if places and are_quantity_models(places):
        return predict_quantities(places, inputs, settings, progress=progress)
    return predict_run(places, inputs, settings, progress=progress)
