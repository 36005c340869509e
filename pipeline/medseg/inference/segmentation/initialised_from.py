"""What a model began with instead of fresh weights."""

from __future__ import annotations

from pydantic import Field

from medseg.configuration import Config


class InitialisedFrom(Config):
    """The earlier model whose weights a training began with.

    Attributes:
        dataset: Name and version of the earlier model's manifest.
        manifest_digest: SHA-256 of that manifest.
        weights: Weights of the earlier run: `last`, or `best` for those of its best validation.
        weights_digest: SHA-256 of the file of the weights.
        mlflow_run_id: MLflow run of the earlier training, if it is known.
        taken_share: Share of the parameters that was taken, from 0 to 1.
        trained_on: Ids of the cases that the earlier model was trained on.
        seen_here: Ids of cases of the new model's dataset from which the weights come already, by this earlier model or
            one before it.
        initialised_from: The model that the earlier one began with, if there is one.
    """

    dataset: str
    manifest_digest: str
    weights: str
    weights_digest: str
    mlflow_run_id: str | None
    taken_share: float = Field(ge=0, le=1)
    trained_on: tuple[str, ...]
    seen_here: tuple[str, ...] = ()
    initialised_from: InitialisedFrom | None = Field(None, exclude_if=lambda earlier: earlier is None)
