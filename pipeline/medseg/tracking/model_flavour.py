"""How MLflow loads a model: `mlflow.pyfunc.load_model(uri).predict(table)`, masks or probabilities of slices.

A table has a row for each scan: `scan` with the bytes of its file or their base64 text, for several channels a list of
these, and perhaps `name`, whose ending tells its form. A row may hold a `path` instead where whoever loads the model
names the folder that paths must lie below: `load_model(uri, model_config={"paths_below": "/data/scans"})`. Limits of a
request, such as `most_voxels`, are settings of the same kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from medseg.configuration import parse_config
from medseg.errors import PipelineError
from medseg.inference import read_input
from medseg.inference.classification import SlicePredictor
from medseg.inference.classification.card import CLASSIFIER_NAME
from medseg.inference.requests import RequestLimits, only_case, read_requests, unpacked
from medseg.inference.segmentation.load_model import load_models
from medseg.inference.segmentation.package_card import PACKAGE_NAME, check_weights, load_package_card
from medseg.inference.segmentation.serving import MaskService
from medseg.tracking.servable import PATHS_BELOW


class MaskModel:
    """Draws masks for scans.

    Args:
        service: Loaded model, which keeps nothing of a request.
    """

    def __init__(self, service: MaskService) -> None:
        self.service = service

    def predict(self, table: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Draw the masks of scans on their own grids.

        Args:
            table: Data frame, or mapping of columns, as above.
            params: `fast`, whether speed counts more than the last bit of accuracy.

        Returns:
            Data frame with a row per scan in the order of the table, and the columns of `MaskAnswer`: a scan that
            fails has its reason in `error`.

        Raises:
            MlflowException: If no scan at all has a mask, which a server answers with the status 400.
        """
        import pandas

        answers = self.service.answer(read_requests(table), fast=bool((params or {}).get("fast", False)))
        reasons = [answer.error for answer in answers if answer.error is not None]
        if len(reasons) == len(answers):
            raise _refusal(reasons or ["the table must hold a scan, got no row"])
        return pandas.DataFrame([answer.row for answer in answers], dtype=object)  # where None stays None


class SliceModel:
    """Gives the probabilities of the slices of scans.

    Args:
        predictor: Loaded classifier.
        root: Folder below which requests may name paths; None if they must hold bytes.
        limits: Limits of each request; the usual ones if not given.
    """

    def __init__(
        self, predictor: SlicePredictor, *, root: Path | None = None, limits: RequestLimits | None = None
    ) -> None:
        self.predictor, self.root, self.limits = predictor, root, limits or RequestLimits()

    def predict(self, table: Any) -> Any:
        """Classify the slices of scans.

        Args:
            table: Data frame, or mapping of columns, as above.

        Returns:
            Data frame with a row per slice, in the order of the scans and of the slices along `axis` of the scan's
            array: `image`, `axis`, `slice` and a column for each class.

        Raises:
            MlflowException: If a scan cannot be read, or does not have the classifier's channels.
        """
        import pandas

        try:
            rows = [row for request in read_requests(table) for row in self._rows(request)]
        except PipelineError as error:
            raise _refusal([str(error)]) from error
        return pandas.DataFrame(rows)

    def _rows(self, request: Any) -> list[dict[str, Any]]:
        if isinstance(request, PipelineError):
            raise request
        card = self.predictor.card
        with unpacked(request, root=self.root, limits=self.limits) as place:
            case = only_case(place, channels=card.channels, limits=self.limits)
            scan = read_input(case, channels=card.channels)
        scores = self.predictor.scores(scan, case_id=case.case_id)
        return [
            {"image": case.case_id, "axis": scores.axis, "slice": index, **_named(card.targets.classes, values)}
            for index, values in enumerate(scores.probabilities)
        ]


def _named(classes: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    return dict(zip(classes, map(float, values), strict=True))


def _refusal(reasons: Sequence[str]) -> Exception:
    from mlflow.exceptions import MlflowException

    told = "; ".join(f"scan {number}: {reason}" for number, reason in enumerate(reasons, start=1))
    error: Exception = MlflowException.invalid_parameter_value(told if len(reasons) > 1 else reasons[0])
    return error


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> MaskModel | SliceModel:
    """Called by MLflow with the folder of a model, or of a package, and the settings of whoever loads it."""
    folder = Path(path)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    root, limits = _settings(model_config or {})
    if (folder / CLASSIFIER_NAME).is_file():
        return SliceModel(SlicePredictor.load(folder, device=device), root=root, limits=limits)
    if not (folder / PACKAGE_NAME).is_file():
        return MaskModel(MaskService(load_models([folder], device=device), root=root, limits=limits))
    card = load_package_card(folder)
    members = [folder / one.folder for one in card.models]
    model = load_models(members, weights=card.weights, device=device)
    check_weights(card, model.identities)
    return MaskModel(MaskService(model, root=root, limits=limits))


def _settings(model_config: Mapping[str, Any]) -> tuple[Path | None, RequestLimits]:
    """Folder of paths that are allowed, and limits of a request."""
    named = model_config.get(PATHS_BELOW)
    given = {name: model_config[name] for name in RequestLimits.model_fields if name in model_config}
    return Path(named) if named else None, parse_config(RequestLimits, given, source="settings of the model")
