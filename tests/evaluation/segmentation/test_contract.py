"""The contract: what it refuses, what its digest sees, and what it says of a difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from medseg.errors import ConfigError
from medseg.evaluation.segmentation import EvaluationContract, contract_differences, contract_file, load_contract
from pydantic import ValidationError

LABELS = {"liver": 1, "tumour": 2}


def written(folder: Path, text: str) -> Path:
    path = folder / "contract.yaml"
    path.write_text(text)
    return path


def test_contract_of_a_file_has_the_defaults_of_what_it_leaves_out(tmp_path: Path) -> None:
    contract = load_contract(written(tmp_path, "tolerances_mm: [2.0]\n"))
    assert contract == EvaluationContract(tolerances_mm=(2.0,))
    assert contract.bound_to(LABELS).structures == {"liver": (1,), "tumour": (2,)}


def test_digest_does_not_depend_on_the_order_of_keys_but_on_every_value(tmp_path: Path) -> None:
    one = load_contract(written(tmp_path, "both_empty: perfect\nmetrics: [dice]\n"))
    other = load_contract(written(tmp_path, "metrics: [dice]\nboth_empty: perfect\n"))
    assert one.digest == other.digest
    changes: list[dict[str, Any]] = [
        {"metrics": ("dice", "iou")},
        {"one_empty": "left out"},
        {"tolerances_mm": (2.0,)},
        {"labels": LABELS},
        {"match_iou": 0.6},
    ]
    digests = {one.model_copy(update=change).digest for change in changes}
    assert len(digests | {one.digest}) == len(changes) + 1


def test_difference_is_told_setting_by_setting() -> None:
    one = EvaluationContract(labels=LABELS)
    other = EvaluationContract(labels=LABELS, tolerances_mm=(2.0,), both_empty="perfect")
    assert contract_differences(one, one) == []
    assert contract_differences(one, other) == [
        "tolerances_mm: [1.0, 3.0] against [2.0]",
        "both_empty: left out against perfect",
    ]


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("metrics: [dice, dice]\n", "must name each once"),
        (
            "metrics: [dices]\n",
            r"metrics must be a list of metrics among dice, .*, got 'dices'; did you mean 'dice'\?$",
        ),
        (
            "metrics: dice\n",
            r"metrics must be a list of metrics among dice, .*, got 'dice'; did you mean \[dice\]\?$",
        ),
        ("metrics: [dice]\nboth_empty: perfect\nmetrics: [iou]\n", "once, got 'metrics' again in line 3; keep one"),
        ("tolerances_by_structure_mm: {liver: [1.0], liver: [2.0]}\n", "once, got 'liver' again in line 1; keep one"),
        ("tolerances_mm: [true]\n", "tolerances_mm must be a list of distances above 0 in millimetres, .*, got True$"),
        ("tolerances_by_structure_mm: {a: [true]}\n", "must give a list of distances .* by structure, .*, got True$"),
        ("labels: {liver: true}\n", "labels must give the value of each label by its name, .*, got True$"),
        ("regions: {whole: [a, a]}\n", r"regions: whole must join each label once, got \['a', 'a'\]$"),
        ("", "must hold a mapping of keys, got an empty file; write a line `key: value` for each, or leave the file"),
        ("tolerances_mm: [0]\n", r"tolerances_mm must be a list of distances above 0 in millimetres, .*, got 0$"),
        ("tolerances_mm: 2\n", r"tolerances_mm must be a list of distances .* such as \[1.0, 3.0\], got 2$"),
        ("tolerances_by_structure_mm: {liver: 2}\n", "must give a list of distances .* by structure, .*, got 2$"),
        ("labels: [liver]\n", r"labels must give the value of each label by its name, such as .*, got \['liver'\]$"),
        ("regions: {whole: liver}\n", "regions must give the labels of each region by its name, .*, got 'liver'$"),
        ("objects: liver\n", "objects must be a list of labels and regions, such as .*, got 'liver'$"),
        ("both_empty: left_out\n", r"must be 'left out' or 'perfect', got 'left_out'; did you mean 'left out'\?$"),
        ("one_empty: perfect\n", "one_empty must be 'worst' or 'left out', got 'perfect'$"),
        ("version: 2\n", "version must be 1, got 2$"),
        ("aggregation: structures\n", "aggregation must be 'cases, then structures', got 'structures'$"),
        (
            "metrics: [hd]\nmatch_iou: high\n",
            "metrics must .*; match_iou must be a number from 0.5 to below 1, got 'high'",
        ),
        ("- dice\n", r"^contract .*contract.yaml: must hold a mapping of keys, got list; write a line"),
        ("metrics: [\n", "^contract .*contract.yaml: must be readable YAML"),
        ("toleranecs_mm: [1]\n", "did you mean 'tolerances_mm'"),
        ("match_iou: 0.3\n", "match_iou"),
        ("labels: {liver: 1}\nregions: {liver: [liver]}\n", "names of their own"),
        ("labels: {liver: 1}\nregions: {whole: [liver, spleen]}\n", "must join labels"),
        ("labels: {liver: 1}\nobjects: [lesion]\n", "objects must name labels or regions"),
        ("labels: {}\n", "at least one label"),
        ("tolerances_mm: [1.0, 1.0000001]\n", "differ in six digits"),
        ("tolerances_mm: []\n", "at least one"),
        ("regions: {mean: [liver]}\n", "must not be called 'mean'"),
    ],
)
def test_contract_that_cannot_be_is_refused(tmp_path: Path, text: str, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact) as raised:
        load_contract(written(tmp_path, text))
    assert str(raised.value).startswith(f"contract {tmp_path / 'contract.yaml'}: ")
    for word in ("settings", "tuple", "Input should"):
        assert word not in str(raised.value)


def test_every_key_of_a_contract_has_its_rule_in_words() -> None:
    assert contract_file._RULES.keys() == EvaluationContract.model_fields.keys()


def test_region_of_a_label_that_the_manifest_lacks_is_refused_when_it_is_bound() -> None:
    contract = EvaluationContract(regions={"whole": ("liver", "spleen")})
    with pytest.raises(ConfigError, match=r"^contract: .*must join labels"):
        contract.bound_to(LABELS)
    with pytest.raises(ConfigError, match=r"^contract here\.yaml: .*must join labels"):
        contract.bound_to(LABELS, source="contract here.yaml")
    with pytest.raises(ConfigError, match="leave labels out"):
        EvaluationContract(labels={"liver": 2}).bound_to(LABELS)


def test_regions_alone_are_measured_and_may_be_called_as_labels_are() -> None:
    contract = EvaluationContract(labels={"edge": 1, "core": 2}, regions={"core": ("core",)}, measured="regions")
    assert contract.structures == {"core": (2,)}
    with pytest.raises(ValidationError, match="regions must have names of their own, got 'core', which is a label"):
        EvaluationContract(labels={"edge": 1, "core": 2}, regions={"core": ("core",)})
    with pytest.raises(ValidationError, match="regions must be there where they alone are measured, got none"):
        EvaluationContract(labels={"edge": 1}, measured="regions")


def test_earlier_contracts_keep_their_content() -> None:
    assert "measured" not in EvaluationContract().model_dump(mode="json")
