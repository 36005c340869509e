"""Small model folders as nnU-Net v2 writes them: plans.json, dataset.json and a checkpoint for each fold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FEATURES = (4, 6)
CT = {"mean": 40.0, "std": 120.0, "percentile_00_5": -300.0, "percentile_99_5": 400.0}


@dataclass(frozen=True)
class Made:
    """A model of random weights.

    Attributes:
        is_residual: Whether it is a ResidualEncoderUNet instead of a PlainConvUNet.
        patch: Window, two or three sizes.
        spacing: Spacing of the network's grid along the same axes.
        labels: Labels of dataset.json.
        order: regions_class_order of dataset.json.
        channels: Names of the channels.
        schemes: Normalisation of each channel.
        masked: use_mask_for_norm of each channel.
        transpose: transpose_forward.
        mirror: Mirroring axes of the checkpoint.
        folds: Names of the folds.
        reader: image_reader_writer.
        kernel: Kernel of the first stage along each axis; 3 everywhere if not given.
        stride: Stride of the second stage; 2 everywhere if not given.
        seed: Seed of the first fold's weights.
        extra: Changes of the configuration.
    """

    is_residual: bool = False
    patch: tuple[int, ...] = (12, 16, 12)
    spacing: tuple[float, ...] = (2.0, 1.5, 1.75)
    labels: dict[str, Any] = field(default_factory=lambda: {"background": 0, "liver": 1, "spleen": 2})
    order: tuple[int, ...] | None = None
    channels: tuple[str, ...] = ("CT",)
    schemes: tuple[str, ...] = ("CTNormalization",)
    masked: tuple[bool, ...] = (False,)
    transpose: tuple[int, int, int] = (0, 1, 2)
    mirror: tuple[int, ...] | None = None
    folds: tuple[str, ...] = ("0",)
    reader: str = "SimpleITKIO"
    kernel: tuple[int, ...] | None = None
    stride: tuple[int, ...] | None = None
    seed: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def dims(self) -> int:
        return len(self.patch)

    @property
    def kernels(self) -> tuple[tuple[int, ...], ...]:
        return self.kernel or (3,) * self.dims, (3,) * self.dims

    @property
    def strides(self) -> tuple[tuple[int, ...], ...]:
        return (1,) * self.dims, self.stride or (2,) * self.dims

    @property
    def values(self) -> list[int]:
        listed = [value for name, value in self.labels.items() if name != "ignore"]
        return sorted({one for value in listed for one in (value if isinstance(value, list) else [value])})

    @property
    def outputs(self) -> int:
        if self.order is not None:
            return len(self.order)
        return len(self.values)

    @property
    def inputs(self) -> int:
        return len(self.channels) + (len(self.values) - 1 if "previous_stage" in self.extra else 0)


def write_folder(folder: Path, made: Made, *, configuration: str = "", others: dict[str, Any] | None = None) -> Path:
    """Write a model folder, and return it.

    Args:
        folder: Folder to write.
        made: The model.
        configuration: Name of its configuration.
        others: Further configurations of the plans.
    """
    name = configuration or ("2d" if made.dims == 2 else "3d_fullres")
    plans = plans_of(made, name) | {"configurations": {name: configuration_of(made), **(others or {})}}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset_of(made)))
    for number, fold in enumerate(made.folds):
        (folder / f"fold_{fold}").mkdir()
        checkpoint = checkpoint_of(made, name, fold=number)
        torch.save(checkpoint, folder / f"fold_{fold}" / "checkpoint_final.pth")
    return folder


def dataset_of(made: Made) -> dict[str, Any]:
    names = {str(number): name for number, name in enumerate(made.channels)}
    order = {} if made.order is None else {"regions_class_order": list(made.order)}
    return {"channel_names": names, "labels": made.labels, "numTraining": 3, "file_ending": ".nii.gz"} | order


def plans_of(made: Made, name: str) -> dict[str, Any]:
    return {
        "dataset_name": "Dataset900_Made",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [1.0, 1.0, 1.0],
        "original_median_shape_after_transp": [1, 1, 1],
        "image_reader_writer": made.reader,
        "transpose_forward": list(made.transpose),
        "transpose_backward": [made.transpose.index(axis) for axis in range(3)],
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {str(n): CT for n in range(len(made.channels))},
    }


def configuration_of(made: Made) -> dict[str, Any]:
    resampling = {"order_z": 0, "force_separate_z": None}
    content: dict[str, Any] = {
        "preprocessor_name": "DefaultPreprocessor",
        "data_identifier": "made",
        "batch_size": 2,
        "patch_size": list(made.patch),
        "spacing": list(made.spacing),
        "normalization_schemes": list(made.schemes),
        "use_mask_for_norm": list(made.masked),
        "architecture": architecture_of(made),
        "batch_dice": False,
    }
    for what, order in (("data", 3), ("seg", 1), ("probabilities", 1)):
        content[f"resampling_fn_{what}"] = "resample_data_or_seg_to_shape"
        content[f"resampling_fn_{what}_kwargs"] = {"is_seg": what == "seg", "order": order, **resampling}
    return content | made.extra


def architecture_of(made: Made) -> dict[str, Any]:
    name = "ResidualEncoderUNet" if made.is_residual else "PlainConvUNet"
    count = {"n_blocks_per_stage": [1, 2]} if made.is_residual else {"n_conv_per_stage": [2, 2]}
    settings = {
        "n_stages": 2,
        "features_per_stage": list(FEATURES),
        "conv_op": f"torch.nn.modules.conv.Conv{made.dims}d",
        "kernel_sizes": [list(kernel) for kernel in made.kernels],
        "strides": [list(stride) for stride in made.strides],
        "n_conv_per_stage_decoder": [2],
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{made.dims}d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{name}",
        "arch_kwargs": settings | count,
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def checkpoint_of(made: Made, configuration: str, *, fold: int = 0) -> dict[str, Any]:
    return {
        "network_weights": weights_of(made, seed=made.seed + fold),
        "optimizer_state": {},
        "grad_scaler_state": None,
        "logging": {"mean_fg_dice": [np.float64(0.5), np.float32(0.25)], "epoch_end_timestamps": [1.0]},
        "_best_ema": np.float64(0.5),
        "current_epoch": 1,
        "init_args": {"configuration": configuration, "fold": fold, "device": torch.device("cpu")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": made.mirror,
    }


def weights_of(made: Made, *, seed: int) -> dict[str, Tensor]:
    """A state dict with nnU-Net's names: each layer twice, the encoder again in the decoder."""
    rng = np.random.default_rng(seed)
    encoder = dict(_residual(made, rng) if made.is_residual else _plain(made, rng))
    weights = dict(encoder) | {f"decoder.{name}": tensor for name, tensor in encoder.items()}
    for name, tensor in _convs("decoder.stages.0.convs", (2 * FEATURES[0], FEATURES[0]), made.kernels[0], rng, count=2):
        weights[name] = tensor
    up = (FEATURES[1], FEATURES[0], *made.strides[1])
    weights["decoder.transpconvs.0.weight"] = _normal(rng, up, FEATURES[1])
    weights["decoder.transpconvs.0.bias"] = _normal(rng, (FEATURES[0],), 50)
    weights["decoder.seg_layers.0.weight"] = _normal(rng, (made.outputs, FEATURES[0], *(1,) * made.dims), FEATURES[0])
    weights["decoder.seg_layers.0.bias"] = _normal(rng, (made.outputs,), 50)
    return weights


