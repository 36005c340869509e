"""Plans: every decision of a run in one file."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import yaml
from pydantic import Field, model_validator

from medseg.atomic import write_text
from medseg.configuration import Config, parse_config, read_yaml
from medseg.errors import ConfigError
from medseg.inference.segmentation import InferenceConfig
from medseg.networks.segmentation import AnyNetwork
from medseg.planning.expectation import Expectation
from medseg.planning.profile import DatasetProfile
from medseg.preprocess import PreprocessConfig
from medseg.training.segmentation import TrainingConfig
from medseg.training.segmentation.head.config import HeadConfig

_LINE_BREAKS = "\x85\u2028\u2029"  # of YAML, which reads them as spaces where they are not escaped
_LONGEST_KEY = 100


class PlanFile(Config):
    """Plan of any task.

    Attributes:
        verb: Command of medseg that takes the plan.
        dataset: Name of the dataset that the plan was made for.
        reasons: Reasons by the dotted names of the settings.
    """

    verb: ClassVar[str]

    dataset: str
    reasons: dict[str, str] = Field(default_factory=dict)


AnyPlan = TypeVar("AnyPlan", bound=PlanFile)


class Plan(PlanFile):
    """Settings of the stages that make a segmentation network.

    Attributes:
        preprocess: Grid and intensities.
        network: Shape of the network.
        training: Optimisation.
        inference: Sliding window.
        head: Classes that are trained beside the masks; None for masks alone.
        expected: What the plan is expected to need and to give; None where it was not made for a budget, or changed.
        fingerprint: Labels of the training cases, for the reader; None where they were not looked at.
    """

    verb = "train"

    preprocess: PreprocessConfig
    network: AnyNetwork
    training: TrainingConfig
    inference: InferenceConfig
    head: HeadConfig | None = Field(None, exclude_if=lambda head: head is None)
    expected: Expectation | None = Field(None, exclude_if=lambda expected: expected is None)
    fingerprint: DatasetProfile | None = Field(None, exclude_if=lambda profile: profile is None)

    @model_validator(mode="after")
    def _patches_fit_the_network(self) -> Self:
        start = self.training.coarse_start
        patches = {"training": self.training.patch_size, "inference": self.inference.patch_size}
        check_patches(self.network, patches | ({"training.coarse_start": start.patch_size} if start else {}))
        check_normalisation(self.network, self.preprocess)
        return self


def check_patches(network: AnyNetwork, patches: Mapping[str, tuple[int, int, int]]) -> None:
    """Hold patches to what a network can halve.

    Args:
        network: Network of a plan.
        patches: Sizes by the section of the plan.

    Raises:
        ValueError: If one does not fit; the message names it.
    """
    axes = network.spatial_dims
    for name, patch in patches.items():
        if axes == 2 and patch[2] != 1:
            raise ValueError(f"{name}.patch_size must end in 1 for a 2D network, got {patch}")
        if any(size % step for size, step in zip(patch[:axes], network.patch_multiple, strict=True)):
            raise ValueError(f"{name}.patch_size must be multiples of {network.patch_multiple}, got {patch}")
        coarsest = [math.ceil(size / step) for size, step in zip(patch[:axes], network.reduction, strict=True)]
        if math.prod(coarsest) == 1:
            raise ValueError(f"{name}.patch_size must leave more than one voxel at the coarsest stage, got {patch}")


def check_normalisation(network: AnyNetwork, preprocess: PreprocessConfig) -> None:
    """Hold the intensities of a plan to its network.

    Raises:
        ValueError: If their numbers of channels differ.
    """
    if len(preprocess.normalisation) != network.in_channels:
        raise ValueError(
            "preprocess.normalisation must have one entry per network.in_channels, "
            f"{network.in_channels}, got {len(preprocess.normalisation)}"
        )


class _FlowDumper(yaml.SafeDumper):
    """Writes lists on one line."""


_FlowDumper.add_representer(
    list, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)
)


def save_plan(plan: PlanFile, path: Path) -> None:
    """Write YAML in which every reasoned setting has its reason on the line above."""
    content = plan.model_dump(mode="json")
    reasons = content.pop("reasons")
    lines = [
        f"# medseg plan for {plan.dataset}. Change what you like and give it to `medseg {plan.verb}` as its plan.",
        "",
    ]
    for section, values in content.items():
        if not isinstance(values, dict):
            lines += [_dump({section: values})]
            continue
        if section == "expected":
            lines.append("# What the plan is expected to need and to give on the machine that it was made on.")
        if section == "fingerprint":
            lines.append("# The training cases, for the reader; no setting is read from here.")
        lines.append(f"{section}:")
        for key, value in values.items():
            reason = " ".join(reasons.get(f"{section}.{key}", "").split())  # names in it may hold line breaks
            lines += [f"  # {reason}"] if reason else []
            text = _one_line_each(key, value) if section == "fingerprint" else _dump({key: value})
            lines += ["  " + line for line in text.split("\n")]
    lines += ["# The reasons above once more, for programs.", _dump({"reasons": reasons})]
    write_text(path, "\n".join(lines).rstrip() + "\n")


def load_plan(path: Path) -> Plan:
    """Read a plan of `medseg train`.

    Raises:
        ConfigError: If it is missing or broken; a misspelt key comes with the nearest right one.
    """
    content = read_yaml(path)
    if "targets" in content and "slices" not in content:
        raise ConfigError(
            f"plan {path}: must be of masks, got one of quantities",
            remedy="give it to a training of quantities, or plan a dataset of labels",
        )
    return parse_config(Plan, content, source=f"plan {path}")


def load_plan_of(kind: type[AnyPlan], path: Path) -> AnyPlan:
    """Read a plan of a kind.

    Raises:
        ConfigError: If it is missing or broken.
    """
    return parse_config(kind, read_yaml(path), source=f"plan {path}")


def override_plan(plan: AnyPlan, changes: dict[str, Any], *, source: str) -> AnyPlan:
    """A plan with some settings changed.

    Args:
        plan: Plan before the changes.
        changes: Changed settings, in sections and keys as in plan.yaml.
        source: Origin of the changes, for reasons and messages.

    Raises:
        ConfigError: If a key or value is wrong.
    """
    content = _merged(_as_the_kind_asked(plan.model_dump(mode="json"), changes), changes)
    for section, values in changes.items():
        for key in values if isinstance(values, dict) and section != "reasons" else ():
            content["reasons"][f"{section}.{key}"] = f"set by {source}"
    training = changes.get("training")
    if isinstance(training, dict) and "extra_patches" in training:  # a whole, so that labels can be left out
        content["training"]["extra_patches"] = training["extra_patches"] or {}
    if not _keeps_expectation(changes):
        content.pop("expected", None)
    return parse_config(type(plan), content, source=source)


def _as_the_kind_asked(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The plan's content, of its network no more than every kind has if the changes name another kind."""
    network, asked = content.get("network", {}), changes.get("network")
    if "kind" not in network or not isinstance(asked, dict) or asked.get("kind", network["kind"]) == network["kind"]:
        return content
    kept = {key: network[key] for key in ("spatial_dims", "in_channels", "out_channels")}
    reasons = {key: why for key, why in content["reasons"].items() if not key.startswith("network.")}
    return content | {"network": kept, "reasons": reasons}


