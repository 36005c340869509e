"""`model.json`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from medseg.errors import CheckpointError
from medseg.inference.segmentation import ModelCard, load_card, save_card

from tests.networks.segmentation.small_nets import KINDS, small_net

CardBuilder = Callable[..., ModelCard]


LEFT_OUT = {
    "own_network", "initialised_from", "mlflow_run_id", "cost", "training_statistics", "precision", "precision_check",
    "postprocessing", "regions", "regions_order", "head",
}  # fmt: skip
"""Fields that are written only where there is something to say."""


def test_card_comes_back_as_it_went(build_card: CardBuilder, tmp_path: Path) -> None:
    card = build_card(labels={"Milz – links": 2, "background": 0, "Leber": 1})
    save_card(card, tmp_path)
    assert load_card(tmp_path) == card


def test_values_are_in_rising_order_whatever_the_order_of_names(build_card: CardBuilder) -> None:
    assert build_card(labels={"b": 9, "background": 0, "a": 4}).target.values == (0, 4, 9)


def test_file_is_plain_json_with_everything_in_it(build_card: CardBuilder, tmp_path: Path) -> None:
    save_card(build_card(), tmp_path)
    content = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    assert content["labels"] == {"background": 0, "spleen": 3, "liver": 7}
    assert content["network"]["channels"] == [4, 8]
    assert content["trained_on"] == ["seen"]
    assert set(content) == set(ModelCard.model_fields) - LEFT_OUT


def test_network_of_the_users_own_is_named_in_the_file(build_card: CardBuilder, tmp_path: Path) -> None:
    save_card(build_card(own_network="nets.mine"), tmp_path)
    content = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    assert set(content) == set(ModelCard.model_fields) - LEFT_OUT | {"own_network"}
    assert load_card(tmp_path).own_network == content["own_network"] == "nets.mine"


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("{", "must be readable"),
        ("[]", "must be readable"),
        ("{}", "key 'labels' is missing"),
        ("\x00\xff", "must be readable"),
    ],
)
def test_broken_card_is_refused(tmp_path: Path, text: str, phrase: str) -> None:
    (tmp_path / "model.json").write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match=phrase):
        load_card(tmp_path)


def test_unknown_key_comes_with_the_nearest_right_one(build_card: CardBuilder, tmp_path: Path) -> None:
    content = build_card().model_dump(mode="json")
    content["lables"] = content["labels"]
    (tmp_path / "model.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CheckpointError, match="did you mean 'labels'"):
        load_card(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_card_of_a_network_of_any_kind_comes_back(build_card: CardBuilder, tmp_path: Path, kind: str) -> None:
    card = build_card(network=small_net(kind))
    save_card(card, tmp_path)
    assert load_card(tmp_path) == card
    assert json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))["network"]["kind"] == kind


def test_card_without_a_kind_is_of_our_unet(build_card: CardBuilder, tmp_path: Path) -> None:
    save_card(build_card(), tmp_path)
    content = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    del content["network"]["kind"]
    (tmp_path / "model.json").write_text(json.dumps(content), encoding="utf-8")
    assert load_card(tmp_path) == build_card()


def test_card_of_an_unknown_network_names_the_known_ones(build_card: CardBuilder, tmp_path: Path) -> None:
    save_card(build_card(), tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"unet"', '"newnet"'), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"network\.kind must be one of unet, dynunet, .*, got 'newnet'"):
        load_card(tmp_path)
