"""What numbers are of, so that MLflow shows them with a model, too."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.text import printable


@dataclass(frozen=True, slots=True)
class MeasuredModel:
    """The model and the dataset that numbers are of.

    Attributes:
        dataset: Name of the dataset.
        digest: Digest of its manifest.
        context: What its cases were used for, as in `TrackedRun.log_dataset`.
        run_id: Run that made the model; "" for the run that logs the numbers.
        weights_digest: SHA-256 of the weights that were measured; "" for those of the run's newest model.
    """

    dataset: str
    digest: str
    context: str
    run_id: str = ""
    weights_digest: str = ""

    @property
    def shown_dataset(self) -> tuple[str, str]:
        """Name and digest of the dataset as MLflow shows them."""
        return shown_dataset(self.dataset, self.digest, self.context)


def shown_dataset(name: str, digest: str, context: str) -> tuple[str, str]:
    """Name and digest of a dataset as MLflow shows them, where the digest has at most 36 signs."""
    return printable(f"{name} ({context})"), digest[:36]
