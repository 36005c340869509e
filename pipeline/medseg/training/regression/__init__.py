"""Train a network of quantities: patches, loss, step and validation."""

from __future__ import annotations

from medseg.training.regression.config import LossKind, RegressionTrainingConfig
from medseg.training.regression.loss import ValueLoss
from medseg.training.regression.task import RegressionInputs, RegressionTask

__all__ = ["LossKind", "RegressionInputs", "RegressionTask", "RegressionTrainingConfig", "ValueLoss"]
