"""One loaded slice classifier, for as many scans as come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Self

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
from medseg.networks.classification import SliceClassifier
from medseg.networks.precision import PrecisionKind, to_device
from medseg.networks.weights import load_weights
from medseg.preprocess.classification import StoredSlices, slice_stack
from medseg.preprocess.classification.targets import SliceTargets
from medseg.preprocess.store import compact
from medseg.records import Array, Scan, SliceScores


class SlicePredictor:
    """Says for each slice of a scan how likely it shows each class.

    Args:
        network: Trained; is put into evaluation mode.
        card: What belongs to its weights.
        device: Where it runs.
        precision: Number format.
    """

    def __init__(
        self, network: SliceClassifier, card: ClassifierCard, *, device: torch.device, precision: PrecisionKind = "auto"
    ) -> None:
        self.card = card
        self.device = device
        self.precision = precision
        self.network = network.eval()
        to_device(network, device, spatial_dims=2)

    @classmethod
    def load(cls, run: Path, *, weights: str = "last", device: torch.device, precision: PrecisionKind = "auto") -> Self:
        """Load a run of `medseg classify train`, or its `model` folder.

        Raises:
            CheckpointError: If card or weights are missing, damaged or do not fit each other.
        """
        folder = run / "model" if (run / "model").is_dir() else run
        card = load_classifier_card(folder)
        if weights != "last":  # which the calibration was fitted for
            card = card.model_copy(update={"calibration": Calibration()})
        network = SliceClassifier(card.network)
        load_weights(network, folder / f"{weights}.safetensors")
        return cls(network, card, device=device, precision=precision)

    def scores(self, scan: Scan, *, case_id: str, patient_id: str | None = None) -> SliceScores:
        """Probabilities of the scan's slices, in the order of its own array.

        Raises:
            ScanError: If the scan does not have the classifier's channels, or the network says NaN of it.
        """
        card = self.card
        if len(scan.array) != len(card.channels):
            raise ScanError(
                f"case {case_id}: image must have the classifier's {len(card.channels)} channels "
                f"({', '.join(card.channels)}), got {len(scan.array)}; give one file per channel in that order"
            )
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
            stored: Prepared as the classifier's card says.
            truth: In the order of the slice axis.
            is_calibrated: Whether to divide logits by the temperature.

        Raises:
            ScanError: If the network says NaN of it.
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


def _finite(scores: SliceScores) -> SliceScores:
    """The same scores: a gate would take NaN for a scan that shows nothing, and a check for a mask that is right."""
    if not (np.isfinite(scores.probabilities).all() and np.isfinite(scores.study).all()):
        raise ScanError(
            f"case {scores.case_id}: the classifier's probabilities must be finite, got NaN; look at the scan's "
            "intensities, or train the classifier again"
        )
    return scores
