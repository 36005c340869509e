"""Streaming gives MONAI's numbers with the memory of a slab."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.inference.segmentation import InferenceConfig
from medseg.inference.segmentation.sliding import probability_planes, whole_volume_probabilities
from medseg.inference.segmentation.windows import Box, WindowLayout, lay_out_windows
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.inference.segmentation.whole import Edgy, whole_probabilities
from tests.labels import labels_of

CPU = torch.device("cpu")
EXAMPLES = settings(max_examples=40, deadline=None)
NETWORK = Edgy()
TARGET = labels_of(0, 1, 2)
NETWORK_2D = Edgy(dims=2)

shapes = st.tuples(*[st.integers(1, 14)] * 3)
configs = st.builds(
    InferenceConfig,
    patch_size=st.tuples(st.integers(2, 8), st.integers(2, 8), st.integers(1, 8)),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.625, 0.9]),
    batch_size=st.integers(1, 5),
    mirror_axes=st.sampled_from([(), (), (0,), (1,), (2,), (2, 0), (0, 1, 2)]),
)


@st.composite
def boxes(draw: st.DrawFn, shape: tuple[int, int, int]) -> Box:
    extents = []
    for size in shape:
        start = draw(st.integers(0, size - 1))
        extents.append(range(start, draw(st.integers(start + 1, size))))
    return extents[0], extents[1], extents[2]


def random_image(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(7))


def network_for(config: InferenceConfig) -> nn.Module:
    return NETWORK_2D if config.patch_size[2] == 1 else NETWORK


def cut(volume: Tensor, box: Box) -> Tensor:
    return volume[(slice(None), *(slice(extent.start, extent.stop) for extent in box))]


def stream(config: InferenceConfig, image: Tensor, layout: WindowLayout, chunk_bytes: int = 2**24) -> list[Tensor]:
    planes = probability_planes(
        network_for(config),
        cut(image, layout.seen),
        layout,
        target=TARGET,
        device=CPU,
        precision="fp32",
        chunk_bytes=chunk_bytes,
    )
    return list(planes)


@EXAMPLES
@given(
    shape=shapes, config=configs, axis=st.sampled_from([None, 0, 1, 2]), chunk_bytes=st.sampled_from([0, 2000, 2**24])
)
def test_any_streaming_axis_gives_the_probabilities_of_monai(
    shape: tuple[int, int, int], config: InferenceConfig, axis: int | None, chunk_bytes: int
) -> None:
    image = random_image(shape)
    layout = lay_out_windows(shape, config, axis=axis)
    found = torch.cat(stream(config, image, layout, chunk_bytes), dim=layout.axis + 1)
    torch.testing.assert_close(found, whole_probabilities(network_for(config), image, config), atol=2e-5, rtol=0)


@EXAMPLES
@given(data=st.data(), shape=shapes, config=configs, axis=st.sampled_from([None, 0, 1, 2]))
def test_box_has_the_probabilities_of_the_whole(
    data: st.DataObject, shape: tuple[int, int, int], config: InferenceConfig, axis: int | None
) -> None:
    image, box = random_image(shape), data.draw(boxes(shape))
    layout = lay_out_windows(shape, config, box=box, axis=axis)
    found = torch.cat(stream(config, image, layout), dim=layout.axis + 1)
    expected = cut(
        whole_volume_probabilities(network_for(config), image, config, target=TARGET, device=CPU, precision="fp32"), box
    )
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def test_chunks_are_as_thin_as_their_memory_allows() -> None:
    config = InferenceConfig(patch_size=(4, 4, 4))
    layout = lay_out_windows((9, 6, 5), config, axis=0)
    plane_bytes = 3 * 6 * 5 * 4
    thin = stream(config, random_image((9, 6, 5)), layout, 0)
    assert [chunk.shape for chunk in thin] == [(3, 1, 6, 5)] * 9
    assert max(len(chunk[0]) for chunk in stream(config, random_image((9, 6, 5)), layout, 2 * plane_bytes + 1)) == 2


def test_several_channels_reach_the_network() -> None:
    network, config = Edgy(channels=2), InferenceConfig(patch_size=(4, 4, 4))
    image = torch.randn(2, 7, 3, 6)
    found = whole_volume_probabilities(network, image, config, target=TARGET, device=CPU, precision="fp32")
    torch.testing.assert_close(found, whole_probabilities(network, image, config), atol=2e-5, rtol=0)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 100])
def test_forward_passes_are_as_few_as_monai_s(batch_size: int) -> None:
    config = InferenceConfig(patch_size=(4, 4, 4), batch_size=batch_size)
    image = random_image((6, 6, 11))
    ours, theirs = Edgy(), Edgy()
    whole_volume_probabilities(ours, image, config, target=TARGET, device=CPU, precision="fp32")
    whole_probabilities(theirs, image, config)
    assert ours.shapes == theirs.shapes


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that an operation made."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result._base is None:
            self.numel = max(self.numel, result.untyped_storage().nbytes() // result.element_size())
        return result


@pytest.mark.parametrize(("mirror_axes", "copies", "depth"), [((), 1, 4), ((0,), 2, 4), ((2,), 2, 6)])
def test_nothing_larger_than_a_slab_of_window_depth_is_ever_made(
    mirror_axes: tuple[int, ...], copies: int, depth: int
) -> None:
    config = InferenceConfig(patch_size=(4, 4, 4), batch_size=1, mirror_axes=mirror_axes)
    shape = (8, 8, 101)
    image = random_image(shape)
    layout = lay_out_windows(shape, config)
    assert layout.axis == 2
    with Largest() as largest:
        for _ in probability_planes(NETWORK, image, layout, target=TARGET, device=CPU, precision="fp32"):
            pass
    assert largest.numel <= max(copies * 3 * 8 * 8 * depth, image.numel())
    assert copies * 3 * 8 * 8 * depth < 3 * 8 * 8 * 101 / 6


def test_planes_come_before_the_last_windows_are_predicted() -> None:
    config = InferenceConfig(patch_size=(4, 4, 4), batch_size=1)
    network = Edgy()
    layout = lay_out_windows((4, 4, 40), config)
    planes = probability_planes(network, random_image((4, 4, 40)), layout, target=TARGET, device=CPU, precision="fp32")
    assert next(planes).shape == (3, 4, 4, 2)
    assert len(network.shapes) == 1


def test_image_that_the_windows_do_not_see_is_refused() -> None:
    layout = lay_out_windows((9, 9, 9), InferenceConfig(patch_size=(4, 4, 4)))
    with pytest.raises(ValueError, match=r"image must have the \(9, 9, 9\) voxels"):
        probability_planes(NETWORK, torch.zeros(1, 9, 9, 8), layout, target=TARGET, device=CPU)


def test_network_with_several_outputs_is_refused() -> None:
    class Pair(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x

    config = InferenceConfig(patch_size=(4, 4, 4))
    with pytest.raises(TypeError, match="one tensor of logits"):
        whole_volume_probabilities(Pair(), torch.zeros(1, 4, 4, 4), config, target=TARGET, device=CPU)