def _keeps_expectation(changes: dict[str, Any]) -> bool:
    """Whether a plan with some settings changed still needs and gives what was expected of it."""
    training = changes.get("training", {})
    return set(changes) <= {"training", "reasons"} and isinstance(training, dict) and set(training) <= {"seed"}


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        is_nested = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if is_nested else value
    return result


def plan_digest(plan: PlanFile) -> str:
    """SHA-256 over every setting, without the reasons, what is expected and what the training cases are like."""
    told = {"reasons": True, "expected": True, "fingerprint": True}
    content = plan.model_dump_json(exclude={**told, **_later_defaults(plan)})
    return hashlib.sha256(content.encode()).hexdigest()


def _later_defaults(plan: PlanFile) -> dict[str, set[str]]:
    """Settings that earlier plans do not have, where they are as those plans meant them: the digest stays the same."""
    if not isinstance(plan, Plan):
        return {}
    defaults: dict[str, dict[str, Any]] = {
        "network": {"kind": "unet", "skips": "concatenated"},
        "training": {"coarse_start": None},
    }
    return {
        section: {key for key, value in keys.items() if getattr(getattr(plan, section), key, None) == value}
        for section, keys in defaults.items()
    }


def _one_line_each(key: str, value: object) -> str:
    """YAML of a key; the entries of a mapping under it each stand on one line."""
    if not isinstance(value, dict):
        return _dump({key: value})
    entries = [f"  {_flow(name, entry)}" for name, entry in value.items()]
    return "\n".join([f"{key}:" if entries else f"{key}: {{}}", *entries])


def _flow(name: str, entry: object) -> str:
    """One line of YAML; JSON, which YAML takes too, where YAML's own form would need several."""
    text = json.dumps({name: entry}, ensure_ascii=False)[1:-1]
    for mark in _LINE_BREAKS:
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    if "\\" in text or len(name) > _LONGEST_KEY:
        return text
    options: dict[str, Any] = {"default_flow_style": True, "sort_keys": False, "allow_unicode": True, "width": 10_000}
    return str(yaml.safe_dump({name: entry}, **options)).strip()[1:-1]


def _dump(content: object) -> str:
    options: dict[str, Any] = {"Dumper": _FlowDumper, "sort_keys": False, "width": 10_000}
    text = yaml.dump(content, allow_unicode=True, **options)
    if any(mark in text for mark in _LINE_BREAKS):
        text = yaml.dump(content, allow_unicode=False, **options)
    return str(text).rstrip()
