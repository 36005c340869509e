"""Weights that a segmentation training begins with instead of fresh ones, and the record of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field
from torch import nn

from medseg.configuration import Config
from medseg.inference.segmentation.initialised_from import InitialisedFrom
from medseg.networks.name_match import NameMatch
from medseg.networks.transfer import Transfer


class MatchRecord(Config):
    """Named channels of two networks.

    Attributes:
        taken: Names that both have, or whose channel faces the earlier one of another name.
        renamed: Earlier name of each channel that faces one of another name.
        new: Names that the earlier network does not have; their weights are fresh.
        unused: Names that only the earlier network has.
    """

    taken: tuple[str, ...]
    renamed: dict[str, str]
    new: tuple[str, ...]
    unused: tuple[str, ...]

    @classmethod
    def of(cls, match: NameMatch) -> Self:
        """The record of a match."""
        return cls(taken=match.taken, renamed=match.renamed, new=match.new, unused=match.unused)


class InitialisationRecord(Config):
    """All that was taken from an earlier run, and all that was not: `initialisation.json`.

    Attributes:
        earlier: The earlier model.
        parameters: Parameters of the network.
        taken_parameters: Parameters that were taken.
        labels: Labels of both networks.
        channels: Channels of the image of both networks.
        are_names_matched: Whether tensors were taken by the names of labels and channels; those of the user's own
            network are taken by their own name and shape alone.
        whole: Tensors that were taken whole.
        partly: Numbers that were taken of tensors of which only some entries were.
        fresh: Reason for each tensor of which nothing was taken.
        unused: Tensors of the earlier network that this one does not have.
        validation_cases_seen: Validation cases of patients that the earlier model was trained on.
    """

    earlier: InitialisedFrom
    parameters: int
    taken_parameters: int
    labels: MatchRecord
    channels: MatchRecord
    are_names_matched: bool
    whole: tuple[str, ...]
    partly: dict[str, int]
    fresh: dict[str, str]
    unused: tuple[str, ...]
    validation_cases_seen: tuple[str, ...] = Field(())

    @classmethod
    def of(cls, transfer: Transfer, earlier: InitialisedFrom, **facts: Any) -> Self:
        """The record of a transfer."""
        return cls(
            earlier=earlier,
            parameters=transfer.parameters,
            taken_parameters=transfer.taken,
            labels=MatchRecord.of(transfer.labels),
            channels=MatchRecord.of(transfer.channels),
            whole=transfer.whole,
            partly=transfer.partly,
            fresh=transfer.fresh,
            unused=transfer.unused,
            **facts,
        )

    def __str__(self) -> str:
        """One sentence for a person."""
        parts = [f"{self._share()} of the parameters begin with those of the earlier run on {self.earlier.dataset}"]
        for what, match in (("labels", self.labels), ("channels", self.channels)):
            parts += [f"{what} new: {', '.join(match.new)}"] if match.new else []
            parts += [f"{what} of the earlier run not used: {', '.join(match.unused)}"] if match.unused else []
            parts += [f"{what[:-1]} {new} takes the place of {old}" for new, old in match.renamed.items()]
        if not self.are_names_matched and (self.labels.new or self.channels.new):
            parts.append("your own network is taken by names and shapes of its tensors, not by labels and channels")
        return "; ".join(parts)

    def _share(self) -> str:
        """The share in per cent, rounded down, so that only all is called all."""
        if self.taken_parameters == self.parameters:
            return "all"
        return f"{1000 * self.taken_parameters // self.parameters / 10:g} %"


@dataclass(frozen=True, slots=True)
class Initialisation:
    """What a training begins with.

    Attributes:
        record: What was taken.
        fill: Function that puts the weights into a fresh network; None for a resumed run, whose checkpoint has all.
    """

    record: InitialisationRecord
    fill: Callable[[nn.Module], object] | None = None

    def __call__(self, network: nn.Module) -> None:
        """Put the weights into a fresh network."""
        if self.fill is not None:
            self.fill(network)
