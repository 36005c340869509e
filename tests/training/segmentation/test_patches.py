"""Patches: fixed by their number, fair to cases and labels, and padded with zeros."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from medseg.errors import ScanError
from medseg.preprocess.segmentation import StoredCase
from medseg.records import Array
from medseg.training.batches import batches
from medseg.training.segmentation import TrainingConfig, steps_per_epoch
from medseg.training.segmentation.patches import PatchDataset, crop

from tests.labels import labels_of

VALUES = (0, 1, 2, 3)


@dataclass
class MemoryCase:
    """A case in memory, with what a patch needs of a stored one."""

    pixels: Array
    drawn: Array
    unannotated: tuple[str, ...] = ()
    reading: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.drawn.shape

    @property
    def voxels(self) -> dict[int, int]:
        values, counts = np.unique(self.drawn, return_counts=True)
        return dict(zip(values.tolist(), counts.tolist(), strict=True))

    def image(self) -> Array:
        return self.pixels

    def label(self) -> Array:
        return self.drawn

    def foreground(self) -> Array:
        found = np.argwhere(self.drawn > 0)
        return np.concatenate([self.drawn[tuple(found.T)][:, None].astype(np.int32), found], axis=1)


def numbered(number: int, shape: tuple[int, int, int] = (20, 18, 16)) -> MemoryCase:
    """A case filled with its own number, without a label."""
    return MemoryCase(np.full((1, *shape), number, np.float16), np.zeros(shape, np.uint8))


def dataset(cases: Any, *, values: tuple[int, ...] = VALUES, **settings: Any) -> PatchDataset:
    fields: dict[str, Any] = {"patch_size": (8, 8, 8), "batch_size": 3, "patches_per_case": 2}
    return PatchDataset(cases, TrainingConfig(**fields | settings), target=labels_of(*values))


def test_patch_of_a_number_is_always_the_same(prepared: tuple[StoredCase, ...]) -> None:
    one, other = dataset(prepared), dataset(prepared)
    later = other[41], other[17]
    for index, again in zip((41, 17), later, strict=True):
        assert torch.equal(one[index]["image"], again["image"])
        assert torch.equal(one[index]["label"], again["label"])
    assert not torch.equal(one[41]["image"], one[17]["image"])


def test_another_seed_is_another_sequence(prepared: tuple[StoredCase, ...]) -> None:
    one, other = dataset(prepared), dataset(prepared, seed=1)
    assert any(not torch.equal(one[index]["image"], other[index]["image"]) for index in range(4))


def test_every_case_comes_equally_often_in_every_epoch() -> None:
    patches = dataset([numbered(n) for n in range(5)], patches_per_case=3)
    orders = []
    for epoch in range(4):
        order = [int(patches[index]["image"][0, 0, 0, 0]) for index in range(epoch * 15, (epoch + 1) * 15)]
        assert Counter(order) == dict.fromkeys(range(5), 3)
        orders.append(tuple(order))
    assert len(set(orders)) > 1


def test_patch_has_the_size_and_types_that_training_takes(prepared: tuple[StoredCase, ...]) -> None:
    patch = dataset(prepared, patch_size=(16, 12, 8))[3]
    assert patch["image"].shape == patch["label"].shape == (1, 16, 12, 8)
    assert patch["image"].dtype == torch.float32
    assert patch["label"].dtype == torch.int16


def test_patch_is_a_part_of_its_case_and_label(prepared: tuple[StoredCase, ...]) -> None:
    case = prepared[0]
    image, label = np.asarray(case.image()[...]), np.asarray(case.label()[...])
    windows = np.lib.stride_tricks.sliding_window_view(image[0], (8, 8, 8))
    for index in range(6):
        patch = dataset([case], patches_per_case=2)[index]
        places = np.argwhere((windows == patch["image"][0].numpy().astype(np.float16)).all(axis=(3, 4, 5)))
        assert len(places) == 1
        i, j, k = places[0]
        np.testing.assert_array_equal(patch["label"][0], label[i : i + 8, j : j + 8, k : k + 8])


def test_foreground_patches_are_centred_on_a_label_each_equally_often() -> None:
    """A label of one voxel comes as often as one of a thousand."""
    case = numbered(0, (40, 40, 40))
    case.drawn[2:12, 2:12, 2:12] = 1
    case.drawn[30, 31, 29] = 2
    patches = dataset([case], foreground_share=1.0)
    found = [set(patches[index]["label"].unique().tolist()) - {0} for index in range(80)]
    assert all(len(values) == 1 for values in found)
    assert 25 <= sum(values == {2} for values in found) <= 55
    rare = next(index for index, values in enumerate(found) if values == {2})
    assert torch.argwhere(patches[rare]["label"][0] == 2).tolist() == [[4, 4, 4]]


def test_foreground_share_of_nothing_draws_everywhere() -> None:
    case = numbered(0, (64, 64, 64))
    case.drawn[0, 0, 0] = 1
    patches = dataset([case], foreground_share=0.0)
    assert sum(bool(patches[index]["label"].any()) for index in range(40)) <= 2


def test_case_without_a_label_gives_patches_from_anywhere() -> None:
    patches = dataset([numbered(4)], foreground_share=1.0)
    assert int(patches[0]["image"].unique()) == 4


def test_foreground_at_the_border_moves_the_patch_inside() -> None:
    case = numbered(5)
    case.drawn[0, 17, 15] = 3
    patches = dataset([case], foreground_share=1.0)
    for index in range(6):
        assert (patches[index]["image"] == 5).all()
        assert (patches[index]["label"] == 3).any()


def test_scan_smaller_than_the_patch_lies_in_its_middle_between_zeros() -> None:
    case = numbered(7, (5, 8, 20))
    case.drawn[:] = 2
    patch = dataset([case], patch_size=(9, 9, 9))[0]
    for part, value in (("image", 7), ("label", 2)):
        expected = torch.zeros(1, 9, 9, 9)
        expected[:, 2:7, 0:8, :] = value
        torch.testing.assert_close(patch[part].float(), expected)


def test_label_values_become_class_numbers() -> None:
    case = numbered(0)
    case.drawn[:10] = 3
    case.drawn[10:] = 200
    patch = dataset([case], values=(0, 3, 200), patch_size=(20, 8, 8))[0]
    assert (patch["label"][0, :10] == 1).all()
    assert (patch["label"][0, 10:] == 2).all()


@pytest.mark.parametrize("start", [(-2, 0, 1), (3, -1, 4), (0, 2, 5), (-1, -1, -1)])
def test_crop_beyond_the_borders_is_zero(start: tuple[int, int, int]) -> None:
    array = np.random.default_rng(0).integers(1, 9, (2, 5, 6, 7))
    padded = np.pad(array, [(0, 0)] + [(6, 6)] * 3)
    i, j, k = (s + 6 for s in start)
    found = crop(array, start, (6, 5, 4))
    np.testing.assert_array_equal(found, padded[:, i : i + 6, j : j + 5, k : k + 4])
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(crop(array[0], start, (6, 5, 4)), found[0])


def test_batches_hold_consecutive_patches_from_any_step_on(prepared: tuple[StoredCase, ...]) -> None:
    patches = dataset(prepared)
    from_start = list(islice(batches(patches, first_step=0), 4))
    from_two = list(islice(batches(patches, first_step=2), 2))
    for step, batch in enumerate(from_start):
        assert batch["image"].shape == (3, 1, 8, 8, 8)
        expected = torch.stack([patches[3 * step + n]["image"] for n in range(3)])
        assert torch.equal(batch["image"], expected)
    for one, other in zip(from_start[2:], from_two, strict=True):
        assert torch.equal(one["image"], other["image"])
        assert torch.equal(one["label"], other["label"])


def test_several_loaders_give_the_batches_in_the_same_order(prepared: tuple[StoredCase, ...]) -> None:
    patches = dataset(prepared)
    one, four = (list(islice(batches(patches, first_step=3, loaders=loaders), 12)) for loaders in (1, 4))
    for first, second in zip(one, four, strict=True):
        assert torch.equal(first["image"], second["image"])
        assert torch.equal(first["label"], second["label"])


def test_damaged_store_entry_stops_the_training_and_names_its_case(
    prepared: tuple[StoredCase, ...], tmp_path: Path
) -> None:
    shutil.copytree(prepared[0].folder, tmp_path / "entry")
    image = tmp_path / "entry" / "image.b2nd"
    image.write_bytes(image.read_bytes()[:100])
    damaged = replace(prepared[0], folder=tmp_path / "entry")
    with pytest.raises(ScanError, match=rf"case {damaged.case_id}: store entry entry must be whole"):
        next(batches(dataset([damaged]), first_step=0))


def with_rare_label() -> list[MemoryCase]:
    """Ten cases of which all hold label 1, and the fourth a voxel of label 2 too."""
    cases = [numbered(n, (30, 30, 30)) for n in range(10)]
    for case in cases:
        case.drawn[2:6, 2:6, 2:6] = 1
    cases[3].drawn[20, 21, 22] = 2
    return cases


def test_each_epoch_holds_every_case_and_the_additional_patches_of_rare_labels() -> None:
    patches = dataset(with_rare_label(), foreground_share=0.0, extra_patches={"label 2": 5})
    orders = []
    for epoch in range(3):
        found = [patches[index] for index in range(epoch * 25, (epoch + 1) * 25)]
        order = [int(patch["image"][0, 0, 0, 0]) for patch in found]
        assert Counter(order) == {n: 7 if n == 3 else 2 for n in range(10)}
        centred = [torch.argwhere(patch["label"][0] == 2).tolist() == [[4, 4, 4]] for patch in found]
        assert sum(centred) >= 5
        orders.append(tuple(order))
    assert len(set(orders)) > 1


def test_additional_patch_of_a_number_is_always_the_same() -> None:
    one, other = (dataset(with_rare_label(), extra_patches={"label 1": 2, "label 2": 3}) for _ in range(2))
    later = {index: other[index] for index in reversed(range(60))}
    for index in range(60):
        assert torch.equal(one[index]["image"], later[index]["image"])
        assert torch.equal(one[index]["label"], later[index]["label"])


def test_without_additional_patches_the_sequence_is_that_of_the_cases_alone() -> None:
    """The first voxels of known patches, so that trainings without rare labels stay as they are."""
    case = numbered(0, (40, 40, 40))
    case.pixels[0] = np.arange(40**3).reshape(40, 40, 40) % 2048
    case.drawn[2:12, 2:12, 2:12] = 1
    case.drawn[30, 31, 29] = 2
    found = [int(patch["image"][0, 0, 0, 0]) for patch in islice(map(dataset([case, case]).__getitem__, range(6)), 6)]
    assert found == [1152, 717, 202, 146, 855, 702]


def test_label_that_no_case_holds_gives_patches_from_anywhere() -> None:
    patches = dataset([numbered(n) for n in range(4)], extra_patches={"label 3": 8})
    assert {int(patches[index]["image"][0, 0, 0, 0]) for index in range(48)} == set(range(4))


def test_epoch_is_as_many_steps_as_its_patches_take() -> None:
    config = TrainingConfig(patch_size=(8, 8, 8), batch_size=3, patches_per_case=2, extra_patches={"a": 4, "b": 1})
    assert config.patches_per_epoch(5) == 15
    assert steps_per_epoch(5, config) == 5
    assert steps_per_epoch(5, config.model_copy(update={"extra_patches": {}})) == 4
