"""Evidence of windows, collected on the planes of a grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from medseg.inference.segmentation import InferenceConfig
from medseg.inference.segmentation.head.sums import HeadSums
from medseg.inference.segmentation.sliding import probability_planes
from medseg.inference.segmentation.windows import lay_out_windows
from medseg.networks import NetworkConfig
from medseg.networks.segmentation.multitask import MultitaskUNet, pooled
from medseg.targets import ExclusiveLabels, HeadClasses
from torch import Tensor

CONFIG = NetworkConfig(
    spatial_dims=3,
    in_channels=1,
    out_channels=2,
    channels=(2,),
    strides=((1, 1, 1),),
    kernels=((1, 1, 1),),
    blocks=(1,),
    decoder_blocks=(),
    head_classes=1,
)
CPU = torch.device("cpu")


class Mirror(MultitaskUNet):
    """Its evidence is the image itself."""

    def with_evidence(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        return [torch.cat([x, -x], dim=1)], x


def found(image: np.ndarray, *, level: str, axis: int = 2, **settings: object) -> np.ndarray:
    config = InferenceConfig.model_validate({"batch_size": 2, **settings})
    head = HeadSums(HeadClasses.model_validate({"level": level, "classes": ("a",)}), axis)
    layout = lay_out_windows(image.shape, config)
    chunks = probability_planes(
        Mirror(CONFIG).eval(), torch.from_numpy(image)[None].float(), layout,
        target=ExclusiveLabels(labels={"background": 0, "a": 1}), device=CPU, head=head,
    )  # fmt: skip
    assert sum(chunk.shape[layout.axis + 1] for chunk in chunks) == image.shape[layout.axis]
    return head.logits()


def pool(part: np.ndarray) -> float:
    return float(pooled(torch.from_numpy(part), tuple(range(part.ndim))))


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(8, 6, 10))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("mirror_axes", [(), (0, 2)])
def test_one_window_gives_every_plane_its_own_evidence(image: np.ndarray, axis: int, mirror_axes: tuple[int]) -> None:
    rows = found(image, level="slice", axis=axis, patch_size=(8, 6, 10), mirror_axes=mirror_axes)
    expected = [pool(layer) for layer in np.moveaxis(image, axis, 0)]
    assert rows[:, 0] == pytest.approx(expected, abs=1e-5)


def test_windows_along_the_slices_agree_where_they_see_the_same(image: np.ndarray) -> None:
    rows = found(image, level="slice", patch_size=(8, 6, 4), overlap=0.5)
    assert rows[:, 0] == pytest.approx([pool(image[..., k]) for k in range(10)], abs=1e-5)


def test_highest_window_across_a_slice_counts(image: np.ndarray) -> None:
    rows = found(image, level="slice", patch_size=(4, 6, 10), overlap=0.0)
    expected = [max(pool(image[:4, :, k]), pool(image[4:, :, k])) for k in range(10)]
    assert rows[:, 0] == pytest.approx(expected, abs=1e-5)


def test_planes_of_the_padding_are_no_planes_of_the_grid(image: np.ndarray) -> None:
    rows = found(image, level="slice", patch_size=(8, 6, 16))
    assert rows.shape == (10, 1)


def test_study_is_its_highest_window_and_the_mean_of_flipped_copies(image: np.ndarray) -> None:
    rows = found(image, level="study", patch_size=(8, 6, 5), overlap=0.0, mirror_axes=(1,))
    assert rows.shape == (1, 1)
    assert rows[0, 0] == pytest.approx(max(pool(image[..., :5]), pool(image[..., 5:])), abs=1e-5)
