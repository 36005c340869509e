"""Whether the masks of an evaluation are of a run's own model, and of which of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medseg.inference.segmentation import ModelCard
from medseg.runs.report.source import ReportSource

_OTHER_WEIGHTS = "its weights are neither the last nor the best of this run"
_OTHER_RUN = "its training was another MLflow run"
_OTHER_PLAN = "its plan or its dataset differs"
_OTHER_CASES = "it was trained on other cases"


@dataclass(frozen=True, slots=True)
class ModelMatch:
    """A model that drew masks, held to a run.

    Attributes:
        is_of_run: Whether it is the run's own; None where the evaluation names no model.
        weights: Name of its weights, `last` or `best`; "" where it is not known, or the model is another one.
        why: Difference from the run's model; "" where there is none.
    """

    is_of_run: bool | None
    weights: str = ""
    why: str = ""


def match_model(content: Mapping[str, Any], source: ReportSource) -> ModelMatch:
    """Hold the model of an evaluation to that of a run.

    The weights decide; where their digest is not stated, the MLflow run does; where that is not, either, the plan and
    the dataset do, unless the cases that the model has seen are not those of the run: all folds have one plan.

    Args:
        content: What `summary.json` of the evaluation holds.
        source: The run.
    """
    model = content.get("model")
    if model is None:
        return ModelMatch(None)
    if not (why := _difference(content, model, source)):
        return ModelMatch(True, _weights(model, source))
    return ModelMatch(False, why=why)


def _difference(content: Mapping[str, Any], model: Mapping[str, Any], source: ReportSource) -> str:
    """What keeps a model from being the run's; "" for nothing."""
    card = source.card
    digests = set(source.weights.values())
    if model.get("weights_digest") and digests:
        return "" if model["weights_digest"] in digests else _OTHER_WEIGHTS
    if model.get("run_id") and source.mlflow_run_id:
        return "" if model["run_id"] == source.mlflow_run_id else _OTHER_RUN
    if (model["plan_digest"], model["manifest_digest"]) != (card.plan_digest, card.manifest_digest):
        return _OTHER_PLAN
    return _OTHER_CASES if _contradicts(content, source) else ""


def _contradicts(content: Mapping[str, Any], source: ReportSource) -> bool:
    """Whether the model has not seen a case that the run was trained on, or has seen one of its validation."""
    if not source.is_own_dataset(content):
        return False
    seen, measured = set(content.get("trained_on") or ()), set(content["patients"])
    card = source.card
    known = set(card.seen_cases if isinstance(card, ModelCard) else card.trained_on)
    return bool((measured & set(card.trained_on)) - seen or (seen & set(source.validation or ())) - known)


def _weights(model: Mapping[str, Any], source: ReportSource) -> str:
    """Name of the run's weights that the model has; that of the evaluation where both files are alike."""
    named = [name for name, digest in source.weights.items() if digest == model.get("weights_digest")]
    stated = str(model.get("weights") or "")
    return named[0] if len(named) == 1 else stated
