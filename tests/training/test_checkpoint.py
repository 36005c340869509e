"""Checkpoints: everything comes back, and damage is noticed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from medseg.errors import CheckpointError
from medseg.training.averaging import averaged_copy
from medseg.training.checkpoint import checkpoint_facts, load_checkpoint, save_checkpoint
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel

Trainee = tuple[nn.Module, AveragedModel, Optimizer]
FACTS = {"step": 7, "elapsed_s": 1.5, "best_score": 0.75}


def trainee(seed: int, *, steps: int, optimiser: str = "adamw", width: int = 4) -> Trainee:
    """A network with its average and optimiser, some steps into a training."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(2, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, 2, 1))
    network = network.to(memory_format=torch.channels_last)
    average = averaged_copy(network, decay=0.9)
    made: Optimizer = (
        AdamW(network.parameters(), 0.01, fused=True)
        if optimiser == "adamw"
        else SGD(network.parameters(), 0.01, momentum=0.9, nesterov=True)
    )
    walk((network, average, made), steps=steps)
    return network, average, made


def walk(parts: Trainee, *, steps: int) -> None:
    network, average, optimiser = parts
    for _ in range(steps):
        x = torch.randn(2, 2, 6, 6, generator=torch.Generator().manual_seed(3))
        optimiser.zero_grad()
        network(x).pow(2).mean().backward()
        optimiser.step()
        average.update_parameters(network)


def save(path: Path, parts: Trainee, facts: dict[str, float] | None = None) -> None:
    save_checkpoint(path, network=parts[0], average=parts[1], optimiser=parts[2], facts=facts or FACTS)


def load(path: Path, parts: Trainee) -> dict[str, float]:
    return load_checkpoint(path, network=parts[0], average=parts[1], optimiser=parts[2])


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_training_goes_on_exactly_where_it_stopped(tmp_path: Path, optimiser: str) -> None:
    original = trainee(0, steps=3, optimiser=optimiser)
    save(tmp_path / "c.safetensors", original)
    other = trainee(1, steps=0, optimiser=optimiser)
    facts = load(tmp_path / "c.safetensors", other)
    assert {key: facts[key] for key in FACTS} == FACTS
    walk(original, steps=2)
    walk(other, steps=2)
    for one, two in zip(original[:2], other[:2], strict=True):
        for (name, expected), found in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
            assert torch.equal(found, expected), name


def test_optimiser_state_lies_as_its_parameters_do(tmp_path: Path) -> None:
    save(tmp_path / "c.safetensors", trainee(0, steps=2))
    other = trainee(1, steps=0)
    load(tmp_path / "c.safetensors", other)
    weight = next(other[0].parameters())
    assert other[2].state[weight]["exp_avg"].stride() == weight.stride()
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_facts_are_read_without_the_tensors(tmp_path: Path) -> None:
    save(tmp_path / "c.safetensors", trainee(0, steps=1), {"step": 1, "best_score": -math.inf})
    facts = checkpoint_facts(tmp_path / "c.safetensors")
    assert (facts["step"], facts["best_score"]) == (1, -math.inf)


def test_checkpoint_is_a_safetensors_file_of_its_own_and_replaces_the_last(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    for steps in (1, 2):
        save(path, trainee(0, steps=steps), {"step": steps})
    assert [item.name for item in tmp_path.iterdir()] == ["c.safetensors"]
    assert checkpoint_facts(path)["step"] == 2
    names = load_file(path)
    assert {name.split(".")[0] for name in names} == {"network", "average", "optimiser"}


@pytest.mark.parametrize(
    "damage",
    [lambda whole: whole[:-10], lambda whole: whole[:20], lambda whole: b"", lambda whole: b"x" * 500],
    ids=["cut", "header cut", "empty", "noise"],
)
def test_damaged_checkpoint_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "c.safetensors"
    parts = trainee(0, steps=1)
    save(path, parts)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r"c\.safetensors: must fit this training"):
        load(path, parts)
    with pytest.raises(CheckpointError, match="must be readable"):
        checkpoint_facts(path)


def test_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="start a new run"):
        load(tmp_path / "gone.safetensors", trainee(0, steps=0))
    with pytest.raises(CheckpointError, match="must be readable"):
        checkpoint_facts(tmp_path / "gone.safetensors")


def test_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "c.safetensors", trainee(0, steps=1))
    with pytest.raises(CheckpointError, match="must fit this training"):
        load(tmp_path / "c.safetensors", trainee(0, steps=0, width=6))


@pytest.mark.parametrize("metadata", [None, {"other": "1"}, {"facts": "{"}])
def test_file_without_facts_is_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    save_file({"network.a": torch.zeros(1)}, tmp_path / "c.safetensors", metadata=metadata)
    with pytest.raises(CheckpointError, match="must fit this training"):
        load(tmp_path / "c.safetensors", trainee(0, steps=0))
    with pytest.raises(CheckpointError, match="must be readable"):
        checkpoint_facts(tmp_path / "c.safetensors")


def test_facts_are_json(tmp_path: Path) -> None:
    save(tmp_path / "c.safetensors", trainee(0, steps=1))
    raw = (tmp_path / "c.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert json.loads(header["__metadata__"]["facts"])["step"] == 7
