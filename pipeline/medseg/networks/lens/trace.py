"""The operations of a network in order, as PyTorch traces them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import fx, nn
from torch.nn import functional

from medseg.errors import ConfigError
from medseg.networks.evaluating import evaluating

CONSTANTS = (torch.zeros_like, torch.ones_like)
"""Functions with an output that does not depend on the values of their input."""
_POINTWISE: tuple[Any, ...] = (
    operator.add, operator.iadd, operator.sub, operator.mul, operator.imul, operator.truediv,
    torch.add, torch.sub, torch.mul, torch.div, torch.cat, torch.relu, torch.sigmoid, torch.tanh,
    functional.relu, functional.leaky_relu, functional.silu, functional.gelu, functional.dropout,
)  # fmt: skip
_POINTWISE_METHODS = ("add", "add_", "mul", "mul_", "sub", "div", "relu", "relu_", "sigmoid", "tanh", "contiguous")


class Trace(NamedTuple):
    """A network's operations.

    Attributes:
        graph: Operations in the order in which they run.
        modules: Modules without children by name, in the order in which the picture first passes them.
        outputs: Operation that returns a module's output, by the module's name; the network's own is "". A module that
            returns several tensors is left out.
    """

    graph: fx.Graph
    modules: dict[str, nn.Module]
    outputs: dict[str, fx.Node]


def trace(network: nn.Module) -> Trace:
    """Follow a picture through a network in evaluation mode, without computing anything.

    Raises:
        ConfigError: If the path through the network depends on the picture.
    """
    tracer = _Tracer()
    with evaluating(network):
        try:
            graph = tracer.trace(network)
        except (fx.proxy.TraceError, TypeError, ValueError) as error:
            # A ValueError is NumPy's, which was asked to compute with the picture's size.
            cause = "it computes with the image's size" if isinstance(error, ValueError) else error
            raise ConfigError(
                f"receptive field: a network must take one path for all images, got {type(network).__name__}, which "
                f"does not ({cause})",
                remedy="look at a part of it, such as one of its modules",
            ) from error
    result = next(node.args[0] for node in graph.nodes if node.op == "output")
    outputs = dict(tracer.outputs)
    if isinstance(result, fx.Node):
        outputs[""] = result
    called = dict.fromkeys(str(node.target) for node in graph.nodes if node.op == "call_module")
    return Trace(graph, {name: network.get_submodule(name) for name in called}, outputs)


def check_pointwise(node: fx.Node) -> None:
    """Refuse a function that may mix voxels.

    Raises:
        ConfigError: If the function is not known to work voxel by voxel.
    """
    known = _POINTWISE_METHODS if node.op == "call_method" else _POINTWISE
    if node.target not in known:
        raise ConfigError(
            f"receptive field: functions must work voxel by voxel, got {node.target} at {node.name}",
            remedy="use a layer instead of the function",
        )


class _Tracer(fx.Tracer):
    """Stops at modules without children, and records the output of every module."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[str, fx.Node] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(True for _ in m.children())

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        result = super().call_module(m, forward, args, kwargs)
        if isinstance(result, fx.Proxy):
            self.outputs[self.path_of_module(m)] = result.node
        return result
