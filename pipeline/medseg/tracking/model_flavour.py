"""How MLflow loads a logged model: `mlflow.pyfunc.load_model(uri).predict(table)`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from medseg.errors import DeliveryError, ScanError
from medseg.inference import CaseInput, find_inputs
from medseg.inference.segmentation import Predictor, predict_cases
from medseg.scans import scan_stem


class MaskModel:
    """Writes masks for image files.

    Args:
        predictor: Loaded network.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, table: Any) -> list[str]:
        """Draw the masks of image files.

        Args:
            table: Data frame or mapping with a column `image` of file paths and perhaps a column `out` with the target
                folder of all masks; without it they go to `masks` in the working folder.

        Returns:
            Paths of the masks in the order of the images (with several channels: of the case names); an empty text for
            a case that failed (see `predictions.json`).

        Raises:
            ScanError: If two images would make one mask.
            DeliveryError: If the folder is not empty.
        """
        folder = Path(str(next(iter(table["out"])))) if "out" in table else Path("masks")
        if folder.exists() and any(folder.iterdir()):
            raise DeliveryError(
                f"masks: folder {folder.name} must be new or empty", remedy="give another in the column 'out'"
            )
        inputs = self._inputs([Path(path) for path in table["image"]])
        delivered, _ = predict_cases(self.predictor, inputs, folder)
        masks = {item.case_id: str(item.mask_path) for item in delivered}
        return [masks.get(case.case_id, "") for case in inputs]

    def _inputs(self, paths: list[Path]) -> list[CaseInput]:
        channels = len(self.predictor.card.channels)
        if channels > 1:
            return find_inputs(paths, channels=channels)
        inputs = [CaseInput(scan_stem(path), (path,)) for path in paths]
        if len({case.case_id for case in inputs}) < len(inputs):
            raise ScanError(
                "image: file names must differ but for their ending, got one twice",
                remedy="predict them apart, each into a folder of its own",
            )
        return inputs


def _load_pyfunc(path: str) -> MaskModel:
    """Called by MLflow with the model folder."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return MaskModel(Predictor.load(Path(path), device=device))
