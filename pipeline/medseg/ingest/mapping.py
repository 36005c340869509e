"""The reviewable file that maps structures to labels and series to channels."""

from __future__ import annotations

import fnmatch
import re
import textwrap
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, model_validator

from medseg.configuration import Config, parse_config, read_yaml
from medseg.errors import ConfigError
from medseg.ingest.label_source import LabelSource
from medseg.ingest.quantity_rule import QuantityRule
from medseg.ingest.structure_name import normalised, proposed_label, spelt_out
from medseg.manifest.quantity_checks import is_quantity_name

LARGEST_VALUE = 65535
_BREAKS = re.compile("[\\x85\\u2028\\u2029]")
_PIECE = re.compile(r"\\[\\*]|\*|[^\\*]+|\\")
_HEADER = textwrap.dedent(
    """\
    # Which structure of the source becomes which label. Proposed by `medseg ingest` from the names that it found;
    # review it, edit it, and ingest again with this file as the mapping.
    #   labels: name in the dataset -> value, and the source's names. A name in full goes before one that is alike but
    #           for case, accents and separators, and that before one with * for anything (\\* is a star itself). Where
    #           structures overlap, the label that stands further down is drawn on top.
    #   ignore: names that are left out on purpose. A name that is found and stands nowhere fails its case.
    #   instances: true if every mask file, or every value of one, is an object of the only label.
    #   masks, images: patterns of files whose role neither their names nor their values tell, such as
    #     masks: ["*/reader1/*"]
    #     images: ["*_t2star*"]
    #   channels, reference: to make one case of several series of a study, for instance
    #     channels: [{name: CT, modality: CT}, {name: PET, modality: PT, description: "*AC*"}]
    #     reference: CT      # whose grid the others are resampled onto
    #     PET in a channel that is named for SUV, such as SUV or PET_SUV, becomes SUV by body weight
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


_MOST_OVERLAPPING = 8  # labels, whose combinations a byte holds


class ChannelRule(Config):
    """One channel of a multi-channel case.

    Attributes:
        name: Name in the dataset.
        modality: DICOM modality, such as MR; any if not given.
        description: Pattern of the series description or file name; any if not given.
        structure: Label whose mask is the channel, in place of a series; None for a series.
    """

    name: str = Field(min_length=1)
    modality: str | None = None
    description: str = "*"
    structure: str | None = Field(None, exclude_if=lambda named: named is None)


class Mapping(Config):
    """Labels of the source's structures, and channels of its series.

    Attributes:
        labels: Rule of each label by its name.
        ignore: Names of structures that are left out.
        instances: Whether mask files and their values stand for single objects of the only label.
        overlapping: Whether labels are kept as they overlap, as regions: each has the value 1, 2, 4, … by its place in
            the list, whatever its own, and a voxel of several labels the sum of theirs.
        masks: Patterns of the paths of files that are masks, below the source folder.
        images: Patterns of the paths of files that are images, though they may look like masks.
        channels: Channels of a case; empty if every series is a case of its own.
        reference: Channel whose grid the case has; the first if not given.
        label_from: Channel that the label is taken from; the reference if not given.
        group_by: Scope that the channels of a case share: one study, or one patient.
        quantities: Rule of each quantity that a network learns, by its name; empty for a dataset of labels.
    """

    labels: dict[str, LabelRule] = Field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    instances: bool = False
    overlapping: bool = Field(False, exclude_if=lambda kept: not kept)
    masks: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    channels: tuple[ChannelRule, ...] = ()
    reference: str | None = None
    label_from: str | None = None
    group_by: Literal["study", "patient"] = "study"
    quantities: dict[str, QuantityRule] = Field(default_factory=dict, exclude_if=lambda rules: not rules)

    @model_validator(mode="after")
    def _check(self) -> Mapping:
        values = [rule.value for rule in self.labels.values()]
        if len(set(values)) != len(values) or "background" in self.labels:
            raise ValueError("labels must have different values, and 'background' is always 0")
        named = [name for rule in self.labels.values() for name in dict.fromkeys(map(_composed, rule.names))]
        if len(set(named)) != len(named):
            twice = next(name for name in named if named.count(name) > 1)
            raise ValueError(f"a structure must be named under one label, got {twice!r} under two")
        if self.instances and len(self.labels) != 1:
            raise ValueError(f"instances need exactly one label, got {len(self.labels)}")
        if self.overlapping and (self.instances or not 0 < len(self.labels) <= _MOST_OVERLAPPING):
            got = "instances" if self.instances else len(self.labels)
            raise ValueError(f"overlapping takes from 1 to {_MOST_OVERLAPPING} labels and no instances, got {got}")
        names = [channel.name for channel in self.channels]
        if len(set(names)) != len(names):
            raise ValueError("channels must have different names")
        series = [channel.name for channel in self.series]
        for key in ("reference", "label_from"):
            named = getattr(self, key)
            if named is not None and named not in series:
                raise ValueError(f"{key} must be one of the channels {series}, got {named!r}")
        self._check_structures()
        return self

    def _check_structures(self) -> None:
        """Refuse channels of structures that no label stands for, or that stand before a series."""
        for channel in self.structures:
            if channel.structure not in self.labels:
                raise ValueError(
                    f"structure of channel {channel.name!r} must be one of the labels {list(self.labels)}, got "
                    f"{channel.structure!r}"
                )
            if channel.modality is not None or self.instances:
                raise ValueError(f"channel {channel.name!r} of a structure takes no modality, and no instances")
        if self.channels and (not self.series or self.channels[: len(self.series)] != self.series):
            raise ValueError("channels of structures must stand after at least one of a series")

    @property
    def series(self) -> tuple[ChannelRule, ...]:
        """Channels that are series."""
        return tuple(channel for channel in self.channels if channel.structure is None)

    @property
    def structures(self) -> tuple[ChannelRule, ...]:
        """Channels that are masks of a label, which stand after the series."""
        return tuple(channel for channel in self.channels if channel.structure is not None)

    @property
    def values(self) -> dict[str, tuple[int, ...]]:
        """Values of the label volumes that show each label; several where labels overlap."""
        if not self.overlapping:
            return {name: (rule.value,) for name, rule in self.labels.items()}
        codes = range(1, 1 << len(self.labels))
        return {name: tuple(code for code in codes if code >> place & 1) for place, name in enumerate(self.labels)}

    def label_of(self, structure: str) -> str | None:
        """The label of a structure; "" if it is ignored, None if the mapping does not name it.

        A name in full takes precedence over one that is alike but for case, accents and separators, and that over one
        with a star, whatever their order. A structure that is like the names of several labels has none of them.
        """
        rules = [*((label, rule.names) for label, rule in self.labels.items()), ("", self.ignore)]
        for fits in (_is_same, _is_alike):
            found = [label for label, patterns in rules if any(fits(structure, pattern) for pattern in patterns)]
            if found:
                return found[0] if len(found) == 1 else None
        starred = (label for label, patterns in rules if any(_fits(structure, pattern) for pattern in patterns))
        return next(starred, None)

    def confused(self, structures: Sequence[str]) -> tuple[str, str] | None:
        """Two structures of one object that are one only by a likeness; None if there are none.

        Args:
            structures: Names of the structures of one object.
        """
        by_name: dict[str, str] = {}
        patterns = [name for names in (*(rule.names for rule in self.labels.values()), self.ignore) for name in names]
        exact = {_composed(parts[0]) for parts in map(_parts, patterns) if len(parts) == 1}
        alike = {normalised(name) for name in exact}
        for structure in dict.fromkeys(structures):
            if normalised(structure) not in alike:
                continue
            other = by_name.setdefault(normalised(structure), structure)
            if other != structure and not {_composed(other), _composed(structure)} <= exact:
                return other, structure
        return None


def load_mapping(path: Path) -> Mapping:
    """Read a mapping.

    Raises:
        ConfigError: If the file is missing or wrong.
    """
    mapping = parse_config(Mapping, read_yaml(path), source=f"mapping {path.name}")
    wrong = [name for name in mapping.quantities if not is_quantity_name(name)]
    if wrong:
        raise ConfigError(
            f"mapping {path.name}: quantity names must be usable as folder names and no word of the tables, got "
            f"{wrong[0]!r}"
        )
    return mapping


def mapping_text(mapping: Mapping, *, doubtful: Sequence[str] = ()) -> str:
    """A mapping as YAML for review.

    Args:
        mapping: Mapping to write.
        doubtful: Names of structures of files that are masks by their few whole values, and not by their names.
    """
    content: dict[str, Any] = {
        "labels": {name: {"value": rule.value, "names": list(rule.names)} for name, rule in mapping.labels.items()},
        "ignore": list(mapping.ignore),
    }
    rest = mapping.model_dump(exclude={"labels", "ignore"}, exclude_defaults=True, mode="json")
    content |= {**rest, **({"group_by": mapping.group_by} if mapping.channels else {})}
    return (
        _HEADER
        + _question(doubtful)
        + yaml.dump(content, Dumper=_ExactDumper, allow_unicode=True, sort_keys=False, width=110)
    )


def _question(names: Sequence[str]) -> str:
    """A comment that asks a person about masks that only their values tell."""
    if not names:
        return ""
    listed = yaml.safe_dump(list(names), allow_unicode=True, default_flow_style=True, width=10_000).strip()
    return (
        "# Are these masks? Their files hold few whole values on a scan's grid, though their names do not say so:\n"
        f"#   {listed}\n"
        "# If not, add a pattern of their paths to images, or the names to ignore to leave them out.\n"
    )


class _ExactDumper(yaml.SafeDumper):
    """YAML in which the line breaks of other scripts survive; plain text would fold them into spaces."""


def _exact_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if _BREAKS.search(text) else None)


_ExactDumper.add_representer(str, _exact_text)


def propose_mapping(
    labels: Iterable[LabelSource], order: Sequence[str] = (), *, beside: Iterable[Collection[str]] = ()
) -> Mapping:
    """Propose one label for names that differ in case, language, order or modality, unless one object holds both.

    Args:
        labels: All labels of the source.
        order: Names of structures from the lowest to the topmost, where one would cover another; others may be left
            out.
        beside: Names of the structures of each image's mask files, which count as one object.
    """
    sources = [label.renamed(_composed) for label in labels if not label.refusal]
    objects = [frozenset(label.names) for label in sources]
    kept = _grouped([*objects, *(frozenset(map(_composed, names)) for names in beside)])
    own = {value: name for label in sources if not label.has_objects for value, name in (label.values or {}).items()}
    values = _values(sorted(kept, key=_natural), kept, own if not any(one.label_object for one in sources) else {})
    place = {_composed(name): number for number, name in enumerate(order, start=1)}
    rules = {
        label: LabelRule(value=values[label], names=tuple(sorted(map(_escaped, kept[label]))))
        for label in sorted(kept, key=values.__getitem__)
    }
    above = {label: max((place.get(name, 0) for name in kept[label]), default=0) for label in kept}
    ordered = {label: rules[label] for label in sorted(rules, key=lambda label: (above[label], values[label]))}
    return Mapping(labels=ordered, instances=len(rules) == 1 and any(label.has_objects for label in sources))


def _grouped(together: Sequence[frozenset[str]]) -> dict[str, set[str]]:
    """The names of each label: names that are alike, unless one object holds several of them."""
    groups: dict[str, set[str]] = defaultdict(set)
    for name in sorted(frozenset[str]().union(*together)):
        groups[proposed_label(name)].add(name)
    kept: dict[str, set[str]] = defaultdict(set)
    for label, members in groups.items():
        apart = _told_apart(members, together)
        for name in members:
            kept[apart.get(name) or label].add(name)
    return {_free_name(label, ()): members for label, members in kept.items()}


def _told_apart(members: set[str], together: Sequence[frozenset[str]]) -> dict[str, str]:
    """An own label for each of several names that are alike, where one object holds more than one; empty elsewhere.

    Spellings of one name stay together unless an object holds several of them too.
    """
    if not any(len(members & one) > 1 for one in together):
        return {}
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in sorted(members):
        spellings[normalised(name) or "structure"].append(name)
    apart: dict[str, str] = {}
    for label, names in spellings.items():
        is_apart = any(len(one.intersection(names)) > 1 for one in together)
        for name in names:
            apart[name] = _free_name(spelt_out(name), apart.values()) if is_apart else label
    return apart


def _free_name(label: str, taken: Collection[str]) -> str:
    """The name of a label, changed if it is taken or is the reserved `background`."""
    free = label = "background_structure" if label == "background" else label
    number = 2
    while free in taken:
        free, number = f"{label}_{number}", number + 1
    return free


def _values(labels: Sequence[str], names: dict[str, set[str]], own: dict[int, str]) -> dict[str, int]:
    """Values of the labels: those in the masks if all masks agree on them, numbers from 1 otherwise."""
    stored = {label: [value for value, name in own.items() if name in names[label]] for label in labels}
    if all(len(values) == 1 and values[0] <= LARGEST_VALUE for values in stored.values()):
        return {label: values[0] for label, values in stored.items()}
    return {label: value for value, label in enumerate(labels, start=1)}


def _natural(name: str) -> tuple[object, ...]:
    """Sort key that puts `value_10` after `value_9`."""
    parts = name.split("_")
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)


def _composed(name: str) -> str:
    """The name with each letter and its marks in one form, by which two spellings of one text are equal."""
    return unicodedata.normalize("NFC", name)


def _parts(pattern: str) -> list[str]:
    """The texts between the stars of a pattern; a star or backslash after a backslash stands for itself."""
    parts = [""]
    for piece in _PIECE.findall(pattern):
        if piece == "*":
            parts.append("")
        else:
            parts[-1] += piece[1:] if piece in ("\\*", "\\\\") else piece
    return parts


def _escaped(name: str) -> str:
    """The pattern that stands for a name and nothing else."""
    return name.replace("\\", "\\\\").replace("*", "\\*")


def _is_same(name: str, pattern: str) -> bool:
    parts = _parts(pattern)
    return len(parts) == 1 and _composed(name) == _composed(parts[0])


def _is_alike(name: str, pattern: str) -> bool:
    parts, plain = _parts(pattern), normalised(name)
    return len(parts) == 1 and plain == normalised(parts[0]) and bool(plain)


def _fits(name: str, pattern: str) -> bool:
    parts = _parts(pattern)
    return len(parts) > 1 and fnmatch.fnmatchcase(normalised(name), "*".join(map(normalised, parts)))
