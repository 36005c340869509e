"""A process's share of every batch of a distributed training."""

from __future__ import annotations

from typing import NamedTuple

import ignite.distributed as idist
import torch
from torch import Tensor

from medseg.errors import ConfigError
from medseg.training.ranks import is_alone, summed


class Share(NamedTuple):
    """Samples of a batch that one process takes.

    Attributes:
        first: Number of the first one within the batch.
        stop: Number behind the last one.
        size: Samples of the whole batch.
    """

    first: int
    stop: int
    size: int

    @property
    def own(self) -> slice:
        """The share's place among the samples of the batch."""
        return slice(self.first, self.stop)

    def times(self, count: int) -> Share:
        """The same share where every sample counts as several."""
        return Share(self.first * count, self.stop * count, self.size * count)


def own_share(batch_size: int, *, setting: str = "training.batch_size") -> Share:
    """This process's share of a batch; shares differ by a sample at most, and a single process takes all.

    Args:
        batch_size: Samples of the whole batch.
        setting: Name of the setting that says so.

    Raises:
        ConfigError: If a process would be left without a sample.
    """
    if is_alone():
        return Share(0, batch_size, batch_size)
    rank, processes = idist.get_rank(), idist.get_world_size()
    if batch_size < processes:
        raise ConfigError(
            f"{setting} must be at least {processes}, so that each of the {processes} processes has a sample of every "
            f"batch, got {batch_size}",
            remedy=f"start {batch_size} or fewer, or plan larger batches",
        )
    return Share(batch_size * rank // processes, batch_size * (rank + 1) // processes, batch_size)


def gathered(own: Tensor, share: Share) -> Tensor:
    """The whole batch, out of the shares of all processes; gradients flow to this process's own samples.

    Args:
        own: Samples of this process, `(share.stop - share.first, …)`.
        share: Its share.

    Returns:
        Shape `(share.size, …)`; what was given where a single process has it all.
    """
    if is_alone():
        return own
    kind = own.dtype if own.is_floating_point() else torch.int64
    whole = torch.zeros((share.size, *own.shape[1:]), dtype=kind, device=own.device)
    whole[share.own] = own.detach().to(kind)
    whole = summed(whole).to(own.dtype)
    return torch.cat([whole[: share.first], own, whole[share.stop :]])
