"""The evaluator of a bundle: all cases in order, of which a bad one does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medseg.atomic import write_json
from medseg.cohort import run_cases
from medseg.errors import DeliveryError, PipelineError
from medseg.inference import CaseInput, FoundInputs
from medseg.records import Failure

FAILURES_NAME = "failures.json"
Transform = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class MaskEvaluator:
    """Draws the masks of all cases, with the parts that a bundle names.

    Args:
        found: Cases.
        network: Network in evaluation mode, on `device`.
        preprocessing: Transforms before the network; `image` is their entry.
        inferer: Function of a batch of images and the network that gives probabilities.
        postprocessing: Transforms of the probabilities `pred`.
        output_dir: Folder that receives `failures.json`.
        device: Device of the network.
    """

    def __init__(
        self,
        *,
        found: FoundInputs,
        network: nn.Module,
        preprocessing: Transform,
        inferer: Callable[[Tensor, nn.Module], Tensor],
        postprocessing: Transform,
        output_dir: str,
        device: torch.device,
    ) -> None:
        self.found, self.network, self.device = found, network, device
        self.preprocessing, self.inferer, self.postprocessing = preprocessing, inferer, postprocessing
        self.folder = Path(output_dir)

    def run(self) -> None:
        """Draw all masks.

        Raises:
            DeliveryError: If a case failed, after all others; `failures.json` holds the reasons.
        """
        done = run_cases(self.found.cases, self._draw, stage="predict")
        failures = (*self.found.failures, *done.failures)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / FAILURES_NAME, [_entry(one) for one in failures])
        if failures:
            raise DeliveryError(
                f"every case must give a mask, got {len(failures)} without one, such as: {failures[0].reason}",
                remedy=f"read {FAILURES_NAME} beside the masks of the others",
            )

    def _draw(self, case: CaseInput) -> None:
        with _own_errors():
            prepared = self.preprocessing({"image": case})
            batch = prepared["image"][None].to(self.device)
            probabilities = self.inferer(batch, self.network)[0]
            self.postprocessing({**prepared, "pred": probabilities})


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raise the errors of transforms as they are: MONAI's say only which transform failed."""
    try:
        yield
    except RuntimeError as error:
        cause = error.__cause__
        while cause is not None and cause.__cause__ is not None and not isinstance(cause, PipelineError):
            cause = cause.__cause__
        raise cause or error from None


def _entry(failure: Failure) -> dict[str, str]:
    return {"case_id": failure.case_id, "stage": failure.stage, "reason": failure.reason}
