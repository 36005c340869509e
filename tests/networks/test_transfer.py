"""Weights of an earlier network are taken by name, shape and meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from medseg.networks import NetworkConfig
from medseg.networks.name_match import match_names
from medseg.networks.named_axes import named_axes
from medseg.networks.segmentation import UNet
from medseg.networks.transfer import Transfer, take_weights
from torch import Tensor, nn

LABELS = ("background", "liver", "spleen")


def config(**changes: Any) -> NetworkConfig:
    shape: dict[str, Any] = {
        "spatial_dims": 3,
        "in_channels": 2,
        "out_channels": 3,
        "channels": (4, 8, 8),
        "strides": ((1, 1, 1), (2, 2, 2), (2, 2, 2)),
        "kernels": ((3, 3, 3),) * 3,
        "blocks": (1, 1, 1),
        "decoder_blocks": (1, 1),
    }
    return NetworkConfig.model_validate(shape | changes)


def take(
    given: NetworkConfig,
    wanted: NetworkConfig,
    *,
    labels: tuple[str, ...] = LABELS,
    earlier_labels: tuple[str, ...] = LABELS,
    channels: tuple[str, ...] = ("T1", "T2"),
    earlier_channels: tuple[str, ...] = ("T1", "T2"),
) -> tuple[Transfer, Mapping[str, Tensor], Mapping[str, Tensor], Mapping[str, Tensor]]:
    """A transfer, with the states of the earlier network, of the fresh one and of the filled one."""
    torch.manual_seed(0)
    earlier, network = UNet(given), UNet(wanted)
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    transfer = take_weights(
        network,
        earlier.state_dict(),
        channels=match_names(channels, earlier_channels, faces_alone=True),
        labels=match_names(labels, earlier_labels),
        axes=named_axes(UNet, wanted),
    )
    return transfer, earlier.state_dict(), fresh, network.state_dict()


def test_same_network_is_taken_whole() -> None:
    transfer, earlier, _, filled = take(config(), config())
    assert transfer.share == 1
    assert (transfer.partly, transfer.fresh, transfer.unused) == ({}, {}, ())
    assert all(torch.equal(filled[name], earlier[name]) for name in earlier)


@pytest.mark.parametrize("stride", [(1, 1, 1), (2, 2, 1)], ids=["plain head", "transposed head"])
def test_head_rows_follow_the_names_of_labels(stride: tuple[int, int, int]) -> None:
    strides = (stride, (2, 2, 2), (2, 2, 2))
    transfer, earlier, fresh, filled = take(
        config(strides=strides, deep_supervision=True),
        config(strides=strides, deep_supervision=True, out_channels=4),
        labels=("background", "spleen", "tumour", "liver"),
    )
    rows = {0: 0, 1: 2, 3: 1}
    for stage in (0, 1):
        weight = f"decoder.heads.{stage}.weight"
        axis = 1 if stage == 0 and max(stride) > 1 else 0
        for new, old in rows.items():
            assert torch.equal(filled[weight].select(axis, new), earlier[weight].select(axis, old))
            assert filled[weight.replace("weight", "bias")][new] == earlier[weight.replace("weight", "bias")][old]
        assert torch.equal(filled[weight].select(axis, 2), fresh[weight].select(axis, 2))
        assert weight in transfer.partly
    assert transfer.labels.new == ("tumour",)
    assert transfer.fresh == {}


def test_as_many_labels_of_other_names_start_fresh() -> None:
    labels = ("background", "left atrium", "aorta")
    transfer, earlier, fresh, filled = take(config(), config(), labels=labels)
    weight = "decoder.heads.0.weight"
    assert torch.equal(filled[weight][0], earlier[weight][0])
    assert torch.equal(filled[weight][1:], fresh[weight][1:])
    assert (transfer.labels.new, transfer.labels.unused) == (labels[1:], LABELS[1:])


@pytest.mark.parametrize(
    ("changes", "layers"),
    [
        ({}, ("first.0", "shortcut.0.0")),
        ({"block": "bottleneck"}, ("reduce.0", "shortcut.0.0")),
        ({"strides": ((2, 2, 2),) * 3}, ("first.0", "shortcut.1.0")),
        ({"block": "plain", "norm": "none"}, ("first.0",)),
    ],
)
def test_input_channels_follow_their_names(changes: dict[str, Any], layers: tuple[str, ...]) -> None:
    transfer, earlier, fresh, filled = take(
        config(**changes),
        config(**changes, in_channels=3),
        channels=("T2", "FLAIR", "T1"),
    )
    for layer in layers:
        weight = f"encoder.stages.0.0.{layer}.weight"
        assert torch.equal(filled[weight][:, 0], earlier[weight][:, 1])
        assert torch.equal(filled[weight][:, 2], earlier[weight][:, 0])
        assert torch.equal(filled[weight][:, 1], fresh[weight][:, 1])
        assert weight in transfer.partly
    assert transfer.channels.new == ("FLAIR",)
    assert set(transfer.partly) == {f"encoder.stages.0.0.{layer}.weight" for layer in layers}


def test_permuted_channels_of_the_same_number_change_place() -> None:
    transfer, earlier, _, filled = take(config(), config(), channels=("T2", "T1"))
    weight = "encoder.stages.0.0.first.0.weight"
    assert torch.equal(filled[weight], earlier[weight].flip(1))
    assert transfer.share == 1


def test_one_channel_faces_one_channel_whatever_their_names() -> None:
    one = config(in_channels=1)
    transfer, earlier, _, filled = take(one, one, channels=("CT",), earlier_channels=("MR",))
    assert transfer.channels.renamed == {"CT": "MR"}
    assert transfer.share == 1
    assert all(torch.equal(filled[name], earlier[name]) for name in earlier)


def test_two_channels_of_other_names_start_fresh() -> None:
    transfer, _, fresh, filled = take(config(), config(), channels=("CT", "PET"))
    weight = "encoder.stages.0.0.first.0.weight"
    assert torch.equal(filled[weight], fresh[weight])
    assert transfer.fresh[weight] == "no channels in common"
    assert transfer.channels.unused == ("T1", "T2")


def test_shortcut_that_only_one_network_has_starts_fresh() -> None:
    """With as many channels of the image as of the first stage, its shortcut is an identity."""
    names = ("T1", "T2", "PD", "DWI")
    transfer, earlier, _, filled = take(config(), config(in_channels=4), channels=names)
    assert "encoder.stages.0.0.shortcut.0.0.weight" in transfer.unused
    weight = "encoder.stages.0.0.first.0.weight"
    assert torch.equal(filled[weight][:, :2], earlier[weight])
    back, *_ = take(config(in_channels=4), config(in_channels=3), channels=names[:3], earlier_channels=names)
    assert back.fresh["encoder.stages.0.0.shortcut.0.0.weight"] == "not in the earlier network"
    assert weight in back.whole


def test_deeper_network_takes_the_stages_that_both_have() -> None:
    deeper = config(
        channels=(4, 8, 8, 8),
        strides=((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
        kernels=((3, 3, 3),) * 4,
        blocks=(1, 1, 1, 1),
        decoder_blocks=(1, 1, 1),
    )
    transfer, earlier, _, filled = take(config(), deeper)
    assert all(torch.equal(filled[name], earlier[name]) for name in earlier)
    assert {name.split(".")[2] for name in transfer.fresh if name.startswith("encoder")} == {"3"}
    assert 0.4 < transfer.share < 0.9
    assert transfer.taken == sum(tensor.numel() for tensor in earlier.values())


def test_other_kernels_start_fresh_and_say_both_shapes() -> None:
    flat = config(kernels=((3, 3, 1), (3, 3, 3), (3, 3, 3)))
    transfer, _, fresh, filled = take(flat, config())
    weight = "encoder.stages.0.0.second.0.weight"
    assert transfer.fresh[weight] == "has the shape (4, 4, 3, 3, 3), and (4, 4, 3, 3, 1) in the earlier network"
    assert torch.equal(filled[weight], fresh[weight])
    assert transfer.has_kernels


def test_norms_alone_are_no_kernels() -> None:
    flat = {"strides": ((1, 1), (2, 2), (2, 2)), "kernels": ((3, 3),) * 3}
    transfer, *_ = take(config(spatial_dims=2, **flat), config(), labels=("background", "a", "b"))
    assert transfer.taken > 0
    assert not transfer.has_kernels


def test_running_statistics_are_taken_but_are_no_parameters() -> None:
    transfer, earlier, _, filled = take(config(norm="batch"), config(norm="batch"))
    assert transfer.taken == transfer.parameters == sum(p.numel() for p in UNet(config(norm="batch")).parameters())
    name = "encoder.stages.0.0.first.1.running_mean"
    assert torch.equal(filled[name], earlier[name])


class Folded(nn.Module):
    """A head whose rows are two per label, in an order that only it knows."""

    def __init__(self, shape: NetworkConfig) -> None:
        super().__init__()
        self.head = nn.Linear(shape.in_channels, 2 * shape.out_channels)


def test_axis_of_unknown_order_is_taken_only_where_nothing_moves() -> None:
    earlier, network = Folded(config()), Folded(config())
    axes = named_axes(Folded, config())
    channels = match_names(("T1", "T2"), ("T1", "T2"))
    moved = take_weights(
        network, earlier.state_dict(), channels=channels, labels=match_names(LABELS[::-1], LABELS), axes=axes
    )
    assert moved.fresh["head.weight"] == "the order of its labels is not known"
    still = take_weights(
        network, earlier.state_dict(), channels=channels, labels=match_names(LABELS, LABELS), axes=axes
    )
    assert still.share == 1
