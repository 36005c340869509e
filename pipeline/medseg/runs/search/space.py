"""What a search may change in a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from medseg.configuration import Config
from medseg.planning import NetworkName, Plan, PresetName
from medseg.planning.augmentation import Strength

Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Choice = Mapping[str, Any]
"""Values of a trial by the names of the space."""

_LOGARITHMIC = ("learning_rate_factor", "weight_decay_factor", "dice_weight")


class Span(Config):
    """A range of numbers.

    Attributes:
        low: Smallest value.
        high: Largest value.
    """

    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low:g} and {self.high:g}")
        return self


class SearchSpace(Config):
    """Ranges and lists of what the trials try; a range of null or an empty list leaves a setting as it is planned.

    Factors are on what the plan holds, so that 1 is the plan. What needs another grid or network (`spacing_factor`,
    `preset`, `network`) is planned anew by the planner, and the other changes are made to that plan.

    Attributes:
        learning_rate_factor: Range of the factor on the learning rate, on a logarithmic scale.
        weight_decay_factor: Range of the factor on the weight decay, on a logarithmic scale.
        batch_factor: Factors on the patches per step.
        patch_factor: Factors on each side of the patch.
        spacing_factor: Factors on each side of the voxels of the network's grid; of volumes only.
        width_factor: Factors on the feature channels, where the plan names those of each stage.
        foreground_share: Range of the share of patches that are centred on a label.
        dice_weight: Range of the weight of the Dice loss beside the cross-entropy, on a logarithmic scale.
        augmentation: How strongly patches are changed, against the plan.
        preset: Names of sizes of network, patch and batch.
        network: Names of networks.
    """

    learning_rate_factor: Span | None = Span(low=0.25, high=4.0)
    weight_decay_factor: Span | None = None
    batch_factor: tuple[Factor, ...] = (0.5, 1.0, 2.0)
    patch_factor: tuple[Factor, ...] = (0.75, 1.0, 1.25)
    spacing_factor: tuple[Factor, ...] = (0.8, 1.0, 1.25)
    width_factor: tuple[Factor, ...] = (0.75, 1.0, 1.5)
    foreground_share: Span | None = Span(low=0.2, high=0.9)
    dice_weight: Span | None = Span(low=0.25, high=4.0)
    augmentation: tuple[Strength, ...] = ("weaker", "planned", "stronger")
    preset: tuple[PresetName, ...] = ()
    network: tuple[NetworkName, ...] = ()

    @model_validator(mode="after")
    def _ranges_have_a_meaning(self) -> Self:
        for name in _LOGARITHMIC:
            span = getattr(self, name)
            if span is not None and span.low <= 0:
                raise ValueError(f"{name}.low must be above 0, got {span.low:g}")
        share = self.foreground_share
        if share is not None and not 0 <= share.low < share.high <= 1:
            raise ValueError(f"foreground_share must be within 0 and 1, got {share.low:g} to {share.high:g}")
        lists = {name: values for name, values in self if isinstance(values, tuple)}
        twice = next((name for name, values in lists.items() if len(set(values)) < len(values)), None)
        if twice is not None:
            raise ValueError(f"{twice} must name each value once, got {list(lists[twice])}")
        return self

    def searched(self, *, is_2d: bool) -> dict[str, Span | tuple[Any, ...]]:
        """Ranges and lists by name, without those that leave a setting as it is planned.

        Args:
            is_2d: Whether the scans are pictures, which keep their own pixels.
        """
        found = {name: values for name, values in self if values}
        if is_2d:
            found.pop("spacing_factor", None)
        return found

    def planned(self, plan: Plan) -> dict[str, Any]:
        """Values of the plan, where the space holds them."""
        own: dict[str, Any] = {name: 1.0 for name in type(self).model_fields if name.endswith("_factor")} | {
            "foreground_share": plan.training.foreground_share,
            "dice_weight": plan.training.dice_weight,
            "augmentation": "planned",
            "network": plan.network.kind,
        }
        spaces = self.searched(is_2d=plan.network.spatial_dims == 2)
        return {name: value for name, value in own.items() if name in spaces and _holds(spaces[name], value)}


def is_logarithmic(name: str) -> bool:
    """Whether a range is searched on a logarithmic scale."""
    return name in _LOGARITHMIC


def _holds(space: Span | tuple[Any, ...], value: Any) -> bool:
    return space.low <= value <= space.high if isinstance(space, Span) else value in space
