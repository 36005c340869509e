"""Typed, frozen settings, read from and written to YAML."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, Tag, ValidationError

from medseg.errors import ConfigError

Axis = Annotated[int, Field(ge=0, le=2)]  # of (i, j, k)
Voxels = Annotated[int, Field(ge=1)]


class Config(BaseModel):
    """Base of every settings model: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


AnyConfig = TypeVar("AnyConfig", bound=BaseModel)


def read_yaml(path: Path, *, what: str = "settings") -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Args:
        path: File to read.
        what: What the file is, for the message.

    Raises:
        ConfigError: If the file is missing, is not YAML, does not hold a mapping or holds a key twice.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LoaderOfUniqueKeys)  # noqa: S506  # it is safe
    except _RepeatedKeyError as error:
        raise ConfigError(
            f"{what} {path}: must hold each key once, got {error}", remedy="keep one of the two"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{what} {path}: must be readable YAML, got {error}", remedy="fix the file or leave it out"
        ) from error
    if not isinstance(content, dict):
        found = "an empty file" if content is None else type(content).__name__
        raise ConfigError(
            f"{what} {path}: must hold a mapping of keys, got {found}",
            remedy="write a line `key: value` for each, or leave the file out",
        )
    return content


def parse_config(kind: type[AnyConfig], content: Any, *, source: str) -> AnyConfig:
    """Check a mapping against a settings model.

    Args:
        kind: Settings model.
        content: Content to check, as it was read.
        source: Name of the file or option, for the message.

    Raises:
        ConfigError: If keys or values are wrong; all are listed, an unknown key with the nearest right one.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{source}: " + "; ".join(describe_problems(kind, error))) from error


def describe_problems(kind: type[BaseModel], error: ValidationError) -> list[str]:
    """One readable clause per problem of a validation error."""
    clauses = []
    for problem in error.errors():
        place = _place_of(kind, problem["loc"])
        where = ".".join(place.names) or "content"
        if problem["type"] == "extra_forbidden":
            clauses.append(f"unknown key {where!r}{_suggestion(place)}")
        elif problem["type"] == "missing":
            clauses.append(f"key {where!r} is missing")
        elif problem["type"] == "value_error":
            fact = str(problem["ctx"]["error"])
            clauses.append(f"{where}: {fact}" if place.names else fact)
        elif problem["type"] == "union_tag_invalid":
            clauses.append(f"{where}.kind must be one of {', '.join(place.kinds)}, got {_short(problem['ctx']['tag'])}")
        else:
            clauses.append(f"{where} must hold: {problem['msg']}, got {_short(problem['input'])}")
    return clauses


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a settings model a problem lies.

    Attributes:
        names: Keys that lead there; the tags that pydantic puts among them are left out.
        holder: Settings model that the last key belongs to.
        kinds: Settings models by their tags, if the last key holds one of several.
    """

    names: tuple[str, ...]
    holder: type[BaseModel]
    kinds: dict[str, type[BaseModel]]


def _place_of(kind: type[BaseModel], location: tuple[int | str, ...]) -> _Place:
    names: list[str] = []
    holder, inside, kinds = kind, kind, dict[str, type[BaseModel]]()
    for part in location:
        if part in kinds:
            inside, kinds = kinds[str(part)], {}
            continue
        names.append(str(part))
        holder = inside
        if isinstance(part, str) and part in inside.model_fields:
            annotation = inside.model_fields[part].annotation
            inside, kinds = _model_within(annotation) or inside, _tagged_models(annotation)
    return _Place(tuple(names), holder, kinds)


def _suggestion(place: _Place) -> str:
    """The nearest right key for an unknown one, or all keys where none is near."""
    known = [field.alias or name for name, field in place.holder.model_fields.items()]
    longer = [name for name in known if name.startswith(f"{place.names[-1]}_")]  # as `age_years` of `age`
    near = longer or difflib.get_close_matches(place.names[-1], known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(known)}"


def _model_within(annotation: Any) -> type[BaseModel] | None:
    """The settings model inside an annotation such as `tuple[Model, ...] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        found = _model_within(inner)
        if found is not None:
            return found
    return None


def _tagged_models(annotation: Any) -> dict[str, type[BaseModel]]:
    """The settings models inside an annotation by the tags of a discriminated union; none without such a union."""
    tags = [item.tag for item in getattr(annotation, "__metadata__", ()) if isinstance(item, Tag)]
    model = _model_within(annotation) if tags else None
    if model is not None:
        return {tags[0]: model}
    return {tag: model for inner in get_args(annotation) for tag, model in _tagged_models(inner).items()}


class _RepeatedKeyError(yaml.YAMLError):
    """A mapping in a YAML file that holds a key twice, of which plain YAML readers keep the last."""


class _LoaderOfUniqueKeys(yaml.SafeLoader):
    """The loader of plain values, which refuses a key that stands twice in one mapping."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set[tuple[str, str]]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                raise _RepeatedKeyError(f"{key.value!r} again in line {key.start_mark.line + 1}")
            seen.add((key.tag, str(key.value)))
        return node


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
