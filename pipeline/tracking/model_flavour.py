"""How MLflow loads a logged model: `mlflow.pyfunc.load_model(uri).predict(table)`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pipeline.inference import CaseInput, Predictor, predict_cases
from pipeline.scans import scan_stem


class MaskModel:
    """Writes masks for image files.

    Args:
        predictor: The loaded network.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, table: Any) -> list[str]:
        """Draw the masks of image files.

        Args:
            table: A data frame or mapping with a column `image` of file paths, and if wanted a column `out` with the
                folder that all masks go to; without it they go to `masks` in the working folder.

        Returns:
            The mask files, in the order of the images; empty text for an image that failed (see `predictions.json`).
        """
        folder = Path(str(next(iter(table["out"])))) if "out" in table else Path("masks")
        inputs = [CaseInput(scan_stem(Path(path)), (Path(path),)) for path in table["image"]]
        delivered, _ = predict_cases(self.predictor, inputs, folder)
        masks = {item.case_id: str(item.mask_path) for item in delivered}
        return [masks.get(case.case_id, "") for case in inputs]


def _load_pyfunc(path: str) -> MaskModel:
    """Called by MLflow with the model folder."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return MaskModel(Predictor.load(Path(path), device=device))
