"""A loaded slice classifier, for any number of scans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medseg.errors import ScanError
from medseg.inference.classification.card import Calibration, ClassifierCard, load_classifier_card
from medseg.inference.classification.outputs import (
    SliceOutputs,
    slice_outputs,
    slice_probabilities,
    study_probabilities,
)
from medseg.inference.inputs import check_channels
from medseg.inference.loaded_model import LoadedModel
from medseg.networks.classification import SliceClassifier
from medseg.preprocess.classification import StoredSlices, slice_stack
from medseg.preprocess.classification.targets import SliceTargets
from medseg.preprocess.store import compact
from medseg.records import Array, Scan, SliceScores


class SlicePredictor(LoadedModel[SliceClassifier, ClassifierCard]):
    """Gives the probability of each class on each slice of a scan."""

    def scores(self, scan: Scan, *, case_id: str, patient_id: str | None = None) -> SliceScores:
        """Probabilities of the scan's slices, in the order of its own array.

        Raises:
            ScanError: If the scan does not have the classifier's channels, or a probability is NaN.
        """
        card = self.card
        check_channels(scan, card.channels, case_id=case_id, owner="classifier")
        stack, along = slice_stack(scan, card.slices)
        # Rounded as in the store, so that thresholds chosen on prepared cases hold for their scans to the last bit.
        rounded = torch.from_numpy(compact(stack.numpy()).astype(np.float32))
        found = self._scores(self.outputs(rounded), positions_mm=along.positions_mm, is_flipped=along.is_flipped)
        return _finite(replace(found, case_id=case_id, patient_id=patient_id or case_id, axis=along.axis))

    def stored_scores(
        self, stored: StoredSlices, truth: SliceTargets | None = None, *, is_calibrated: bool = True
    ) -> SliceScores:
        """Probabilities of prepared slices, in the order of the scan's own array, beside the truth.

        Args:
            stored: Slices that were prepared as the classifier's card describes.
            truth: Truth in the order of the slice axis.
            is_calibrated: Whether to divide logits by the temperature.

        Raises:
            ScanError: If a probability is NaN.
        """
        temperature = None if is_calibrated else 1.0
        found = self._scores(
            self.outputs(stored.stack()),
            positions_mm=stored.positions_mm,
            is_flipped=stored.is_flipped,
            temperature=temperature,
        )
        scores = replace(
            found,
            case_id=stored.case_id,
            patient_id=stored.patient_id,
            axis=stored.axis,
            truth=None if truth is None else stored.in_scan_order(truth.slices),
            study_truth=None if truth is None else truth.study,
        )
        return _finite(scores)

    def outputs(self, stack: Tensor) -> SliceOutputs:
        """Logits of pictures `(N, C, I, J)`."""
        context = self.card.slices.context
        return slice_outputs(self.network, stack, context=context, device=self.device, precision=self.precision)

    def _scores(
        self,
        outputs: SliceOutputs,
        *,
        positions_mm: Array,
        is_flipped: bool,
        temperature: float | None = None,
    ) -> SliceScores:
        card = self.card
        settings: dict[str, Any] = {
            "shift": np.array(card.shift),
            "temperature": temperature or card.calibration.temperature,
        }
        found = slice_probabilities(outputs.slices, **settings, kind=card.targets.kind)
        study = study_probabilities(outputs, found, **settings, kind=card.targets.kind)
        order = slice(None, None, -1 if is_flipped else 1)
        return SliceScores("", "", 0, positions_mm[order], found[order], study)

    @classmethod
    def _read_card(cls, folder: Path, weights: str) -> ClassifierCard:
        card = load_classifier_card(folder)
        has_calibration = weights == "last"  # the weights that it was fitted for
        return card if has_calibration else card.model_copy(update={"calibration": Calibration()})

    @classmethod
    def _build(cls, card: ClassifierCard) -> SliceClassifier:
        return SliceClassifier(card.network)


def _finite(scores: SliceScores) -> SliceScores:
    """The same scores; with NaN, a gate would find nothing in the scan, and a check of its mask nothing wrong."""
    if not (np.isfinite(scores.probabilities).all() and np.isfinite(scores.study).all()):
        raise ScanError(
            "the classifier's probabilities must be finite, got NaN",
            remedy="check the scan's intensities, or train the classifier again",
            case_id=scores.case_id,
        )
    return scores
