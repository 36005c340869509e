"""The route takes targets that are neither whole numbers nor one channel per voxel, without a change to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from medseg.errors import ConfigError, GeometryError
from medseg.evaluation.segmentation import measure_case, overlap_metrics
from medseg.geometry import Geometry
from medseg.inference.segmentation import InferenceConfig
from medseg.inference.segmentation.sliding import probability_planes, whole_volume_probabilities
from medseg.inference.segmentation.windows import lay_out_windows
from medseg.preprocess.resample import resample_linear
from medseg.preprocess.segmentation import restore_mask
from medseg.preprocess.segmentation.restore import restore_planes
from medseg.targets import ExclusiveLabels, Regions, VoxelTarget
from medseg.training.segmentation import TrainingConfig
from medseg.training.segmentation.loss import RegionLoss, SegmentationLoss, loss_for
from medseg.training.segmentation.patches import PatchDataset
from torch import Tensor, nn

from tests.labels import labels_of

CPU = torch.device("cpu")
GRID = Geometry((9, 10, 11), np.diag([2.0, 2.0, 2.0, 1.0]))
NATIVE = Geometry((17, 12, 21), np.diag([1.0, 1.5, 1.0, 1.0]))


class Dose:
    """Two quantities in Gy: a native array has a channel of float32 for each."""

    kind = "quantities"
    channels = 2
    names = ("dose", "boost")
    structures: tuple[str, ...] = ()

    def encode(self, label: np.ndarray) -> Tensor:
        return torch.from_numpy(label.astype(np.float32))

    def ignored(self, label: np.ndarray) -> np.ndarray | None:
        return np.isnan(label).any(axis=0)

    def activate(self, logits: Tensor, *, dim: int = 0) -> Tensor:
        return logits

    def blank(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.zeros((2, *shape), np.float32)

    def decide(self, values: Tensor) -> np.ndarray:
        return values.float().cpu().numpy()

    def shows(self, array: np.ndarray, structure: str) -> np.ndarray:
        raise KeyError(structure)

    def voxels(self, array: np.ndarray) -> dict[str, int]:
        return {}


class Nested(Dose):
    """Overlapping regions: a native array has a channel of bool for each."""

    kind = "regions"
    names = structures = ("whole", "core")

    def activate(self, logits: Tensor, *, dim: int = 0) -> Tensor:
        return logits.sigmoid()

    def blank(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.zeros((2, *shape), bool)

    def decide(self, values: Tensor) -> np.ndarray:
        return (values > 0.5).cpu().numpy()

    def shows(self, array: np.ndarray, structure: str) -> np.ndarray:
        return np.asarray(array[self.names.index(structure)])


class Two(nn.Module):
    """A network that hands its image on in two channels."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, 1 - 2 * x], dim=1)


@pytest.fixture
def image() -> Tensor:
    return torch.rand(1, *GRID.shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("target", "expected"), [(Dose(), lambda x: x), (Nested(), lambda x: torch.sigmoid(x))])
@pytest.mark.parametrize("mirror_axes", [(), (0, 1)])
def test_flipped_copies_are_averaged_after_the_activation_of_any_target(
    target: VoxelTarget, expected: Callable[[Tensor], Tensor], mirror_axes: tuple[int, ...], image: Tensor
) -> None:
    config = InferenceConfig(patch_size=(4, 4, 4), mirror_axes=mirror_axes)
    found = whole_volume_probabilities(Two(), image, config, target=target, device=CPU, precision="fp32")
    torch.testing.assert_close(found, expected(torch.cat([image, 1 - 2 * image])), atol=1e-5, rtol=0)


@pytest.mark.parametrize("target", [Dose(), Nested()])
@pytest.mark.parametrize("slab_bytes", [0, 2**27])
def test_native_arrays_of_several_channels_are_restored_slab_by_slab(
    target: VoxelTarget, slab_bytes: int, image: Tensor
) -> None:
    layout = lay_out_windows(GRID.shape, InferenceConfig(patch_size=(4, 4, 4)))
    planes = probability_planes(Two(), image, layout, target=target, device=CPU, precision="fp32", chunk_bytes=0)
    found = restore_planes(planes, GRID, NATIVE, target=target, axis=layout.axis, slab_bytes=slab_bytes)
    values = target.activate(torch.cat([image, 1 - 2 * image]))
    expected = resample_linear(values, GRID, NATIVE)
    assert found.shape == (2, *NATIVE.shape)
    assert found.dtype == target.blank(NATIVE.shape).dtype
    if found.dtype == np.float32:
        np.testing.assert_allclose(found, expected, atol=1e-2)  # a part may take the nearest voxel
    else:
        is_sure = (expected - 0.5).abs().numpy() > 1e-2
        np.testing.assert_array_equal(found[is_sure], (expected > 0.5).numpy()[is_sure])
    whole = restore_mask(values, GRID, NATIVE, target=target)
    assert whole.shape == found.shape


