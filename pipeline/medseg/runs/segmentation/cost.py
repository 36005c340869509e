"""What a trained network of voxels costs."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from medseg.inference import ModelCost
from medseg.inference.device_name import device_name
from medseg.networks import count_multiply_adds, count_parameters
from medseg.planning import Plan, RegressionPlan
from medseg.training.engine import Outcome


def model_cost(network: nn.Module, plan: Plan | RegressionPlan, outcome: Outcome, device: torch.device) -> ModelCost:
    """Size of a network and effort of its training.

    Args:
        network: Network of the plan; its weights do not matter.
        plan: Plan with the window of the prediction.
        outcome: Steps and seconds of the training.
        device: Device that trained.
    """
    return ModelCost(
        parameters=count_parameters(network),
        multiply_adds_per_window=_multiply_adds(network, plan),
        training_s=round(outcome.seconds, 1),
        steps=outcome.steps,
        device=device_name(device),
    )


def _multiply_adds(network: nn.Module, plan: Plan | RegressionPlan) -> int | None:
    """Counted without weights; None for a network of the user's own that needs them."""
    window = plan.inference.patch_size[: plan.network.spatial_dims]
    try:
        return count_multiply_adds(deepcopy(network).to("meta"), (1, plan.network.in_channels, *window))
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return None
