"""What an update was begun with: `update.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field

from medseg.atomic import write_json
from medseg.configuration import Config, parse_config
from medseg.errors import CheckpointError, ConfigError
from medseg.runs.segmentation.update.changes import CaseChanges
from medseg.training.segmentation.replay import Replay

MARGIN = 0.01
"""Loss of Dice on the old cases that is accepted without a warning, as by `promote`."""


class UpdateRecord(Config):
    """The cases of an update by what the updated run knows of them.

    Attributes:
        has_digests: Whether the cases are known by the digests of their voxels; by their ids alone otherwise.
        training: Training cases.
        validation: Validation cases.
        gone: Cases of the updated run that the dataset does not hold any more.
        fresh_share: Share of the patches that come from new and corrected training cases.
        margin: Loss of Dice on the old validation cases that is accepted.
    """

    has_digests: bool
    training: CaseChanges
    validation: CaseChanges
    gone: tuple[str, ...] = ()
    fresh_share: float = Field(ge=0, le=1)
    margin: float = MARGIN

    @property
    def replay(self) -> Replay:
        """How the training draws its cases."""
        return Replay(frozenset(self.training.fresh), self.fresh_share)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the person who started the training."""
        gone = f"; {len(self.gone)} of the run's cases are gone" if self.gone else ""
        known = "" if self.has_digests else ", known by their ids alone, as the run recorded no digests"
        cases = f"training cases: {self.training}; validation cases: {self.validation}{gone}{known}"
        share = f"{self.fresh_share:.0%} of the patches are of new and corrected cases"
        if self.training.old and self.training.fresh:
            often = self.replay.frequency(len(self.training.old))
            share += f", each of which is drawn {often:.2g} times as often as an old one"
        return cases, share

    @property
    def warnings(self) -> tuple[str, ...]:
        """What keeps the update from being what it should be."""
        if self.training.old:
            return ()
        return ("no training case of the updated run is left: nothing holds off its forgetting",)

    @property
    def counts(self) -> dict[str, int]:
        """Number of cases of each kind, for tracking."""
        groups = {"training": self.training, "validation": self.validation}
        kinds = ("old", "changed", "new")
        found = {f"{group}_{kind}": len(getattr(one, kind)) for group, one in groups.items() for kind in kinds}
        return found | {"gone": len(self.gone)}


def save_update(record: UpdateRecord, path: Path) -> None:
    """Write `update.json`."""
    write_json(path, record.model_dump(mode="json"))


def load_update(path: Path) -> UpdateRecord | None:
    """Read `update.json`; None for a training that updates no run.

    Raises:
        CheckpointError: If it is damaged.
    """
    if not path.is_file():
        return None
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return parse_config(UpdateRecord, content, source=path.name)
    except (OSError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"run {path.parent}: {path.name} must be readable to resume, got: {error}", remedy="start a new run"
        ) from error
