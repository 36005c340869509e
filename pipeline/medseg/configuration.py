"""Typed, frozen settings, read from and written to YAML."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medseg.errors import ConfigError

Axis = Annotated[int, Field(ge=0, le=2)]  # of (i, j, k)
Voxels = Annotated[int, Field(ge=1)]


class Config(BaseModel):
    """Base of every settings model: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


AnyConfig = TypeVar("AnyConfig", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        ConfigError: If the file is missing, is not YAML or does not hold a mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"settings {path}: must be readable YAML, got {error}", remedy="fix the file or leave it out"
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(f"settings {path}: must hold a mapping of keys, got {type(content).__name__}")
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
        where = ".".join(str(part) for part in problem["loc"]) or "content"
        if problem["type"] == "extra_forbidden":
            clauses.append(f"unknown key {where!r}{_suggestion(kind, problem['loc'])}")
        elif problem["type"] == "missing":
            clauses.append(f"key {where!r} is missing")
        elif problem["type"] == "value_error":
            clauses.append(f"{where}: {problem['ctx']['error']}")
        else:
            clauses.append(f"{where} must hold: {problem['msg']}, got {_short(problem['input'])}")
    return clauses


def _suggestion(kind: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """The nearest right key for an unknown one, or all keys where none is near."""
    model: Any = kind
    for part in location[:-1]:
        if isinstance(part, str) and model is not None and part in model.model_fields:
            model = _model_within(model.model_fields[part].annotation)
    if model is None:
        return ""
    known = [field.alias or name for name, field in model.model_fields.items()]
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
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


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
