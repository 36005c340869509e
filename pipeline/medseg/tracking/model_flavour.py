"""How MLflow loads a logged model: `mlflow.pyfunc.load_model(uri).predict(table)`, masks or probabilities of slices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from medseg.errors import DeliveryError, ScanError
from medseg.inference import CaseInput, find_inputs, read_input
from medseg.inference.classification import SlicePredictor
from medseg.inference.classification.card import CLASSIFIER_NAME
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
        paths = [Path(path) for path in table["image"]]
        inputs = _inputs(paths, channels=self.predictor.card.channels)
        delivered, _ = predict_cases(self.predictor, inputs, folder)
        masks = {item.case_id: str(item.mask_path) for item in delivered}
        return [masks.get(case.case_id, "") for case in inputs]


class SliceModel:
    """Gives the probabilities of the slices of image files.

    Args:
        predictor: Loaded classifier.
    """

    def __init__(self, predictor: SlicePredictor) -> None:
        self.predictor = predictor

    def predict(self, table: Any) -> Any:
        """Classify the slices of image files.

        Args:
            table: Data frame or mapping with a column `image` of file paths.

        Returns:
            Data frame with a row per slice, in the order of the images and of the slices along `axis` of the scan's
            array: `image`, `axis`, `slice` and a column for each class.

        Raises:
            ScanError: If an image cannot be read, or does not have the classifier's channels.
        """
        import pandas

        card = self.predictor.card
        rows: list[dict[str, Any]] = []
        for case in _inputs([Path(path) for path in table["image"]], channels=card.channels):
            scan = read_input(case, channels=card.channels)
            scores = self.predictor.scores(scan, case_id=case.case_id)
            for index, values in enumerate(scores.probabilities):
                named = dict(zip(card.targets.classes, (float(value) for value in values), strict=True))
                rows.append({"image": case.case_id, "axis": scores.axis, "slice": index, **named})
        return pandas.DataFrame(rows)


def _inputs(paths: list[Path], *, channels: Sequence[str]) -> list[CaseInput]:
    """The cases of some files, in their order where each is a case."""
    if len(channels) > 1:
        found = find_inputs(paths, channels=channels)
        for one in found.refused:
            raise one.error
        return list(found.cases)
    inputs = [CaseInput(scan_stem(path), (path,)) for path in paths]
    if len({case.case_id for case in inputs}) < len(inputs):
        raise ScanError(
            "image: file names must differ but for their ending, got one twice",
            remedy="predict them apart, each into a folder of its own",
        )
    return inputs


def _load_pyfunc(path: str) -> MaskModel | SliceModel:
    """Called by MLflow with the model folder."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if (Path(path) / CLASSIFIER_NAME).is_file():
        return SliceModel(SlicePredictor.load(Path(path), device=device))
    return MaskModel(Predictor.load(Path(path), device=device))
