"""Channels whose images are of several modalities, the values of which mean different things."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from medseg.records import Case, Manifest

REMEDY = (
    "ingest again with the option modality of medseg ingest, or with a line channels in its mapping; or make one "
    "manifest for each modality"
)
_ALIKE = {"DX": "CR", "CBCT": "CT", "MRI": "MR", "MRT": "MR", "PET": "PT"}


class MixedChannel(NamedTuple):
    """A channel with images of several modalities.

    Attributes:
        name: Name of the channel.
        cases: Number of cases of each modality, most first.
    """

    name: str
    cases: dict[str, int]

    @property
    def fact(self) -> str:
        """Rule that the channel breaks."""
        counted = ", ".join(f"{modality} in {count} case(s)" for modality, count in self.cases.items())
        return f"images of channel {self.name} must be of one modality, got {counted}"

    @property
    def message(self) -> str:
        """The fact and its remedy in one line."""
        return f"{self.fact}; {REMEDY}"


def modality_of(case: Case, channel: int) -> str | None:
    """Modality of one channel, from the case's joined ones."""
    modalities = (case.modality or "").split("+")
    return (modalities[channel] if channel < len(modalities) else modalities[0]) or None


def mixed_channels(manifest: Manifest, cases: Sequence[Case] | None = None) -> list[MixedChannel]:
    """Channels that hold several modalities; cases that give none do not count.

    Args:
        manifest: Meaning of the channels.
        cases: Cases to look at; all of the manifest if not given.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for case in manifest.cases if cases is None else cases:
        for index, name in enumerate(manifest.channels):
            modality = modality_of(case, index)
            if modality:
                counts[name][_ALIKE.get(modality.upper(), modality.upper())] += 1
    return [MixedChannel(name, dict(found.most_common())) for name, found in counts.items() if len(found) > 1]
