"""ONNX networks decide as the originals do, window by window, for any number of windows."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import medseg
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from medseg.delivery.onnx_model import OnnxNetwork, OnnxRecord, export_onnx
from medseg.errors import DeliveryError
from medseg.networks.segmentation import build_network
from medseg.targets import ExclusiveLabels
from torch import Tensor, nn

from tests.networks.segmentation.small_nets import small_net

LABELS = {"background": 0, "spleen": 5, "liver": 2}


def source_of(network: nn.Module, *, channels: int, patch: tuple[int, ...], labels: int) -> OnnxNetwork:
    names = {"background": 0, **{f"label_{value}": value for value in range(1, labels)}}
    return OnnxNetwork(
        network=network.eval(), in_channels=channels, patch_size=patch, channels=("MR",) * channels,
        target=ExclusiveLabels(labels=names), preprocess={"axcodes": "RAS"}, weights="last.safetensors",
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "dims"), [("unet", 3), ("unet", 2), ("dynunet", 3), ("segresnet", 2)])
def test_logits_are_those_of_the_network(tmp_path: Path, kind: str, dims: int) -> None:
    torch.manual_seed(0)
    config = small_net(kind, spatial_dims=dims)  # type: ignore[arg-type]
    network = build_network(config)
    patch = (16,) * dims
    source = source_of(network, channels=config.in_channels, patch=patch, labels=config.out_channels)
    record = export_onnx(source, tmp_path)
    onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    for batch in (1, 2, 5):
        x = np.random.default_rng(batch).normal(size=(batch, config.in_channels, *patch)).astype(np.float32)
        (logits,) = session.run([record.output], {record.input: x})
        with torch.inference_mode():
            expected = network(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(logits, expected, atol=1e-4)
    assert record.agreement.same_decisions == 1
    assert record.agreement.largest_difference < 1e-4
    assert OnnxRecord.model_validate(json.loads((tmp_path / "onnx.json").read_text())) == record
    assert record.sha256 == hashlib.sha256((tmp_path / "model.onnx").read_bytes()).hexdigest()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "onnx.json"]


@pytest.mark.parametrize("dims", [2, 3])
def test_file_says_nothing_of_the_machine_that_wrote_it(tmp_path: Path, dims: int) -> None:
    config = small_net("unet", spatial_dims=dims)
    patch = (16,) * dims
    export_onnx(source_of(build_network(config), channels=config.in_channels, patch=patch, labels=config.out_channels),
                tmp_path)  # fmt: skip
    content = (tmp_path / "model.onnx").read_bytes()
    known = (Path(torch.__file__).parents[1], Path(medseg.__file__).parent, Path(__file__).parent, Path.home())
    assert [str(path) for path in known if str(path).encode() in content] == []
    assert b".py" not in content
    assert b"line " not in content


class Counting(nn.Module):
    """Logits that say which channel is which."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv3d(1, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layer(x)
        return logits


def test_labels_stand_in_the_order_of_the_channels(tmp_path: Path) -> None:
    target = ExclusiveLabels(labels=LABELS)
    source = source_of(Counting(), channels=1, patch=(4, 4, 4), labels=3)
    source = OnnxNetwork(**{name: getattr(source, name) for name in OnnxNetwork.__slots__} | {"target": target})  # type: ignore[attr-defined]
    record = export_onnx(source, tmp_path)
    assert list(record.labels.values()) == list(target.channel_values or ())


class Random(nn.Module):
    """A network whose answer no exporter can repeat."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.rand_like(x)] * 3, dim=1)


def test_network_that_does_not_agree_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="must decide as the original"):
        export_onnx(source_of(Random(), channels=1, patch=(8, 8, 8), labels=3), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
