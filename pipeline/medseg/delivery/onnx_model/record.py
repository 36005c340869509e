"""`onnx.json`: what a program must know to feed an ONNX network, and how well it agrees with the original."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from medseg.configuration import Config

RECORD_NAME = "onnx.json"


class OnnxAgreement(Config):
    """Comparison of an ONNX network with the original in float32, on noise.

    Attributes:
        largest_difference: Largest difference of a logit.
        largest_logit: Largest absolute logit, by which the difference is judged.
        same_decisions: Share of voxels whose decision is the same, in [0, 1].
        batch_sizes: Numbers of windows that were compared at a time.
    """

    largest_difference: float
    largest_logit: float
    same_decisions: float
    batch_sizes: tuple[int, ...]


class OnnxRecord(Config):
    """An ONNX network.

    Attributes:
        file: Name of its file.
        sha256: Checksum of the file.
        medseg_version: Version of medseg that exported it.
        opset: Version of ONNX's operators.
        input: Name of the input, float32, `(batch, channels, *patch_size)`.
        output: Name of the output, logits, float32, `(batch, labels, *patch_size)`.
        channels: Names of the input's channels, in order.
        labels: Value of each label by name, in the order of the output's channels.
        regions: Label values of each region in the order of the output's channels, where these are regions.
        patch_size: Voxels of a window along the axes of the network's grid; two for a 2D network.
        preprocess: Grid, orientation, voxel size and intensities of the input, as the model's card has them.
        weights: File of the weights in the run.
        agreement: Comparison with the original.
    """

    file: str
    sha256: str
    medseg_version: str
    opset: int
    input: str
    output: str
    channels: tuple[str, ...]
    labels: dict[str, int]
    regions: dict[str, tuple[int, ...]] | None = Field(None, exclude_if=lambda regions: regions is None)
    patch_size: tuple[int, ...]
    preprocess: dict[str, Any]
    weights: str
    agreement: OnnxAgreement
