"""The reviewable file that maps structures to labels and series to channels."""

from __future__ import annotations

import fnmatch
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, model_validator

from medseg.configuration import Config, parse_config, read_yaml
from medseg.ingest.label_source import LabelSource
from medseg.ingest.structure_name import normalised, proposed_label

LARGEST_VALUE = 65535
_HEADER = textwrap.dedent(
    """\
    # Which structure of the source becomes which label. Proposed by `medseg ingest` from the names that it found;
    # review it, edit it, and ingest again with this file as the mapping.
    #   labels: name in the dataset -> value, and the source's names (case, accents and _ do not matter; * stands for
    #           anything). Where structures overlap, the label that stands further down is drawn on top.
    #   ignore: names that are left out on purpose. A name that is found and stands nowhere fails its case.
    #   channels, reference: to make one case of several series of a study, for instance
    #     channels: [{name: CT, modality: CT}, {name: PET, modality: PT, description: "*AC*"}]
    #     reference: CT      # whose grid the others are resampled onto
    #     label_from: CT     # whose label is the case's
    """
)


class LabelRule(Config):
    """One label.

    Attributes:
        value: Value in the label volumes.
        names: Names of its structures in the source.
    """

    value: int = Field(ge=1, le=LARGEST_VALUE)
    names: tuple[str, ...] = Field(min_length=1)


class ChannelRule(Config):
    """One channel of a multi-channel case.

    Attributes:
        name: Name in the dataset.
        modality: DICOM modality, such as MR; any if not given.
        description: Pattern of the series description or file name; any if not given.
    """

    name: str = Field(min_length=1)
    modality: str | None = None
    description: str = "*"


class Mapping(Config):
    """Labels of the source's structures, and channels of its series.

    Attributes:
        labels: Rule of each label by its name.
        ignore: Names of structures that are left out.
        instances: Whether mask values number single objects of the only label.
        channels: Channels of a case; empty if every series is a case of its own.
        reference: Channel whose grid the case has; the first if not given.
        label_from: Channel that the label is taken from; the reference if not given.
        group_by: Scope that the channels of a case share: one study, or one patient.
    """

    labels: dict[str, LabelRule] = Field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    instances: bool = False
    channels: tuple[ChannelRule, ...] = ()
    reference: str | None = None
    label_from: str | None = None
    group_by: Literal["study", "patient"] = "study"

    @model_validator(mode="after")
    def _check(self) -> Mapping:
        values = [rule.value for rule in self.labels.values()]
        if len(set(values)) != len(values) or "background" in self.labels:
            raise ValueError("labels must have different values, and 'background' is always 0")
        spelt = [
            normalised(name)
            for rule in self.labels.values()
            for name in {normalised(n): n for n in rule.names}.values()
        ]
        if len(set(spelt)) != len(spelt):
            twice = next(name for name in spelt if spelt.count(name) > 1)
            raise ValueError(f"a structure must be named under one label, got {twice!r} under two")
        if self.instances and len(self.labels) != 1:
            raise ValueError(f"instances need exactly one label, got {len(self.labels)}")
        names = [channel.name for channel in self.channels]
        if len(set(names)) != len(names):
            raise ValueError("channels must have different names")
        for key in ("reference", "label_from"):
            named = getattr(self, key)
            if named is not None and named not in names:
                raise ValueError(f"{key} must be one of the channels {names}, got {named!r}")
        return self

    def label_of(self, structure: str) -> str | None:
        """The label of a structure; "" if it is ignored, None if it is not named.

        A name in full takes precedence over one with a star, whatever their order.
        """
        name = normalised(structure)
        rules = [*((label, rule.names) for label, rule in self.labels.items()), ("", self.ignore)]
        for fits in (_is_same, _fits):
            for label, patterns in rules:
                if any(fits(name, pattern) for pattern in patterns):
                    return label
        return None


def load_mapping(path: Path) -> Mapping:
    """Read a mapping.

    Raises:
        ConfigError: If the file is missing or wrong.
    """
    return parse_config(Mapping, read_yaml(path), source=f"mapping {path.name}")


def mapping_text(mapping: Mapping) -> str:
    """A mapping as YAML for review."""
    content: dict[str, Any] = {
        "labels": {name: {"value": rule.value, "names": list(rule.names)} for name, rule in mapping.labels.items()},
        "ignore": list(mapping.ignore),
    }
    if mapping.instances:
        content["instances"] = True
    if mapping.channels:
        content |= mapping.model_dump(exclude={"labels", "ignore", "instances"}, exclude_none=True, mode="json")
    return _HEADER + yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=110)


def propose_mapping(labels: Iterable[LabelSource]) -> Mapping:
    """Propose one label for names that differ in case, language, order or modality, unless one object holds both.

    Args:
        labels: All labels of the source.
    """
    sources = [label for label in labels if not label.refusal]
    together = [_spellings(label.names) for label in sources]
    groups: dict[str, set[str]] = defaultdict(set)
    for names in together:
        for name in names:
            groups[proposed_label(name)].add(name)
    kept: dict[str, set[str]] = defaultdict(set)
    for label, members in groups.items():
        is_apart = any(len(members & one) > 1 for one in together)
        for name in members:
            kept[_free_name((normalised(name) or "structure") if is_apart else label)].add(name)
    own = {value: name for label in sources for value, name in (label.values or {}).items()}
    values = _values(sorted(kept, key=_natural), kept, own if not any(one.label_object for one in sources) else {})
    rules = {
        label: LabelRule(value=values[label], names=tuple(sorted({name.replace("*", " ") for name in kept[label]})))
        for label in sorted(kept, key=values.__getitem__)
    }
    return Mapping(labels=rules, instances=len(rules) == 1 and any(label.has_objects for label in sources))


def _free_name(label: str) -> str:
    """The name of a label, changed if it is the reserved `background`."""
    return "background_structure" if label == "background" else label


def _values(labels: Sequence[str], names: dict[str, set[str]], own: dict[int, str]) -> dict[str, int]:
    """Values of the labels: those in the masks if all masks agree on them, numbers from 1 otherwise."""
    stored = {label: [value for value, name in own.items() if name in names[label]] for label in labels}
    if all(len(values) == 1 and values[0] <= LARGEST_VALUE for values in stored.values()):
        return {label: values[0] for label, values in stored.items()}
    return {label: value for value, label in enumerate(labels, start=1)}


def _spellings(names: Sequence[str]) -> frozenset[str]:
    """Names of one object, one per normalised spelling."""
    return frozenset({normalised(name): name for name in names}.values())


def _natural(name: str) -> tuple[object, ...]:
    """Sort key that puts `value_10` after `value_9`."""
    parts = name.split("_")
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)


def _is_same(name: str, pattern: str) -> bool:
    return "*" not in pattern and name == normalised(pattern)


def _fits(name: str, pattern: str) -> bool:
    starred = "*".join(normalised(part) for part in pattern.split("*"))
    return fnmatch.fnmatchcase(name, starred)
