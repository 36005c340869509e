"""A network's forward pass, compiled by PyTorch for the patches of one training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

_log = logging.getLogger(__name__)
COMPILING_S = 40.0  # for the network of a plan, the first time on a machine (benchmarks/README.md)
COMPILED_STEP = 0.6  # of the seconds of a step that is not compiled
_SHORTEST_S = 150.0  # of a budget, which then wins back half of what compiling takes
_FEWEST_STEPS = 4000
_LONGEST = 300  # characters of a compiler's message, which goes on for pages
Forward = Callable[[Tensor], Sequence[Tensor]]


def is_worth_compiling(device: torch.device, *, seconds: float | None, steps: int) -> bool:
    """Whether a training is long enough to compile its network first: on a CUDA GPU alone, as measured there.

    Args:
        device: Device that trains.
        seconds: Wall clock of the training; None where its steps are counted.
        steps: Steps of the training where they are counted.
    """
    return device.type == "cuda" and (steps >= _FEWEST_STEPS if seconds is None else seconds >= _SHORTEST_S)


def compiled_forward(
    forward: Forward,
    network: nn.Module,
    rehearse: Callable[[Forward], Sequence[Tensor]],
    *,
    backend: str = "inductor",
) -> Forward:
    """The forward pass, compiled by a rehearsal of a step, so that no step of the training waits for the compiler.

    Where the machine cannot compile, because it lacks Triton or a C++ compiler for instance, the pass is returned as it
    was and a warning is logged. Weights, gradients, buffers and random numbers are as before.

    Args:
        forward: Pass from a batch of patches `(B, C, I, J, K)` or `(B, C, I, J)` to the logits of all scales.
        network: Network of the pass, in training mode, without gradients.
        rehearse: Function that runs a pass on a batch of the training's shape, number format and layout.
        backend: Backend of `torch.compile`.
    """
    from torch._dynamo.exc import TorchDynamoException  # loads the compiler, which most trainings do without

    devices = {parameter.device for parameter in network.parameters() if parameter.device.type == "cuda"}
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    compiled: Forward = torch.compile(forward, backend=backend, dynamic=False)
    try:
        with torch.random.fork_rng(devices=sorted(devices, key=str)):
            torch.autograd.backward([scale.float().mean() for scale in rehearse(compiled)])
    except (TorchDynamoException, ImportError) as error:
        _log.warning("the network is trained without torch.compile: %s", _first_lines(error))
        return forward
    finally:
        network.zero_grad(set_to_none=True)
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])
    return compiled


def _first_lines(error: Exception) -> str:
    """What a compiler says first: the part that failed, and why."""
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip())[:_LONGEST]
