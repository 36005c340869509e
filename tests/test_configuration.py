from __future__ import annotations

from pathlib import Path

import pytest
from medseg.configuration import Config, parse_config, read_yaml
from medseg.errors import ConfigError
from pydantic import Field, ValidationError


class Optimiser(Config):
    learning_rate: float = Field(0.01, gt=0)
    momentum: float = 0.9


class Settings(Config):
    epochs: int
    optimiser: Optimiser = Optimiser()
    stages: tuple[Optimiser, ...] | None = None


def parse(content: object) -> Settings:
    return parse_config(Settings, content, source="train.yaml")


def test_defaults_fill_what_is_not_said() -> None:
    settings = parse({"epochs": 3, "optimiser": {"momentum": 0.5}})
    assert (settings.epochs, settings.optimiser.learning_rate, settings.optimiser.momentum) == (3, 0.01, 0.5)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="Instance is frozen"):
        parse({"epochs": 3}).epochs = 4  # type: ignore[misc]


def test_misspelt_key_is_refused_with_the_nearest_right_one() -> None:
    with pytest.raises(ConfigError, match=r"train\.yaml: unknown key 'epoch'; did you mean 'epochs'\?"):
        parse({"epochs": 3, "epoch": 4})


def test_misspelt_key_is_found_inside_nested_settings() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'optimiser\.learnin_rate'; did you mean 'learning_rate'"):
        parse({"epochs": 3, "optimiser": {"learnin_rate": 1}})


def test_misspelt_key_is_found_inside_an_optional_list() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'stages\.1\.momentun'; did you mean 'momentum'"):
        parse({"epochs": 3, "stages": [{}, {"momentun": 1}]})


def test_key_like_no_other_is_refused_with_all_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown key 'zzz'; known keys: epochs, optimiser, stages"):
        parse({"epochs": 3, "zzz": 1})


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"optimiser": {"learning_rate": -1, "momentum": "much"}})
    text = str(caught.value)
    assert "key 'epochs' is missing" in text
    assert "optimiser.learning_rate must hold: Input should be greater than 0, got -1" in text
    assert "optimiser.momentum must hold: Input should be a valid number" in text


def test_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(ConfigError, match=r"got 'x{76}\.\.\.$"):
        parse({"epochs": "x" * 500})


def test_yaml_mapping_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("epochs: 3\noptimiser:\n  momentum: 0.5\n", encoding="utf-8")
    assert read_yaml(path) == {"epochs": 3, "optimiser": {"momentum": 0.5}}


@pytest.mark.parametrize("text", ["epochs: [1, 2", "a: b: c", "!!python/object/apply:os.getcwd []"])
def test_text_that_is_not_plain_yaml_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="must be readable YAML"):
        read_yaml(path)


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(ConfigError, match="must be readable YAML"):
        read_yaml(path)


def test_missing_settings_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_yaml(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "kind"), [("- a\n- b\n", "list"), ("", "an empty file"), ("# nothing\n", "an empty file"), ("3", "int")]
)
def test_yaml_that_is_not_a_mapping_is_refused(tmp_path: Path, text: str, kind: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"must hold a mapping of keys, got {kind}"):
        read_yaml(path)


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("epochs: 3\nsteps: 2\nepochs: 4\n", "epochs", 3),
        ("optimiser:\n  momentum: 0.5\n  'momentum': 0.6\n", "momentum", 3),
        ("list:\n- {a: 1, b: 2, a: 1}\n", "a", 2),
    ],
)
def test_key_that_stands_twice_is_refused_with_its_line(tmp_path: Path, text: str, key: str, line: int) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"must hold each key once, got '{key}' again in line {line}; keep one"):
        read_yaml(path)


def test_keys_of_a_merged_mapping_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    text = "a: &a {k: 1, l: 1}\nb: &b {<<: *a, k: 2}\nc: {<<: *b, k: 3}\nd: {x: {<<: *b}, y: {<<: [*a, *b]}}\n"
    path.write_text(text, encoding="utf-8")
    assert read_yaml(path)["c"] == {"k": 3, "l": 1}
    assert read_yaml(path)["d"]["x"] == {"k": 2, "l": 1}


def test_name_without_its_unit_is_told_from_names_that_only_look_alike() -> None:
    class Entry(Config):
        image: str = ""
        age_years: float = 0

    with pytest.raises(ConfigError, match=r"unknown key 'age'; did you mean 'age_years'\?"):
        parse_config(Entry, {"age": 40}, source="entry")
