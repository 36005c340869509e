"""nnU-Net's networks, loss scales and optimiser, to be measured beside ours.

Source: dynamic-network-architectures and nnU-Net v2's trainer: SGD with Nesterov momentum 0.99, learning rate 0.01,
weight decay 3e-5, gradients clipped to a norm of 12, deep supervision at every decoder stage but the coarsest, float16
with loss scaling on CUDA.
"""

from __future__ import annotations

import importlib.util
from typing import Literal

import torch
from medseg.networks import NetworkConfig
from torch import nn

NetworkKind = Literal["PlainConvUNet", "ResidualEncoderUNet"]
KINDS: tuple[NetworkKind, ...] = ("PlainConvUNet", "ResidualEncoderUNet")
_RESIDUAL_BLOCKS = (1, 3, 4, 6, 6, 6)


def is_installed() -> bool:
    """Whether dynamic_network_architectures can be imported."""
    return importlib.util.find_spec("dynamic_network_architectures") is not None


def build_network(kind: NetworkKind, config: NetworkConfig) -> nn.Module:
    """One of nnU-Net's networks with the stages, widths, kernels and strides of a plan."""
    from dynamic_network_architectures.architectures import unet

    stages = len(config.channels)
    blocks = {
        "PlainConvUNet": {"n_conv_per_stage": [2] * stages, "n_conv_per_stage_decoder": [2] * (stages - 1)},
        "ResidualEncoderUNet": {
            "n_blocks_per_stage": list(_RESIDUAL_BLOCKS[:stages]),
            "n_conv_per_stage_decoder": [1] * (stages - 1),
        },
    }
    network: nn.Module = getattr(unet, kind)(
        input_channels=config.in_channels,
        n_stages=stages,
        features_per_stage=list(config.channels),
        conv_op=nn.Conv3d,
        kernel_sizes=[list(kernel) for kernel in config.kernels],
        strides=[list(stride) for stride in config.strides],
        num_classes=config.out_channels,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=True,
        **blocks[kind],
    )
    return network


def build_optimiser(network: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of nnU-Net's trainer."""
    return torch.optim.SGD(network.parameters(), 1e-2, momentum=0.99, nesterov=True, weight_decay=3e-5)
