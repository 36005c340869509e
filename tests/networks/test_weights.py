"""Weights come back as they were written, from every kind of file; nothing else is read, and no code is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from medseg.errors import CheckpointError
from medseg.networks.weights import load_weights, read_weights, save_weights
from torch import Tensor, nn

STATE = {"first.weight": torch.arange(6.0).reshape(2, 3), "first.count": torch.tensor(7)}


def save_pickled(content: object) -> Callable[[Path], None]:
    return lambda path: torch.save(content, path)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("weights.safetensors", lambda path: save_weights(STATE, path)),
        ("weights.pt", save_pickled(STATE)),
        ("weights.pth", save_pickled(STATE)),
        ("checkpoint.pt", save_pickled({"epoch": 3, "state_dict": STATE, "loss": 0.5})),
        ("checkpoint.pth", save_pickled({"state_dict": STATE})),
    ],
)
def test_tensors_by_name_come_back(name: str, save: Callable[[Path], None], tmp_path: Path) -> None:
    save(tmp_path / name)
    found = read_weights(tmp_path / name)
    assert sorted(found) == sorted(STATE)
    assert all(torch.equal(found[key], tensor) and found[key].dtype == tensor.dtype for key, tensor in STATE.items())


class Code:
    """Something that only an unsafe unpickler would make."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path("ran.txt").write_text, ("code ran",))


@pytest.mark.parametrize(
    ("name", "content", "phrase"),
    [
        ("code.pth", Code(), r"code\.pth: must be readable as tensors by name"),
        ("code.pt", {"state_dict": {"fc": Code()}}, r"code\.pt: must be readable as tensors by name"),
        ("nested.pth", {"epoch": 3, "model": STATE}, "got: something else than tensors by name; copy the file whole"),
        ("list.pt", [1, 2], "got: something else than tensors by name"),
        ("list.pt", {"state_dict": [1, 2]}, "got: something else than tensors by name"),
        ("damaged.safetensors", b"\x00" * 40, r"damaged\.safetensors: must be readable"),
        ("damaged.pth", b"not a file of tensors", r"damaged\.pth: must be readable"),
        ("empty.pt", b"", r"empty\.pt: must be readable"),
        ("missing.pth", None, r"missing\.pth: must be readable"),
        (
            "net.onnx",
            b"",
            r"net\.onnx: must be readable as tensors by name \(.safetensors, .pt, .pth\), got: a file of",
        ),
        ("net", b"", "got: a file without ending"),
    ],
)
def test_file_that_is_no_state_dict_is_refused(
    name: str, content: object, phrase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        torch.save(content, tmp_path / name)
    with pytest.raises(CheckpointError, match=phrase):
        read_weights(tmp_path / name)
    assert not (tmp_path / "ran.txt").exists()


def test_weights_are_loaded_into_a_network_of_their_shape_alone(tmp_path: Path) -> None:
    network = nn.Linear(3, 2)
    state: dict[str, Tensor] = network.state_dict()
    save_weights(state, tmp_path / "last.safetensors")
    other = nn.Linear(3, 2)
    load_weights(other, tmp_path / "last.safetensors")
    assert torch.equal(other.weight, network.weight)
    with pytest.raises(CheckpointError, match="must fit the network that is described beside them, got"):
        load_weights(nn.Linear(4, 2), tmp_path / "last.safetensors")