def _plain(made: Made, rng: np.random.Generator) -> Iterator[tuple[str, Tensor]]:
    inputs = made.inputs
    for stage, (features, kernel) in enumerate(zip(FEATURES, made.kernels, strict=True)):
        yield from _convs(f"encoder.stages.{stage}.0.convs", (inputs, features), kernel, rng, count=2)
        inputs = features


def _residual(made: Made, rng: np.random.Generator) -> Iterator[tuple[str, Tensor]]:
    yield from _convs("encoder.stem.convs", (made.inputs, FEATURES[0]), made.kernels[0], rng, count=1)
    inputs = FEATURES[0]
    for stage, (features, blocks) in enumerate(zip(FEATURES, (1, 2), strict=True)):
        for block in range(blocks):
            start = f"encoder.stages.{stage}.blocks.{block}"
            yield from _conv(f"{start}.conv1", (inputs, features), made.kernels[stage], rng)
            yield from _conv(f"{start}.conv2", (features, features), made.kernels[stage], rng)
            if inputs != features:
                yield from _conv(f"{start}.skip.1", (inputs, features), (1,) * made.dims, rng, has_bias=False)
            inputs = features


def _convs(
    start: str, channels: tuple[int, int], kernel: Sequence[int], rng: np.random.Generator, *, count: int
) -> Iterator[tuple[str, Tensor]]:
    inputs, outputs = channels
    for number in range(count):
        yield from _conv(f"{start}.{number}", (outputs if number else inputs, outputs), kernel, rng)


def _conv(
    start: str, channels: tuple[int, int], kernel: Sequence[int], rng: np.random.Generator, *, has_bias: bool = True
) -> Iterator[tuple[str, Tensor]]:
    inputs, outputs = channels
    parts = {"weight": _normal(rng, (outputs, inputs, *kernel), inputs * int(np.prod(kernel)))}
    if has_bias:
        parts["bias"] = _normal(rng, (outputs,), 50)
    norm = {"weight": 1 + _normal(rng, (outputs,), 10), "bias": _normal(rng, (outputs,), 10)}
    for place, layer in (("conv", parts), ("norm", norm)):
        double = "all_modules.0" if place == "conv" else "all_modules.1"
        for name, tensor in layer.items():
            yield f"{start}.{place}.{name}", tensor
            yield f"{start}.{double}.{name}", tensor


def _normal(rng: np.random.Generator, shape: Sequence[int], inputs: int) -> Tensor:
    return torch.from_numpy((rng.normal(size=shape) * np.sqrt(2 / inputs)).astype(np.float32))
