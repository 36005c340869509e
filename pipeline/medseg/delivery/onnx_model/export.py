"""From a network to a checked ONNX file: a window of the plan's size, any number of windows at a time."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medseg.atomic import atomic_path, write_json
from medseg.delivery.onnx_model.record import RECORD_NAME, OnnxAgreement, OnnxRecord
from medseg.delivery.optional_package import optional_package
from medseg.errors import DeliveryError
from medseg.targets import LabelMap, on_logits, regions_of
from medseg.version import __version__

OPSET = 20
INPUT, OUTPUT = "image", "logits"
LARGEST_DIFFERENCE = 1e-3  # of the largest logit
LEAST_SAME = 0.9999
_BATCH_SIZES = (1, 3)
_SEED = 0
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxNetwork:
    """A network, and what goes into its record.

    Attributes:
        network: Network as `build_network` made it, on the CPU, with its weights, in evaluation mode.
        in_channels: Channels of its input.
        patch_size: Voxels of a window; two for a 2D network.
        channels: Names of the image channels.
        target: Meaning of its output.
        preprocess: Settings of its input, as plain values.
        weights: Name of the file of its weights.
    """

    network: nn.Module
    in_channels: int
    patch_size: tuple[int, ...]
    channels: tuple[str, ...]
    target: LabelMap
    preprocess: dict[str, Any]
    weights: str


def check_onnx_packages() -> None:
    """Refuse the form before any work where a package is missing.

    Raises:
        DeliveryError: If one is missing.
    """
    for name in _PACKAGES:
        optional_package(name, form="onnx")


def export_onnx(source: OnnxNetwork, out: Path, *, name: str = "model.onnx") -> OnnxRecord:
    """Write a network as one ONNX file and `onnx.json`, once it is shown to decide as the original does.

    Args:
        source: Network.
        out: Target folder.
        name: Name of the file.

    Raises:
        DeliveryError: If a package is missing, the network is too large for one file, or the ONNX network differs.
    """
    check_onnx_packages()
    with atomic_path(out / name, suffix=".onnx") as temporary:
        _write(source, temporary)
        _check_graph(temporary)
        agreement = _compared(source, temporary)
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
    record = OnnxRecord(
        file=name,
        sha256=digest,
        medseg_version=__version__,
        opset=OPSET,
        input=INPUT,
        output=OUTPUT,
        channels=source.channels,
        labels=_by_channel(source.target),
        regions=regions_of(source.target),
        patch_size=source.patch_size,
        preprocess=source.preprocess,
        weights=source.weights,
        agreement=agreement,
    )
    write_json(out / RECORD_NAME, record.model_dump(mode="json"))
    return record


def _by_channel(target: LabelMap) -> dict[str, int]:
    """Labels in the order of their channels; regions have no such order."""
    values = target.channel_values or tuple(target.labels.values())
    return dict(sorted(target.labels.items(), key=lambda label: values.index(label[1])))


def _write(source: OnnxNetwork, path: Path) -> None:
    window = torch.zeros(2, source.in_channels, *source.patch_size)
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                source.network,
                (window,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                external_data=False,
                verbose=False,
            )
            _forget_source(program.model)
            program.save(path)
    except (RuntimeError, ValueError) as error:  # an operator without a counterpart, or more than 2 GB
        raise _differs((str(error).splitlines() or [type(error).__name__])[0]) from error


def _forget_source(model: Any) -> None:
    """Remove what the exporter notes of the code that it followed: its files on this machine and their lines."""
    for graph in (model.graph, *model.functions.values()):
        for node in graph.all_nodes():
            node.metadata_props.clear()
            node.doc_string = None
            for value in node.outputs:
                value.metadata_props.clear()
        graph.metadata_props.clear()
    model.metadata_props.clear()


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what torch and its exporter say about themselves."""
    exporter = logging.getLogger("torch.onnx")
    before = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(before)


def _check_graph(path: Path) -> None:
    onnx = optional_package("onnx", form="onnx")
    onnx.checker.check_model(str(path), full_check=True)


@torch.inference_mode()
def _compared(source: OnnxNetwork, path: Path) -> OnnxAgreement:
    """Compare both on noise.

    Raises:
        DeliveryError: If they differ by more than rounding.
    """
    runtime = optional_package("onnxruntime", form="onnx")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    if isinstance(session.get_inputs()[0].shape[0], int):
        raise _differs("one that takes a fixed number of windows at a time")
    generator = torch.Generator().manual_seed(_SEED)
    differences, largest, same = [], [], []
    for size in _BATCH_SIZES:
        x = torch.randn(size, source.in_channels, *source.patch_size, generator=generator)
        exact: Tensor = source.network(x)
        other = torch.from_numpy(session.run([OUTPUT], {INPUT: x.numpy()})[0])
        differences.append(float((exact - other).abs().max()))
        largest.append(float(exact.abs().max()))
        decide = on_logits(source.target).decide
        same += [float((decide(one) == decide(two)).mean()) for one, two in zip(exact, other, strict=True)]
    agreement = OnnxAgreement(
        largest_difference=max(differences),
        largest_logit=max(largest),
        same_decisions=sum(same) / len(same),
        batch_sizes=_BATCH_SIZES,
    )
    if agreement.largest_difference > LARGEST_DIFFERENCE * max(1.0, agreement.largest_logit):
        raise _differs(f"a logit that differs by {agreement.largest_difference:.3g}")
    if agreement.same_decisions < LEAST_SAME:
        raise _differs(f"{agreement.same_decisions:.4%} of the decisions alike")
    return agreement


def _differs(found: str) -> DeliveryError:
    return DeliveryError(
        f"onnx: the exported network must decide as the original, got {found}", remedy="leave onnx out"
    )
