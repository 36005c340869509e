"""What decides a mask beside its scan: a folder of masks is of one model and one choice of settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Self

from medseg.configuration import Config
from medseg.inference.model_identity import ModelIdentity

DRAWING_VERSION = 1
"""Number that is raised whenever the same model draws another mask of the same scan than before."""

Choice = str | float | bool | None


class MaskSettings(Config):
    """What decides a mask beside its scan.

    Attributes:
        weights: SHA-256 of the weights of each network; of the plan where the weights are of no file.
        labels: Value of each label by name.
        choices: Choices of the prediction by name, such as the weights of a gate and its sensitivity.
        drawing: Version of how masks are drawn.
    """

    weights: tuple[str, ...]
    labels: dict[str, int]
    choices: dict[str, Choice]
    drawing: int

    @classmethod
    def of(cls, models: Sequence[ModelIdentity], labels: Mapping[str, int], choices: Mapping[str, Choice]) -> Self:
        """The settings of some models and choices."""
        weights = tuple(model.weights_digest or model.plan_digest for model in models)
        return cls(weights=weights, labels=dict(labels), choices=dict(choices), drawing=DRAWING_VERSION)

    @property
    def digest(self) -> str:
        """SHA-256 of the settings."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def difference(self, other: MaskSettings) -> str:
        """First thing in which other settings differ, in words; "" for nothing."""
        if self.weights != other.weights:
            return f"another model, of weights {_short(other.weights)} and not {_short(self.weights)}"
        if self.labels != other.labels:
            return f"labels {other.labels} and not {self.labels}"
        for name in sorted({*self.choices, *other.choices}):
            ours, theirs = self.choices.get(name), other.choices.get(name)
            if ours != theirs:
                return f"another choice of {name}, {_in_words(theirs)} and not {_in_words(ours)}"
        return "" if self.drawing == other.drawing else "masks as another version of medseg draws them"


def _in_words(choice: Choice) -> str:
    """A choice for people; digests by their beginning."""
    if choice is None or isinstance(choice, bool):
        return "on" if choice else "off"
    return str(choice)[:12]


def _short(weights: Sequence[str]) -> str:
    return ", ".join(digest[:12] for digest in weights)
