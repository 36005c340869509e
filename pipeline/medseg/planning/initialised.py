"""The plan of a training that begins with the weights of an earlier run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from medseg.errors import ConfigError
from medseg.inference.segmentation import ModelCard
from medseg.networks.segmentation import AnyNetwork
from medseg.planning.plan import Plan

WARMUP = 0.1
_COUNTS = ("in_channels", "out_channels")


def plan_initialised(plan: Plan, card: ModelCard) -> Plan:
    """A plan with the network of an earlier run, so that its weights fit.

    Kept from the earlier run is the shape of the network; channels of the image, labels, voxel size, intensities and
    patch stay those of this dataset. The rate rises over a longer warm-up, because full steps of an optimiser that does
    not know the size of the gradients yet would undo weights that are already good.

    Args:
        plan: Plan that was made from the scans.
        card: Card of the earlier model.

    Raises:
        ConfigError: If the one network is for volumes and the other for pictures.

    Source: the linear warm-up of the trainers that fine-tune nnU-Net (MIC-DKFZ, https://github.com/MIC-DKFZ/panther).
    Their tenth of the peak rate is not taken over: in short trainings a lower peak learned less (benchmarks/README.md).
    """
    own, kept = plan.network.model_dump(), card.network.model_dump()
    if own["spatial_dims"] != kept["spatial_dims"]:
        raise ConfigError(
            f"init: the earlier run must be of images in {own['spatial_dims']}D as these, got a network in "
            f"{kept['spatial_dims']}D",
            remedy="leave init out, or give a run on such images",
        )
    network = type(card.network).model_validate(kept | {name: own[name] for name in _COUNTS})
    reasons = plan.reasons | _network_reasons(plan, own, kept, card)
    content = plan.model_dump(mode="json") | {"network": network.model_dump(mode="json")}
    for section in ("training", "inference"):
        content[section]["patch_size"] = _fitted(plan, section, network, reasons)
    content["training"] |= {
        "warmup": max(WARMUP, plan.training.warmup),
        "coarse_start": _coarse_start(content, network),
    }
    reasons["training.learning_rate"] = "as for fresh weights: a lower one learned less (benchmarks/README.md)"
    reasons["training.warmup"] = (
        "longer than for fresh weights: full steps before the optimiser knows the size of the gradients would undo "
        "what the earlier run has learned"
    )
    if content["training"]["coarse_start"] is None:
        reasons.pop("training.coarse_start", None)
    return Plan.model_validate(content | {"reasons": reasons})


def _network_reasons(plan: Plan, own: dict[str, Any], kept: dict[str, Any], card: ModelCard) -> dict[str, str]:
    """Reasons of the settings that the plan gives a reason for, or that the scans alone would have got otherwise."""
    reasons = {}
    for name, value in kept.items():
        key, planned = f"network.{name}", own.get(name)
        if name in _COUNTS or (key not in plan.reasons and planned == value):
            continue
        reasons[key] = (
            f"as in the earlier run on {card.dataset} ({_mm(card.preprocess.spacing_mm)}), whose weights the training "
            "begins with"
        )
        if planned != value and name in own:
            reasons[key] += f"; these scans alone would get {_text(planned)}"
    return reasons


def _fitted(plan: Plan, section: str, network: AnyNetwork, reasons: dict[str, str]) -> list[int]:
    """The planned patch as the network needs it, and a reason where that is another patch."""
    planned: tuple[int, int, int] = getattr(plan, section).patch_size
    patch = _in_multiples(planned, network)
    if tuple(patch) != planned:
        why = reasons.get(f"{section}.patch_size", "as planned")
        reasons[f"{section}.patch_size"] = (
            f"{_text(planned)} as the earlier run's network needs it, which reduces patches by "
            f"{_text(network.reduction)}; before that: {why}"
        )
    return patch


def _coarse_start(content: dict[str, Any], network: AnyNetwork) -> dict[str, Any] | None:
    """The planned start on coarser voxels, unless the network needs patches for it that save little."""
    training = content["training"]
    start: dict[str, Any] | None = training.get("coarse_start")
    if start is None:
        return None
    patch = _in_multiples(start["patch_size"], network)
    saves = 2 * math.prod(patch) <= math.prod(training["patch_size"])
    return start | {"patch_size": patch} if saves else None


def _in_multiples(patch: Sequence[int], network: AnyNetwork) -> list[int]:
    """The nearest patch that a network can take, of more than one voxel at its coarsest stage.

    Sizes are multiples of what the network needs; an axis that is shorter than its reduction becomes as long as that.
    """
    reduction = network.reduction
    steps = tuple(
        needed if size >= whole else whole
        for size, needed, whole in zip(patch, (*network.patch_multiple, 1), (*reduction, 1), strict=False)
    )[:3]
    fitted = [max(step, step * math.floor(size / step + 0.5)) for size, step in zip(patch, steps, strict=True)]
    if all(size <= whole for size, whole in zip(fitted, (*reduction, 1)[:3], strict=True)):
        longest = max(range(len(reduction)), key=lambda axis: patch[axis] / reduction[axis])
        fitted[longest] *= 2
    return fitted


def _mm(spacing: Sequence[float] | None) -> str:
    return "the scans' own voxels" if spacing is None else "×".join(f"{size:.3g}" for size in spacing) + " mm"


def _text(value: Any) -> str:
    """Nested sequences as in YAML."""
    return f"[{', '.join(_text(entry) for entry in value)}]" if isinstance(value, (list, tuple)) else str(value)
