"""Random numbers of a step, which depend on the seed and the step's number alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine
from torch import Tensor

from medseg.training.task import Step

_STREAM = 5  # of the seed; samples have the others


def seeded_step(step: Step, seed: int, device: torch.device) -> Step:
    """A step whose dropout, and whatever else draws from a global generator, is the same however the run came to it.

    The generators of torch, NumPy and Python are the caller's again after each step. Processes of one training draw
    differently.

    Args:
        step: Step of the training.
        seed: Seed of the training.
        device: Device of the network.
    """

    def step_with_its_numbers(engine: Engine, batch: Any) -> Tensor:
        key = [seed, _STREAM, engine.state.iteration, idist.get_rank()]
        with _seeded(np.random.SeedSequence(key).generate_state(1), device):
            return step(engine, batch)

    return step_with_its_numbers


@contextmanager
def _seeded(words: np.ndarray[Any, Any], device: torch.device) -> Iterator[None]:
    """The global generators, seeded with a word of 32 bits for the time of a block."""
    word = int(words[0])
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  # users' parts may draw from them
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(word)
            np.random.seed(word)  # noqa: NPY002
            random.seed(word)
            yield
    finally:
        np.random.set_state(numpy)  # noqa: NPY002
        random.setstate(python)
