"""From the pictures of a case to logits and probabilities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from medseg.networks.classification import SliceClassifier
from medseg.networks.precision import PrecisionKind, autocast
from medseg.preprocess.classification import with_context
from medseg.records import Array
from medseg.targets import ClassKind, class_probabilities

BATCH = 64


class SliceOutputs(NamedTuple):
    """Outputs of the network for one case.

    Attributes:
        slices: Logits of the slices, `(N, classes)`.
        study: Logits of the case, `(classes,)`, if the network pools the slices of a study; else None.
        weights: Weight of each slice in attention pooling, `(N,)`; None without it.
    """

    slices: Array
    study: Array | None
    weights: Array | None


@torch.inference_mode()
def slice_outputs(
    network: SliceClassifier, stack: Tensor, *, context: int, device: torch.device, precision: PrecisionKind = "auto"
) -> SliceOutputs:
    """Logits of every slice of one case, and of the case.

    Args:
        network: Network in evaluation mode, on `device`.
        stack: Pictures `(N, C, I, J)` in order.
        context: Neighbouring slices on either side that the network takes.
        device: Device that holds the network.
        precision: Number format.
    """
    features = []
    for start in range(0, len(stack), BATCH):
        pictures = [with_context(stack, index, context) for index in range(start, min(start + BATCH, len(stack)))]
        batch = torch.stack(pictures).to(device).contiguous(memory_format=torch.channels_last)
        with autocast(device, precision):
            features.append(network.features(batch).float())
    found = torch.cat(features)
    pooling = network.config.pooling
    study = None if pooling == "none" else network.study_logits(found, [len(found)])[0]
    weights = network.slice_weights(found, [len(found)]) if pooling == "attention" else None
    logits = network.classify(found)
    return SliceOutputs(_array(logits), *(None if part is None else _array(part) for part in (study, weights)))


def slice_probabilities(logits: Array, *, shift: Array, temperature: float, kind: ClassKind) -> Array:
    """Probabilities of the classes, `(N, classes)`.

    The training's class weights raise the logits of rare classes by `shift`, which is subtracted again, so that a
    probability means a frequency.

    Source: Elkan 2001, https://dl.acm.org/doi/10.5555/1642194.1642224, theorem 2 (weights as a change of base rate);
    Guo et al. 2017, https://arxiv.org/abs/1706.04599 (temperature).
    """
    return class_probabilities((logits - shift) / temperature, kind)


def study_probabilities(
    outputs: SliceOutputs, probabilities: Array, *, shift: Array, temperature: float, kind: ClassKind
) -> Array:
    """Probabilities of the classes for the whole case, `(classes,)`.

    A network that pools gives them itself; otherwise they are the highest probabilities of any slice.
    """
    if outputs.study is None:
        return np.asarray(probabilities.max(axis=0))
    whole = slice_probabilities(outputs.study[None], shift=shift, temperature=temperature, kind=kind)
    return np.asarray(whole[0])


def _array(tensor: Tensor) -> Array:
    return np.asarray(tensor.double().cpu().numpy())
