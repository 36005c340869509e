"""The coarse start of a training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from medseg.training import StepBudget
from medseg.training.augment import AugmentConfig
from medseg.training.engine import run_task
from medseg.training.segmentation import CoarseStart, SegmentationInputs, SegmentationTask, TrainingConfig
from medseg.training.segmentation.coarse import coarse_image, coarse_label

InputsBuilder = Callable[..., SegmentationInputs]

START = CoarseStart(share=0.5, factor=(2, 2, 1), patch_size=(8, 8, 16), batch_size=3)


def test_blocks_are_averaged() -> None:
    image = torch.arange(2 * 4 * 2 * 3, dtype=torch.float32).reshape(2, 4, 2, 3)
    coarse = coarse_image(image, (2, 2, 3))
    assert coarse.shape == (2, 2, 1, 1)
    assert float(coarse[1, 1, 0, 0]) == float(image[1, 2:].mean())


@given(st.lists(st.integers(0, 3), min_size=8, max_size=8))
def test_most_frequent_class_of_a_block_wins(values: list[int]) -> None:
    label = torch.tensor(values, dtype=torch.int16).reshape(1, 2, 2, 2)
    coarse = coarse_label(label, (2, 2, 2))
    assert coarse.dtype == torch.int16
    assert values.count(int(coarse)) == max(values.count(value) for value in values)


def test_blocks_keep_their_places_and_quantities_are_averaged() -> None:
    blocks = torch.randint(5, (1, 3, 4, 5), dtype=torch.int16, generator=torch.Generator().manual_seed(0))
    label = blocks.repeat_interleave(2, 1).repeat_interleave(3, 2)
    assert torch.equal(coarse_label(label, (2, 3, 1)), blocks)
    dose = torch.rand(2, 4, 4, 4)
    assert torch.equal(coarse_label(dose, (2, 2, 2)), coarse_image(dose, (2, 2, 2)))


def test_coarse_settings_know_their_own_voxels() -> None:
    config = TrainingConfig(
        patch_size=(16, 16, 16), augment=AugmentConfig(spacing_mm=(0.5, 0.5, 3.0)), coarse_start=START
    )
    coarse = config.coarse
    assert (coarse.patch_size, coarse.batch_size) == ((8, 8, 16), 3)
    assert coarse.augment.spacing_mm == (1.0, 1.0, 3.0)
    assert config.model_copy(update={"coarse_start": None}).coarse.patch_size == (16, 16, 16)


def test_patches_are_coarse_for_the_share_of_the_steps(build_inputs: InputsBuilder) -> None:
    """Of twelve steps six; as many whatever step the batches begin with."""
    task = SegmentationTask(build_inputs(patch_size=(16, 16, 16), batch_size=2, coarse_start=START))
    budget = StepBudget(12)

    def shapes(first: int) -> list[tuple[int, ...]]:
        stream = task.batches(first, budget.progress)
        return [tuple(next(stream).batch["image"].shape) for _ in range(first, 12)]

    whole = shapes(0)
    assert whole == [(3, 1, 8, 8, 16)] * 6 + [(2, 1, 16, 16, 16)] * 6
    for first in (4, 5, 6, 7):
        assert shapes(first) == whole[first:]


def test_coarse_patch_shows_what_the_fine_one_shows(build_inputs: InputsBuilder) -> None:
    """A scan that both hold whole: the coarse patch is the fine one, averaged."""
    start = START.model_copy(update={"patch_size": (24, 24, 48), "batch_size": 1})
    inputs = build_inputs(patch_size=(48, 48, 48), batch_size=1, coarse_start=start)
    task = SegmentationTask(inputs)
    coarse, fine = (next(task.batches(0, lambda step, p=p: p)).batch for p in (0.0, 0.6))  # type: ignore[misc]
    np.testing.assert_allclose(coarse["image"][0], coarse_image(fine["image"][0], (2, 2, 1)), atol=1e-5)
    assert torch.equal(coarse["label"][0], coarse_label(fine["label"][0], (2, 2, 1)))


def test_training_with_a_coarse_start_is_exactly_resumed(build_inputs: InputsBuilder) -> None:
    """The run is interrupted two steps before and one after the change of the patches."""

    def weights(name: str) -> bytes:
        return (build_inputs(name).folder / "model" / "last.safetensors").read_bytes()

    settings = {"patch_size": (16, 16, 16), "batch_size": 2, "coarse_start": START}
    run_task(SegmentationTask(build_inputs("whole", **settings)), StepBudget(8))
    for stop in (2, 5):
        name = f"broken after {stop}"
        calls = iter(range(8))

        def fail(progress: float, loss: float, stop: int = stop, calls: object = calls) -> None:
            if next(calls) == stop:  # type: ignore[call-overload]
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_task(SegmentationTask(build_inputs(name, **settings)), StepBudget(8), on_step=fail)
        run_task(SegmentationTask(build_inputs(name, **settings)), StepBudget(8), resume=True)
        assert weights(name) == weights("whole")
