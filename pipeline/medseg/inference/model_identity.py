"""Which model drew a mask."""

from __future__ import annotations

from medseg.configuration import Config
from medseg.inference.model_cost import ModelCost


class ModelOrigin(Config):
    """The model that drew a mask, as far as it takes to find model and training again.

    Attributes:
        dataset: Name and version of the manifest that it was trained on.
        manifest_digest: SHA-256 of that manifest.
        plan_digest: SHA-256 of its plan.
        run_id: MLflow run of its training; None where it is not known.
        weights: Name of its weights, `last` or `best`; None where it is not known.
        weights_digest: SHA-256 of the file of its weights; None where it is not known.
        medseg_version: Version of medseg that trained it; None where it is not known.
    """

    dataset: str
    manifest_digest: str
    plan_digest: str
    run_id: str | None = None
    weights: str | None = None
    weights_digest: str | None = None
    medseg_version: str | None = None


class ModelIdentity(ModelOrigin):
    """The model that drew the masks, with its training.

    Attributes:
        cost: Size of the network and effort of the training; None where they are not known.
        trained_on: Ids of the cases that it was trained on.
    """

    cost: ModelCost | None = None
    trained_on: tuple[str, ...]

    @property
    def origin(self) -> ModelOrigin:
        """The model without its training."""
        return ModelOrigin.model_validate(self.model_dump(include=set(ModelOrigin.model_fields)))
