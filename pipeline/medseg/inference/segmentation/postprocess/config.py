"""The rules by which a mask is changed after it is decided, as a model's card holds them."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from medseg.configuration import Config


class StructureRule(Config):
    """What is done to one structure; parts are removed before holes are filled.

    Attributes:
        structure: Name of the structure.
        keep_largest: Whether its largest part alone is kept; of two that are alike, the one that comes first.
        smallest_ml: Volume below which a part is removed, in millilitres; None if every part is kept.
        fill_holes: Whether background that the structure encloses on all sides becomes part of it.
    """

    structure: str
    keep_largest: bool = False
    smallest_ml: float | None = Field(None, gt=0, allow_inf_nan=False)
    fill_holes: bool = False

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.keep_largest and self.smallest_ml is not None:
            raise ValueError("keep_largest and smallest_ml exclude each other: one part is left by the first")
        if not (self.keep_largest or self.smallest_ml is not None or self.fill_holes):
            raise ValueError(f"the rule of {self.structure} must do something, got none of its choices")
        return self

    def __str__(self) -> str:
        """The rule in words."""
        steps = ["keep the largest part"] if self.keep_largest else []
        steps += [f"remove parts below {self.smallest_ml:.3g} ml"] if self.smallest_ml is not None else []
        return " and ".join([*steps, *(["fill holes"] if self.fill_holes else [])])


class Postprocessing(Config):
    """Rules of the structures of a mask, which are carried out in their order on the scan's own grid.

    Attributes:
        structures: A rule for each structure that is changed.
    """

    structures: tuple[StructureRule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_rule_each(self) -> Self:
        names = [rule.structure for rule in self.structures]
        if len(set(names)) < len(names):
            raise ValueError(f"structures must have one rule each, got {names}")
        return self

    def __str__(self) -> str:
        """All rules in words."""
        return "; ".join(f"{rule.structure}: {rule}" for rule in self.structures)