class DoseCase:
    """A prepared case whose label has two channels of numbers."""

    case_id = "a"
    shape = (6, 6, 6)
    reading: int | None = None
    voxels: Mapping[int, int] = MappingProxyType({})
    unannotated: tuple[str, ...] = ()

    def image(self) -> np.ndarray:
        return np.ones((1, 6, 6, 6), np.float16)

    def label(self) -> np.ndarray:
        return np.stack([np.full((6, 6, 6), 1.5), np.full((6, 6, 6), -0.25)]).astype(np.float32)

    def foreground(self) -> np.ndarray:
        return np.zeros((0, 4), np.int32)


def test_patches_of_quantities_keep_channels_and_fractions() -> None:
    cases: Any = [DoseCase()]
    patch = PatchDataset(cases, TrainingConfig(patch_size=(4, 4, 4), batch_size=1), target=Dose())[0]
    assert patch["label"].dtype == torch.float32
    assert patch["label"].shape == (2, 4, 4, 4)
    assert patch["label"].amax(dim=(1, 2, 3)).tolist() == [1.5, -0.25]


def test_loss_is_chosen_by_the_target() -> None:
    assert isinstance(loss_for(labels_of(0, 1), dice_weight=0.5), SegmentationLoss)
    partial = loss_for(ExclusiveLabels(labels={"background": 0, "a": 1}, ignore=9))
    assert isinstance(partial, SegmentationLoss)
    assert partial.is_partial
    assert isinstance(loss_for(Regions(labels={"background": 0, "a": 1}, regions={"a": (1,)}, order=(1,))), RegionLoss)
    with pytest.raises(ConfigError, match="got quantities"):
        loss_for(Dose())


def test_metrics_are_chosen_by_the_target() -> None:
    rng = np.random.default_rng(0)
    label, mask = rng.integers(0, 3, (2, 4, 5, 6))
    found = measure_case(label, mask, target=labels_of(0, 1, 2), case_id="a")
    assert found == overlap_metrics(label, mask, labels={"label 1": 1, "label 2": 2}, case_id="a")
    with pytest.raises(ConfigError, match="got quantities"):
        measure_case(label, mask, target=Dose(), case_id="a")


def test_ignored_voxels_count_in_no_overlap_whatever_the_mask_draws_there() -> None:
    rng = np.random.default_rng(0)
    label, mask = rng.integers(0, 3, (2, 4, 5, 6))
    hidden = rng.random(label.shape) < 0.4
    target = ExclusiveLabels(labels={"background": 0, "a": 1, "b": 2}, ignore=9)
    found = measure_case(np.where(hidden, 9, label), mask, target=target, case_id="a")
    kept = ~hidden
    expected = overlap_metrics(label[kept], mask[kept], labels={"a": 1, "b": 2}, case_id="a")
    assert found == [replace(row, ignored_share=float(hidden.mean())) for row in expected]


def test_structures_that_overlap_are_measured_each_by_all_of_their_values() -> None:
    rng = np.random.default_rng(0)
    label, mask = rng.integers(0, 4, (2, 4, 5, 6))
    label[0] = 9
    regions = {"whole": (1, 2, 3), "core": (2, 3)}
    labels = {"background": 0, "edema": 1, "core alone": 2, "rim": 3}
    target = Regions(labels=labels, regions=regions, order=(1, 2), ignore=9)
    for row in measure_case(label, mask, target=target, case_id="a"):
        truth, drawn = (np.isin(array[1:], regions[row.label]) for array in (label, mask))
        assert row.values["dice"] == pytest.approx(2 * (truth & drawn).sum() / (truth.sum() + drawn.sum()))
        assert row.values["iou"] == pytest.approx((truth & drawn).sum() / (truth | drawn).sum())
        assert (row.label_voxels, row.mask_voxels) == (truth.sum(), drawn.sum())


def test_own_metric_of_a_structure_sees_its_voxels() -> None:
    def voxels(label: np.ndarray, mask: np.ndarray, *, spacing_mm: object) -> float:
        return float(label.sum() + 1000 * mask.sum())

    label = np.array([0, 1, 2, 2]).reshape(4, 1, 1)
    target = Regions(labels={"background": 0, "a": 1, "b": 2}, regions={"all": (1, 2), "b": (2,)}, order=(1, 2))
    rows = measure_case(label, label[::-1], target=target, case_id="a", metrics={"voxels": voxels})
    assert [row.values["voxels"] for row in rows] == [3003.0, 2002.0]


def test_mask_of_another_shape_is_refused() -> None:
    target = Regions(labels={"background": 0, "a": 1}, regions={"a": (1,)}, order=(1,), ignore=9)
    with pytest.raises(GeometryError, match=r"case a: mask must have the label's shape \(2, 2, 2\), got \(2, 2, 3\)"):
        measure_case(np.zeros((2, 2, 2), int), np.zeros((2, 2, 3), int), target=target, case_id="a")
