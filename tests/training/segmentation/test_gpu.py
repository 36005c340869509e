"""What only a GPU can show: bfloat16 training, agreement with the CPU, and runs that change the device.

`pytest -m gpu --accelerator cpu` tries these tests themselves without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from medseg.inference.segmentation.predictor import whole_volume_probabilities
from medseg.networks.precision import to_device, uses_bf16
from medseg.networks.segmentation import UNet
from medseg.networks.weights import load_weights, read_weights
from medseg.training import AugmentConfig, StepBudget
from medseg.training.augment import augment_batch
from medseg.training.engine import run_task
from medseg.training.segmentation import SegmentationInputs, SegmentationTask
from medseg.training.segmentation.loss import SegmentationLoss
from medseg.training.segmentation.patches import PatchDataset
from medseg.training.segmentation.step import training_step

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("exact_arithmetic")]
InputsBuilder = Callable[..., SegmentationInputs]


class Counter:
    """The part of Ignite's engine that a step reads."""

    def __init__(self) -> None:
        self.state = self
        self.iteration = 0


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_loss_falls_and_the_volumes_are_measured(
    build_inputs: InputsBuilder, accelerator: torch.device, precision: str
) -> None:
    device = accelerator.type
    inputs = build_inputs(device=device, precision=precision, learning_rate=1e-2, validations=1)
    first = build_inputs("first", device=device, precision=precision, learning_rate=1e-2)
    early = run_task(SegmentationTask(first), StepBudget(1)).rows
    late = run_task(SegmentationTask(inputs), StepBudget(60)).rows
    liver = [next(row for row in rows if row.label == "liver").values["dice"] for rows in (early, late)]
    assert liver[1] > max(0.4, liver[0] + 0.2)


def test_bfloat16_steps_lower_the_loss_of_one_batch(build_inputs: InputsBuilder, accelerator: torch.device) -> None:
    inputs = build_inputs(precision="bf16", learning_rate=1e-2)
    config = inputs.config.model_copy(
        update={"augment": AugmentConfig(affine_share=0, gamma_share=0, contrast_share=0, noise_share=0, blur_share=0,
                                         low_resolution_share=0)}
    )  # fmt: skip
    torch.manual_seed(0)
    network = UNet(inputs.network)
    to_device(network, accelerator, spatial_dims=3)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-2, fused=True)
    step = training_step(network, optimiser, SegmentationLoss(), config, accelerator, spatial_dims=3)
    patches = PatchDataset(inputs.training, config, target=inputs.target)
    batch = {name: torch.stack([patches[n][name] for n in range(4)]) for name in ("image", "label")}
    losses = [step(Counter(), batch) for _ in range(30)]  # type: ignore[arg-type]  # all that the step reads
    assert losses[0].device.type == accelerator.type
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    assert float(losses[-1]) < 0.8 * float(losses[0])


def test_recent_gpus_use_bfloat16_by_themselves(accelerator: torch.device) -> None:
    if accelerator.type == "cuda":
        assert uses_bf16(accelerator) == (torch.cuda.get_device_capability() >= (8, 0))
    assert uses_bf16(accelerator, "bf16")
    assert not uses_bf16(accelerator, "fp32")


@pytest.mark.parametrize("shape", [(4, 2, 24, 20, 16), (4, 2, 32, 32, 1)])
def test_batch_is_augmented_as_on_the_cpu(accelerator: torch.device, shape: tuple[int, ...]) -> None:
    config = AugmentConfig(
        spacing_mm=(1.0, 1.5, 2.0), affine_share=0.7, mirror_axes=(0, 1), gamma_share=0.5, contrast_share=0.5,
        noise_share=0, blur_share=0.5, low_resolution_share=0.5,  # noise is drawn on each device for itself
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(shape, generator=generator)
    label = torch.zeros(shape[0], 1, *shape[2:], dtype=torch.int16)
    label[:, :, 4:15, 5:16] = 1
    for seed in range(5):
        ours, our_label = augment_batch(image, label, config, seed=seed)
        theirs, their_label = augment_batch(image.to(accelerator), label.to(accelerator), config, seed=seed)
        assert theirs.device.type == their_label.device.type == accelerator.type
        # A sample that falls on the border between two voxels may round to either.
        assert float((theirs.cpu() - ours).abs().quantile(0.99)) < 1e-3
        assert float((their_label.cpu() == our_label).float().mean()) > 0.999


def test_masks_of_a_trained_model_agree_with_the_cpu_s(build_inputs: InputsBuilder, accelerator: torch.device) -> None:
    inputs = build_inputs(device=accelerator.type, learning_rate=1e-2, validations=1, inference={"mirror_axes": (0,)})
    run_task(SegmentationTask(inputs), StepBudget(60))
    network = UNet(inputs.network)
    load_weights(network, inputs.folder / "model" / "last.safetensors")
    image = torch.from_numpy(np.asarray(inputs.validation[0].image()[...]).astype(np.float32))
    masks = []
    for device in (torch.device("cpu"), accelerator):
        to_device(network, device, spatial_dims=3).eval()
        probabilities = whole_volume_probabilities(
            network, image, inputs.inference, target=inputs.target, device=device, precision="fp32"
        )
        assert probabilities.device.type == device.type
        masks.append(probabilities.argmax(0).cpu())
    assert bool((masks[0] > 0).any())
    for value in masks[0].unique():
        one, other = (mask == value for mask in masks)
        if int(one.sum()) > 100:
            assert float(2 * (one & other).sum() / (one.sum() + other.sum())) > 0.99


def test_compiled_network_learns_and_its_run_goes_on_uncompiled(
    build_inputs: InputsBuilder, accelerator: torch.device, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = build_inputs(device=accelerator.type, precision="bf16", learning_rate=1e-2, validations=1)
    first = run_task(SegmentationTask(replace(inputs, is_compiled=True)), StepBudget(60))
    assert "torch.compile" not in caplog.text
    second = run_task(SegmentationTask(inputs), StepBudget(90), resume=True)
    liver = [next(row for row in result.rows if row.label == "liver").values["dice"] for result in (first, second)]
    assert liver[0] > 0.4
    assert liver[1] > liver[0] - 0.1


@pytest.mark.parametrize("begins_on_cpu", [True, False])
def test_run_goes_on_with_the_same_weights_on_another_device(
    build_inputs: InputsBuilder, accelerator: torch.device, begins_on_cpu: bool
) -> None:
    devices = ["cpu", accelerator.type] if begins_on_cpu else [accelerator.type, "cpu"]
    early, late = (build_inputs(device=device, learning_rate=1e-2, validations=1) for device in devices)
    first = run_task(SegmentationTask(early), StepBudget(30))
    delivered = early.folder / "model" / "last.safetensors"
    before = read_weights(delivered)
    run_task(SegmentationTask(late), StepBudget(30), resume=True)
    after = read_weights(delivered)
    assert all(torch.equal(before[name], after[name]) for name in before)
    second = run_task(SegmentationTask(late), StepBudget(60), resume=True)
    assert (first.steps, second.steps) == (30, 60)
    assert not all(torch.equal(before[name], other) for name, other in read_weights(delivered).items())
    liver = [next(row for row in result.rows if row.label == "liver").values["dice"] for result in (first, second)]
    assert liver[1] > max(0.4, liver[0] - 0.05)
