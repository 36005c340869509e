"""Shares of a batch are together the batch."""

from __future__ import annotations

import pytest
import torch
from medseg.errors import ConfigError
from medseg.training import AugmentConfig
from medseg.training.augment import augment_batch
from medseg.training.ranks import join_processes, working_alone
from medseg.training.share import Share, gathered, own_share

STRONG = AugmentConfig(
    affine_share=0.5, mirror_axes=(0, 1), gamma_share=0.5, contrast_share=0.5, noise_share=0.5, blur_share=0.5,
    low_resolution_share=0.5,
)  # fmt: skip


def shares(batch_size: int, processes: int, monkeypatch: pytest.MonkeyPatch) -> list[Share]:
    """The share of each process."""
    monkeypatch.setattr("ignite.distributed.get_world_size", lambda: processes)
    found = []
    for rank in range(processes):
        monkeypatch.setattr("ignite.distributed.get_rank", lambda rank=rank: rank)
        found.append(own_share(batch_size))
    return found


@pytest.mark.parametrize(("batch_size", "processes"), [(4, 2), (5, 2), (7, 3), (3, 3)])
def test_shares_are_the_whole_batch_without_overlap(
    batch_size: int, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = shares(batch_size, processes, monkeypatch)
    assert [n for share in found for n in range(batch_size)[share.own]] == list(range(batch_size))
    sizes = [share.stop - share.first for share in found]
    assert max(sizes) - min(sizes) <= 1


def test_batch_smaller_than_the_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"batch_size must be at least 3, .* got 2; start 2 or fewer"):
        shares(2, 3, monkeypatch)


def test_process_that_works_alone_takes_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ignite.distributed.get_world_size", lambda: 3)
    batch = torch.arange(2)
    with working_alone():
        assert own_share(2) == Share(0, 2, 2)
        assert gathered(batch, own_share(2)) is batch


@pytest.mark.parametrize("seed", range(4))
def test_shares_are_augmented_as_within_the_whole(seed: int) -> None:
    image, label = torch.randn(5, 1, 8, 8, 8), torch.randint(0, 3, (5, 1, 8, 8, 8))
    whole_image, whole_label = augment_batch(image, label, STRONG, seed=seed)
    for share in (Share(0, 2, 5), Share(2, 5, 5)):
        part, part_label = augment_batch(image[share.own], label[share.own], STRONG, seed=seed, share=share)
        torch.testing.assert_close(part, whole_image[share.own], atol=1e-6, rtol=1e-6)
        assert torch.equal(part_label, whole_label[share.own])


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(ConfigError, match="every one of a machine must have a GPU, got 2"):
        join_processes(local_rank=2, is_on_gpu=True)
