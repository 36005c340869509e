"""One thing that a run logs, in a form that can be kept in a file and sent later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["parameters", "metrics", "tags", "file", "table", "dataset", "model", "used_model", "status"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a run logs.

    Attributes:
        kind: Kind of the entry, which decides the keys of its content.
        content: JSON content; times are in milliseconds since 1970, as MLflow counts them, and are those of the event,
            so that an entry that is sent late, or twice, says the same.
    """

    kind: Kind
    content: Mapping[str, Any]
