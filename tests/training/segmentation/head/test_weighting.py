"""The rule by which the losses of masks and classes are added."""

from __future__ import annotations

import math

import pytest
import torch
from medseg.configuration import parse_config
from medseg.errors import ConfigError
from medseg.networks import NetworkConfig
from medseg.networks.segmentation.multitask import MultitaskUNet
from medseg.training.segmentation.head.config import HeadConfig
from medseg.training.segmentation.head.step import weighted

MASK, CLASSES = torch.tensor(0.5), torch.tensor(2.0)


@pytest.fixture
def network() -> MultitaskUNet:
    config = NetworkConfig(
        spatial_dims=3, in_channels=1, out_channels=2, channels=(2,), strides=((1, 1, 1),), kernels=((1, 1, 1),),
        blocks=(1,), decoder_blocks=(), head_classes=1,
    )  # fmt: skip
    return MultitaskUNet(config)


def total(network: MultitaskUNet, head: HeadConfig, *, has_mask: bool = True, has_classes: bool = True) -> float:
    return float(weighted(network, head, MASK, CLASSES, has_mask=has_mask, has_classes=has_classes).detach())


def test_fixed_weight_is_of_the_classes(network: MultitaskUNet) -> None:
    assert total(network, HeadConfig(level="slice", weight=0.3)) == pytest.approx(0.5 + 0.3 * 2.0)


def test_uncertainty_is_learned_towards_the_losses(network: MultitaskUNet) -> None:
    head = HeadConfig(level="slice", weighting="uncertainty")
    assert total(network, head) == pytest.approx(2.5)
    with torch.no_grad():
        network.log_variances.copy_(torch.tensor([math.log(2 * 0.5), math.log(2 * 2.0)]))
    expected = 0.5 + math.log(1.0) / 2 + 0.5 + math.log(4.0) / 2
    assert total(network, head) == pytest.approx(expected)
    weighted(network, head, MASK, CLASSES, has_mask=True, has_classes=True).backward()  # type: ignore[no-untyped-call]
    assert network.log_variances.grad is not None
    assert network.log_variances.grad.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)  # exp(s) = 2 loss is the optimum


def test_task_of_which_a_batch_knows_nothing_keeps_its_variance(network: MultitaskUNet) -> None:
    head = HeadConfig(level="slice", weighting="uncertainty")
    loss = weighted(network, head, MASK, torch.tensor(0.0), has_mask=True, has_classes=False)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(0.5)
    assert network.log_variances.grad is not None
    assert float(network.log_variances.grad[1]) == 0.0


@pytest.mark.parametrize(
    "changes", [{"level": "voxel"}, {"weight": 0}, {"classes": ["a", "a"]}, {"classes": ["mean"]}, {"wieght": 1}]
)
def test_settings_without_a_meaning_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        parse_config(HeadConfig, {"level": "slice", **changes}, source="head")
